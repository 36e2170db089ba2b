//! Small policies and tailnets, made from a number.

use headscale_testkit::tailnets::Random;
use serde_json::{Value, json};

/// A policy and a tailnet in parts, as the evaluator reads them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) old: bool,
    pub(crate) groups: Vec<(String, Vec<String>)>,
    pub(crate) hosts: Vec<(String, String)>,
    pub(crate) acls: Vec<Acl>,
    pub(crate) grants: Vec<Grant>,
    /// Routes with who may announce them.
    pub(crate) routes: Vec<(String, Vec<String>)>,
    pub(crate) exit_nodes: Vec<String>,
    pub(crate) nodes: Vec<Node>,
    /// Whether the policy has neither `acls` nor `grants`.
    pub(crate) no_rules: bool,
}

pub(crate) type Ports = (u16, u16);

#[derive(Clone, Debug)]
pub(crate) struct Acl {
    pub(crate) protocol: &'static str,
    pub(crate) src: Vec<String>,
    pub(crate) dst: Vec<(String, Ports)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) src: Vec<String>,
    pub(crate) dst: Vec<String>,
    pub(crate) ip: Vec<(&'static str, Ports)>,
    pub(crate) app: Option<&'static str>,
    pub(crate) via: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) user: Option<usize>,
    pub(crate) tags: Vec<String>,
    pub(crate) addrs: Vec<String>,
    pub(crate) announced: Vec<String>,
    pub(crate) approved: Vec<String>,
}

pub(crate) const USERS: [&str; 3] = ["ann@", "bob@", "cleo@"];
const TAGS: [&str; 3] = ["tag:a", "tag:b", "tag:c"];
const GROUPS: [&str; 2] = ["group:x", "group:y"];
const HOSTS: [&str; 3] = ["lan", "box", "six"];
const NETWORKS: [&str; 9] = [
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.0.0.0/8",
    "8.8.8.0/24",
    "100.64.0.0/30",
    "100.64.0.2/32",
    "fd7a:115c:a1e0::2/128",
    "fd00:1::/64",
    "172.16.0.0/12",
];
const ROUTES: [&str; 7] = [
    "10.1.0.0/16",
    "10.1.2.0/24",
    "192.168.0.0/24",
    "fd00:1::/64",
    "100.64.0.0/29",
    "0.0.0.0/0",
    "::/0",
];
const PORTS: [Ports; 4] = [(22, 22), (80, 443), (0, 65535), (53, 53)];

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len())]
}

fn some(
    random: &mut Random,
    most: usize,
    mut one: impl FnMut(&mut Random) -> String,
) -> Vec<String> {
    let count = 1 + random.below(most);
    let mut some: Vec<String> = Vec::new();
    for _ in 0..count {
        let next = one(random);
        if !some.contains(&next) {
            some.push(next);
        }
    }
    some
}

fn person(random: &mut Random) -> String {
    match random.below(5) {
        0 | 1 => pick(random, &USERS).to_owned(),
        2 | 3 => pick(random, &GROUPS).to_owned(),
        _ => "autogroup:member".to_owned(),
    }
}

fn source(random: &mut Random, old: bool) -> String {
    match random.below(12) {
        0..4 => person(random),
        4..7 => pick(random, &TAGS).to_owned(),
        7 => pick(random, &HOSTS).to_owned(),
        8 => pick(random, &NETWORKS).to_owned(),
        9 => "autogroup:tagged".to_owned(),
        10 if !old && random.below(3) == 0 => "autogroup:danger-all".to_owned(),
        _ => "*".to_owned(),
    }
}

fn destination(random: &mut Random) -> String {
    match random.below(13) {
        0..3 => person(random),
        3..6 => pick(random, &TAGS).to_owned(),
        6 => pick(random, &HOSTS).to_owned(),
        7..10 => pick(random, &NETWORKS).to_owned(),
        10 => "autogroup:tagged".to_owned(),
        11 => "autogroup:internet".to_owned(),
        _ => "*".to_owned(),
    }
}

impl Case {
    pub(crate) fn of(seed: u64) -> Self {
        let random = &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let old = random.below(3) == 0;
        let groups = GROUPS.map(|name| {
            (name.to_owned(), some(random, 2, |random| pick(random, &USERS).to_owned()))
        });
        let hosts =
            HOSTS.iter().map(|name| ((*name).to_owned(), pick(random, &NETWORKS).to_owned()));
        let hosts = hosts.collect();
        let acls = (0..random.below(5)).map(|_| acl(random, old)).collect();
        let grants = if old { 0 } else { random.below(5) };
        let grants = (0..grants).map(|_| grant(random)).collect();
        let approver = |random: &mut Random| match random.below(3) {
            0 => pick(random, &USERS).to_owned(),
            1 => pick(random, &GROUPS).to_owned(),
            _ => pick(random, &TAGS).to_owned(),
        };
        let routes = some(random, 2, |random| pick(random, &ROUTES[..4]).to_owned());
        let routes = routes.into_iter().map(|route| (route, some(random, 2, approver))).collect();
        let exit_nodes = some(random, 1, approver);
        let nodes = (1..=2 + random.below(5)).map(|at| node(random, at)).collect();
        let no_rules = random.below(50) == 0;
        Self {
            old,
            groups: groups.to_vec(),
            hosts,
            acls,
            grants,
            routes,
            exit_nodes,
            nodes,
            no_rules,
        }
    }

    pub(crate) const fn version(&self) -> &'static str {
        if self.old { "0.28" } else { "0.29" }
    }

    pub(crate) fn policy(&self) -> Value {
        let map = |entries: &[(String, Vec<String>)]| -> Value {
            entries.iter().map(|(name, values)| (name.clone(), json!(values))).collect()
        };
        let owners: Value = TAGS.iter().map(|tag| ((*tag).to_owned(), json!(["ann@"]))).collect();
        let hosts: Value =
            self.hosts.iter().map(|(name, prefix)| (name.clone(), json!(prefix))).collect();
        let acls = self.acls.iter().map(|acl| {
            let dst: Vec<String> =
                acl.dst.iter().map(|(dst, ports)| format!("{dst}:{}", port_text(*ports))).collect();
            json!({"action": "accept", "proto": acl.protocol, "src": acl.src, "dst": dst})
        });
        let grants = self.grants.iter().map(|grant| {
            let mut value = json!({"src": grant.src, "dst": grant.dst});
            if !grant.ip.is_empty() {
                let ip = grant.ip.iter().map(|(protocol, ports)| match *protocol {
                    "" => port_text(*ports),
                    protocol => format!("{protocol}:{}", port_text(*ports)),
                });
                value["ip"] = ip.collect();
            }
            if let Some(app) = grant.app {
                value["app"] = json!({app: [{"k": 1}]});
            }
            if !grant.via.is_empty() {
                value["via"] = json!(grant.via);
            }
            value
        });
        let mut policy = json!({
            "groups": map(&self.groups),
            "tagOwners": owners,
            "hosts": hosts,
            "autoApprovers": {"routes": map(&self.routes), "exitNode": self.exit_nodes},
        });
        if !self.no_rules {
            policy["acls"] = acls.collect();
            if !self.old {
                policy["grants"] = grants.collect();
            }
        }
        policy
    }

    pub(crate) fn tailnet(&self) -> Value {
        let users = USERS.iter().enumerate();
        let users: Value = users
            .map(|(at, name)| json!({"id": (at + 1).to_string(), "name": name.trim_end_matches('@')}))
            .collect();
        let nodes = self.nodes.iter().enumerate().map(|(at, node)| {
            let user = node.user.map(|user| json!({"id": (user + 1).to_string()}));
            json!({
                "id": (at + 1).to_string(),
                "name": format!("n{}", at + 1),
                "user": user,
                "ipAddresses": node.addrs,
                "tags": node.tags,
                "availableRoutes": node.announced,
                "approvedRoutes": node.approved,
            })
        });
        let nodes: Value = nodes.collect();
        json!({"users": users, "nodes": nodes})
    }
}

fn port_text((first, last): Ports) -> String {
    match (first, last) {
        (0, 65535) => "*".to_owned(),
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    }
}

fn protocol(random: &mut Random) -> (&'static str, Ports) {
    let ports = PORTS[random.below(PORTS.len())];
    match random.below(6) {
        0 => ("tcp", ports),
        1 => ("udp", ports),
        2 => ("icmp", (0, 65535)),
        3 => ("sctp", ports),
        _ => ("", ports),
    }
}

fn acl(random: &mut Random, old: bool) -> Acl {
    let (protocol, ports) = protocol(random);
    let mut dst = some(random, 3, destination);
    let own = random.below(5) == 0;
    let src = if own { some(random, 2, person) } else { some(random, 3, |r| source(r, old)) };
    if own {
        dst.truncate(2);
        dst.insert(random.below(dst.len() + 1), "autogroup:self".to_owned());
        dst.retain(|dst| dst != "*");
    }
    Acl { protocol, src, dst: dst.into_iter().map(|dst| (dst, ports)).collect() }
}

fn grant(random: &mut Random) -> Grant {
    let ip = (0..1 + random.below(2)).map(|_| protocol(random)).collect();
    let src = some(random, 3, |random| source(random, false));
    let mut grant = Grant { src, dst: Vec::new(), ip, app: None, via: Vec::new() };
    match random.below(4) {
        0 => {
            grant.via = some(random, 2, |random| pick(random, &TAGS).to_owned());
            grant.dst = some(random, 2, |random| match random.below(3) {
                0 => "autogroup:internet".to_owned(),
                _ => pick(random, &NETWORKS).to_owned(),
            });
        }
        1 => {
            grant.src = some(random, 2, person);
            grant.dst = vec!["autogroup:self".to_owned()];
        }
        _ => grant.dst = some(random, 2, destination),
    }
    if random.below(3) == 0 && grant.via.is_empty() {
        grant.app = Some(["example.com/cap/k", "tailscale.com/cap/drive"][random.below(2)]);
        grant.dst.retain(|dst| dst != "autogroup:internet");
        if grant.dst.is_empty() {
            grant.dst.push("tag:a".to_owned());
        }
        if random.below(2) == 0 {
            grant.ip.clear();
        }
    }
    grant
}

fn node(random: &mut Random, at: usize) -> Node {
    let mut addrs = vec![format!("100.64.0.{at}"), format!("fd7a:115c:a1e0::{at:x}")];
    match random.below(8) {
        0 => drop(addrs.remove(0)),
        1 => drop(addrs.remove(1)),
        _ => {}
    }
    let tagged = random.below(2) == 0;
    let tags = if tagged { some(random, 2, |r| pick(r, &TAGS).to_owned()) } else { Vec::new() };
    let route = |random: &mut Random| pick(random, &ROUTES).to_owned();
    let announced = if random.below(2) == 0 { some(random, 3, route) } else { Vec::new() };
    let approved = announced.iter().filter(|_| random.below(4) > 0).cloned().collect();
    Node { user: (!tagged).then(|| random.below(3)), tags, addrs, announced, approved }
}
