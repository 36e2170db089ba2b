//! Tailnets of any size with a policy to match: 300 rules, 50 groups and 40 tags, always the same
//! for the same [`Shape`].

use std::fmt::Write as _;

use serde_json::{Value, json};

const GROUPS: usize = 50;
const TAGS: usize = 40;
const HOSTS: usize = 40;
const RULES: usize = 300;
/// Of the rules, those written as grants.
const GRANTS: usize = 60;
/// Rules with `autogroup:self`, and grants with `via`, where there are any.
const SPECIAL: usize = 30;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of nodes: one in 50 is a subnet router, one in 200 an exit node.
    pub nodes: usize,
    /// Number of rules; [`Shape::new`] takes 300.
    pub rules: usize,
    /// Whether 30 of the rules are about `autogroup:self`.
    pub with_self: bool,
    /// Whether 30 of the grants have `via`.
    pub with_via: bool,
}

impl Shape {
    /// A tailnet of `nodes` nodes with 300 rules, none of them with `autogroup:self` or `via`.
    #[must_use]
    pub const fn new(nodes: usize) -> Self {
        Self { nodes, rules: RULES, with_self: false, with_via: false }
    }

    const fn users(&self) -> usize {
        if self.nodes < 80 { 10 } else { self.nodes / 8 }
    }

    const fn routers(&self) -> usize {
        self.nodes.div_ceil(50)
    }

    /// The policy, valid for Headscale 0.29 with the tailnet of the same shape.
    #[must_use]
    pub fn policy(&self) -> String {
        let mut random = Random(1);
        let mut text = String::from("{\n\t\"groups\": {\n");
        // Writing to a String cannot fail.
        for group in 0..GROUPS {
            let members = 1 + self.users() / 25;
            let mut members: Vec<usize> =
                (0..members).map(|_| random.below(self.users())).collect();
            members.sort_unstable();
            members.dedup();
            let members: Vec<String> = members.into_iter().map(user).collect();
            _ = writeln!(text, "\t\t\"group:g{group}\": {},", json!(members));
        }
        text.push_str("\t},\n\t\"tagOwners\": {\n");
        for tag in 0..TAGS {
            _ = writeln!(text, "\t\t\"tag:t{tag}\": [\"group:g{tag}\"],");
        }
        text.push_str("\t},\n\t\"hosts\": {\n");
        for host in 0..HOSTS {
            let prefix = match host % 4 {
                0 => format!("10.{}.{}.{}", host / 256, host * 5 % 256, host + 1),
                1 => format!("10.0.{}.0/24", host * 5 % 256),
                2 => format!("100.64.{}.0/26", host % 64),
                _ => format!("fd00:{host:x}::/64"),
            };
            _ = writeln!(text, "\t\t\"h{host}\": \"{prefix}\",");
        }
        text.push_str("\t},\n\t\"autoApprovers\": {\n\t\t\"routes\": {\"10.0.0.0/9\": [\"tag:t0\"]},\n\t\t\"exitNode\": [\"tag:t1\"],\n\t},\n\t\"acls\": [\n");
        let grants = GRANTS * self.rules / RULES;
        let special = (SPECIAL * self.rules / RULES).max(1);
        for rule in 0..self.rules - grants {
            let own = self.with_self && rule % 8 == 0 && rule / 8 < special;
            _ = writeln!(text, "\t\t{},", self.acl(&mut random, own));
        }
        text.push_str("\t],\n\t\"grants\": [\n");
        for grant in 0..grants {
            let via = self.with_via && grant % 2 == 0 && grant / 2 < special;
            _ = writeln!(text, "\t\t{},", self.grant(&mut random, via));
        }
        text.push_str("\t],\n}\n");
        text
    }

    fn acl(&self, random: &mut Random, own: bool) -> Value {
        let (protocol, ports) = random.ports();
        let mut src: Vec<String> = (0..=random.below(3)).map(|_| self.source(random)).collect();
        let mut dst: Vec<String> = (0..=random.below(3))
            .map(|_| format!("{}:{ports}", self.destination(random)))
            .collect();
        if own {
            src = vec!["autogroup:member".to_owned(), format!("group:g{}", random.below(GROUPS))];
            src.truncate(1 + random.below(2));
            dst = vec![format!("autogroup:self:{ports}")];
        }
        src.sort_unstable();
        src.dedup();
        let mut acl = json!({"action": "accept", "src": src, "dst": dst});
        if let Some(protocol) = protocol {
            acl["proto"] = json!(protocol);
        }
        acl
    }

    fn grant(&self, random: &mut Random, via: bool) -> Value {
        let (protocol, ports) = random.ports();
        let ip: Vec<String> = match protocol {
            Some(protocol) if ports != "*" => {
                ports.split(',').map(|ports| format!("{protocol}:{ports}")).collect()
            }
            Some(protocol) => vec![format!("{protocol}:*")],
            None => ports.split(',').map(str::to_owned).collect(),
        };
        let mut src: Vec<String> = (0..=random.below(3)).map(|_| self.source(random)).collect();
        src.sort_unstable();
        src.dedup();
        if via {
            let mut dst = vec![self.network(random)];
            if random.below(3) == 0 {
                dst.push("autogroup:internet".to_owned());
            }
            let tag = format!("tag:t{}", random.below(TAGS));
            return json!({"src": src, "dst": dst, "ip": ip, "via": [tag]});
        }
        let dst = vec![self.destination(random)];
        // Headscale takes no capabilities on the internet.
        if random.below(4) == 0 && dst != ["autogroup:internet"] {
            let role = json!([{"role": format!("r{}", random.below(5))}]);
            return json!({"src": src, "dst": dst, "ip": ip, "app": {"example.com/cap/role": role}});
        }
        json!({"src": src, "dst": dst, "ip": ip})
    }

    fn source(&self, random: &mut Random) -> String {
        match random.below(100) {
            0..40 => format!("group:g{}", random.below(GROUPS)),
            40..65 => format!("tag:t{}", random.below(TAGS)),
            65..82 => user(random.below(self.users())),
            82..90 => format!("h{}", random.below(HOSTS)),
            90..94 => self.network(random),
            94..97 => "autogroup:member".to_owned(),
            97 => "autogroup:tagged".to_owned(),
            _ => "*".to_owned(),
        }
    }

    fn destination(&self, random: &mut Random) -> String {
        match random.below(100) {
            0..45 => format!("tag:t{}", random.below(TAGS)),
            45..60 => format!("group:g{}", random.below(GROUPS)),
            60..68 => user(random.below(self.users())),
            68..80 => format!("h{}", random.below(HOSTS)),
            80..90 => self.network(random),
            90..93 => "autogroup:internet".to_owned(),
            93..95 => "autogroup:member".to_owned(),
            95..97 => "autogroup:tagged".to_owned(),
            _ => "*".to_owned(),
        }
    }

    /// The network behind a router, or a larger one with several of them.
    fn network(&self, random: &mut Random) -> String {
        let router = random.below(self.routers());
        if random.below(3) == 0 { format!("10.{}.0.0/16", router / 256) } else { network(router) }
    }

    /// The users and nodes, in the field names of Headscale's REST API.
    #[must_use]
    pub fn tailnet(&self) -> Value {
        let mut random = Random(2);
        let users: Vec<Value> = (0..self.users())
            .map(|at| {
                let (name, email) = (format!("user{at}"), user(at));
                json!({"id": (at + 1).to_string(), "name": name, "email": email})
            })
            .collect();
        let nodes: Vec<Value> = (0..self.nodes).map(|at| self.node(at, &mut random)).collect();
        json!({"users": users, "nodes": nodes})
    }

    fn node(&self, at: usize, random: &mut Random) -> Value {
        let value = at + 1;
        let addresses = [
            format!("100.{}.{}.{}", 64 + value / 65536, value / 256 % 256, value % 256),
            format!("fd7a:115c:a1e0::{value:x}"),
        ];
        // Routers and exit nodes stand apart, and are tagged.
        let router = (at % 50 == 7 % self.nodes.min(50)).then_some(at / 50);
        let exit = at % 200 == 13 % self.nodes.min(200);
        let routes: Vec<String> = match router {
            Some(router) => vec![network(router)],
            None if exit => vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()],
            None => Vec::new(),
        };
        let mut node = json!({
            "id": value.to_string(),
            "name": format!("node{value}"),
            "givenName": format!("node{value}"),
            "ipAddresses": addresses,
            "tags": [],
            "availableRoutes": routes,
            "approvedRoutes": routes,
        });
        if !routes.is_empty() || random.below(10) < 4 {
            let mut tags: Vec<usize> = (0..=random.below(2)).map(|_| random.below(TAGS)).collect();
            tags.sort_unstable();
            tags.dedup();
            node["tags"] = tags.iter().map(|tag| format!("tag:t{tag}")).collect();
        } else {
            let owner = random.below(self.users());
            let (id, name) = ((owner + 1).to_string(), format!("user{owner}"));
            node["user"] = json!({"id": id, "name": name, "email": user(owner)});
        }
        node
    }
}

fn user(at: usize) -> String {
    format!("user{at}@example.com")
}

fn network(router: usize) -> String {
    format!("10.{}.{}.0/24", router / 256, router % 256)
}

/// A linear congruential generator: the same numbers for the same seed, on every machine.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `limit`, 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    /// A protocol, where one is written, with ports that it may have.
    fn ports(&mut self) -> (Option<&'static str>, &'static str) {
        const PORTS: [&str; 7] = ["22", "80,443", "*", "5432", "8000-8100", "22,80,443", "53"];
        let ports = PORTS[self.below(PORTS.len())];
        match self.below(6) {
            0 => (Some("udp"), ports),
            1 | 2 => (Some("tcp"), ports),
            3 => (Some("icmp"), "*"),
            _ => (None, ports),
        }
    }
}
