//! Who reaches what: the values with every name looked up and every value held to its form.

use std::collections::BTreeSet;
use std::fmt;

use headscale_policy_sdk::prefix::Prefix;

use crate::values::{MachineAccess, Service, Values, Version};

/// The port of SSH, and the only one of Tailscale SSH.
const SSH: Ports = Ports { first: 22, last: 22 };

/// What a tailnet has its own addresses from.
const TAILNET: &str = "100.64.0.0/10";

/// A cluster whose values make sense.
#[derive(Clone, Debug)]
pub(crate) struct Cluster<'v> {
    pub(crate) version: Version,
    pub(crate) tests: bool,
    pub(crate) roles: Vec<Role<'v>>,
    pub(crate) classes: Vec<Class<'v>>,
    /// The networks of pods, and the host that each is.
    pub(crate) pods: Vec<(String, &'v str)>,
    pub(crate) logins: Vec<Login<'v>>,
    /// Rules of the network, those of `logins` first.
    pub(crate) rules: Vec<Rule<'v>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Role<'v> {
    pub(crate) name: &'v str,
    pub(crate) users: &'v [String],
}

#[derive(Clone, Debug)]
pub(crate) struct Class<'v> {
    pub(crate) name: &'v str,
    /// Indexes into the roles.
    pub(crate) owners: Vec<usize>,
    /// Whether its nodes make up the Kubernetes cluster.
    pub(crate) cluster: bool,
}

/// Who connects, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Role(usize),
    Class(usize),
    Pods,
}

/// Who may log in where by Tailscale SSH.
#[derive(Clone, Debug)]
pub(crate) struct Login<'v> {
    pub(crate) purpose: String,
    pub(crate) from: Vec<Source>,
    pub(crate) to: Vec<usize>,
    pub(crate) users: &'v [String],
    pub(crate) check_period: Option<&'v str>,
}

/// Who reaches which ports of which classes.
#[derive(Clone, Debug)]
pub(crate) struct Rule<'v> {
    pub(crate) purpose: String,
    pub(crate) from: Vec<Source>,
    pub(crate) to: Vec<(usize, Vec<Ports>)>,
    pub(crate) proto: &'v str,
}

/// Ports from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ports {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl Source {
    /// Its names in the policy.
    pub(crate) fn aliases(self, cluster: &Cluster<'_>) -> Vec<String> {
        match self {
            Self::Role(at) => cluster.roles.get(at).map(|role| role.alias()).into_iter().collect(),
            Self::Class(at) => {
                cluster.classes.get(at).map(|class| class.alias()).into_iter().collect()
            }
            Self::Pods => cluster.pods.iter().map(|(host, _)| host.clone()).collect(),
        }
    }
}

impl Role<'_> {
    pub(crate) fn alias(&self) -> String {
        format!("group:{}", self.name)
    }
}

impl Class<'_> {
    pub(crate) fn alias(&self) -> String {
        format!("tag:{}", self.name)
    }
}

impl<'v> Cluster<'v> {
    /// Reads values.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its place in the values.
    pub(crate) fn read(values: &'v Values) -> Result<Self, Vec<String>> {
        let mut reader = Reader { problems: Vec::new(), roles: Vec::new(), classes: Vec::new() };
        let cluster = reader.cluster(values);
        if reader.problems.is_empty() { Ok(cluster) } else { Err(reader.problems) }
    }

    /// The classes that make up the Kubernetes cluster, by index.
    pub(crate) fn members(&self) -> impl Iterator<Item = usize> + '_ {
        self.classes.iter().enumerate().filter(|(_, class)| class.cluster).map(|(at, _)| at)
    }
}

struct Reader<'v> {
    problems: Vec<String>,
    roles: Vec<&'v str>,
    classes: Vec<&'v str>,
}

impl<'v> Reader<'v> {
    fn problem(&mut self, place: &str, what: impl fmt::Display) {
        self.problems.push(format!("{place}: {what}"));
    }

    fn cluster(&mut self, values: &'v Values) -> Cluster<'v> {
        self.roles = values.roles.0.iter().map(|(name, _)| name.as_str()).collect();
        self.classes = values.nodes.0.iter().map(|(name, _)| name.as_str()).collect();
        let roles = self.read_roles(values);
        let classes = self.read_classes(values);
        let pods = self.read_pods(values);
        let mut rules = Vec::new();
        let mut logins = Vec::new();
        for (at, access) in values.machine_access.iter().enumerate() {
            self.machine_access(&format!("/machineAccess/{at}"), access, values, |login, rule| {
                logins.extend(login);
                rules.push(rule);
            });
        }
        for (at, service) in values.services.iter().enumerate() {
            rules.push(self.service(&format!("/services/{at}"), service, values));
        }
        Cluster {
            version: values.headscale_version,
            tests: values.tests && values.headscale_version != Version::V0_28,
            roles,
            classes,
            pods,
            logins,
            rules,
        }
    }

    fn read_roles(&mut self, values: &'v Values) -> Vec<Role<'v>> {
        let mut roles = Vec::new();
        for (name, users) in &values.roles.0 {
            let place = format!("/roles/{name}");
            self.name(&place, name);
            if users.is_empty() {
                self.problem(&place, "nobody has the role: name a user, or leave the role out");
            }
            let mut known = BTreeSet::new();
            for (at, user) in users.iter().enumerate() {
                let place = format!("{place}/{at}");
                if !known.insert(user) {
                    self.problem(&place, format!("{user:?} stands there twice"));
                }
                if user.starts_with("tag:") || user.starts_with("group:") {
                    self.problem(
                        &place,
                        format!("{user:?} is no user: machines are a class of `nodes`, and roles have no roles in them"),
                    );
                } else if !user.contains('@')
                    || user.contains(|c: char| c.is_whitespace() || c.is_control())
                {
                    self.problem(
                        &place,
                        format!("{user:?} is no user: write the e-mail address, or the name with an @ behind it, as {:?}", format!("{}@", user.trim())),
                    );
                }
            }
            roles.push(Role { name, users });
        }
        roles
    }

    fn read_classes(&mut self, values: &'v Values) -> Vec<Class<'v>> {
        let mut classes = Vec::new();
        for (name, class) in &values.nodes.0 {
            let place = format!("/nodes/{name}");
            self.name(&place, name);
            let own = class.as_ref().and_then(|class| class.owners.as_ref());
            let (place, owners) = match own {
                Some(own) => (format!("{place}/owners"), own),
                None => ("/tagOwners".to_owned(), &values.tag_owners),
            };
            let owners = self.sources(&place, owners, values);
            let mut of_roles = Vec::new();
            for owner in owners {
                match owner {
                    Source::Role(at) => of_roles.push(at),
                    _ => self.problem(&place, "tags are given by people: name roles"),
                }
            }
            classes.push(Class {
                name,
                owners: of_roles,
                cluster: class.as_ref().is_some_and(|class| class.cluster),
            });
        }
        // What is wrong with `tagOwners` is wrong once, not for each class.
        let mut told = BTreeSet::new();
        self.problems.retain(|problem| told.insert(problem.clone()));
        classes
    }

    fn read_pods(&mut self, values: &'v Values) -> Vec<(String, &'v str)> {
        let mut pods = Vec::new();
        let several = values.pod_cidrs.len() > 1;
        for (at, cidr) in values.pod_cidrs.iter().enumerate() {
            let place = format!("/podCIDRs/{at}");
            match Prefix::parse(cidr) {
                None => self.problem(
                    &place,
                    format!("{cidr:?} is no network: write the first address and the length, as \"10.244.0.0/16\""),
                ),
                Some(prefix) if prefix.has_host_bits() => self.problem(
                    &place,
                    format!("{cidr} is an address in a network: write the network's first address"),
                ),
                Some(prefix) if Prefix::parse(TAILNET).is_some_and(|own| own.overlaps(prefix)) => {
                    self.problem(
                        &place,
                        format!("{cidr} overlaps {TAILNET}, which nodes have their addresses from: pods need another network"),
                    );
                }
                Some(_) => {}
            }
            let host = if several { format!("pods-{}", at + 1) } else { "pods".to_owned() };
            pods.push((host, cidr.as_str()));
        }
        let cluster =
            values.nodes.0.iter().any(|(_, class)| class.as_ref().is_some_and(|c| c.cluster));
        if !pods.is_empty() && !cluster {
            self.problem(
                "/podCIDRs",
                "no class of `nodes` says `cluster: true`, so nobody leads to pods",
            );
        }
        pods
    }

    fn machine_access(
        &mut self,
        place: &str,
        access: &'v MachineAccess,
        values: &'v Values,
        mut add: impl FnMut(Option<Login<'v>>, Rule<'v>),
    ) {
        let from = self.sources(&format!("{place}/from"), &access.from, values);
        let to = self.targets(&format!("{place}/to"), access.to.iter());
        let purpose = match &access.purpose {
            Some(purpose) => purpose.clone(),
            None => {
                format!("Machine access: {} on {}.", access.from.join(", "), access.to.join(", "))
            }
        };
        for (at, user) in access.logins.iter().enumerate() {
            if user.is_empty() || user.contains(|c: char| c.is_whitespace() || c.is_control()) {
                self.problem(&format!("{place}/logins/{at}"), format!("{user:?} is no login user"));
            }
        }
        if from.contains(&Source::Pods) && !access.logins.is_empty() {
            self.problem(
                &format!("{place}/from"),
                "pods do not log in by Tailscale SSH: leave `logins` out",
            );
        }
        if let Some(period) = &access.check_period {
            let place = format!("{place}/checkPeriod");
            if access.logins.is_empty() {
                self.problem(&place, "there is no login to check: name `logins`");
            }
            if values.headscale_version == Version::V0_28 {
                self.problem(
                    &place,
                    "Headscale 0.28 lets logins through without a check: leave it out, or use 0.29",
                );
            }
            if !is_period(period) {
                self.problem(
                    &place,
                    format!("{period:?} is no period: write hours or minutes, as \"12h\""),
                );
            }
        }
        let login = (!access.logins.is_empty()).then(|| Login {
            purpose: purpose.clone(),
            from: from.clone(),
            to: to.clone(),
            users: &access.logins,
            check_period: access.check_period.as_deref(),
        });
        let to = to.into_iter().map(|class| (class, vec![SSH])).collect();
        add(login, Rule { purpose, from, to, proto: "tcp" });
    }

    fn service(&mut self, place: &str, service: &'v Service, values: &'v Values) -> Rule<'v> {
        let from = self.sources(&format!("{place}/from"), &service.from, values);
        let mut to = Vec::new();
        if service.to.0.is_empty() {
            self.problem(&format!("{place}/to"), "nobody is reached: name a class and its ports");
        }
        for (class, ports) in &service.to.0 {
            let place = format!("{place}/to/{class}");
            let classes = self.targets(&place, [class].into_iter());
            if ports.is_empty() {
                self.problem(&place, "no port is open: name one");
            }
            let mut ranges: Vec<Ports> = Vec::new();
            for (at, port) in ports.iter().enumerate() {
                match port.bounds() {
                    Some((first, last)) => ranges.push(Ports { first, last }),
                    None => self.problem(
                        &format!("{place}/{at}"),
                        format!(
                            "{port} is no port: write one from 1 to 65535, or a range as \"6800-7300\""
                        ),
                    ),
                }
            }
            to.extend(classes.into_iter().map(|class| (class, ranges.clone())));
        }
        let proto = service.proto.as_deref().unwrap_or("tcp");
        if !matches!(proto, "tcp" | "udp" | "sctp") {
            self.problem(
                &format!("{place}/proto"),
                format!("{proto:?} has no ports: write tcp, udp or sctp"),
            );
        }
        Rule { purpose: service.purpose.clone(), from, to, proto }
    }

    fn name(&mut self, place: &str, name: &str) {
        let is_label = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_label {
            self.problem(
                place,
                format!(
                    "{name:?} is no name: use lower-case letters, digits and -, a letter first"
                ),
            );
        }
    }

    /// Classes by name, with or without `tag:`.
    fn targets<'n>(&mut self, place: &str, names: impl Iterator<Item = &'n String>) -> Vec<usize> {
        let mut found = Vec::new();
        for name in names {
            let bare = name.strip_prefix("tag:").unwrap_or(name);
            match self.classes.iter().position(|class| *class == bare) {
                Some(at) => found.push(at),
                None => {
                    let known = self.classes.join(", ");
                    self.problem(
                        place,
                        format!("{name:?} is no class of `nodes`, which has {known}"),
                    );
                }
            }
        }
        found
    }

    /// Roles and classes by name, with or without `group:` and `tag:`, and `pods`.
    fn sources(&mut self, place: &str, names: &[String], values: &Values) -> Vec<Source> {
        if names.is_empty() {
            self.problem(place, "nobody is named");
        }
        let mut found = Vec::new();
        for name in names {
            let (role, class) = match (name.strip_prefix("group:"), name.strip_prefix("tag:")) {
                (Some(role), _) => (Some(role), None),
                (None, Some(class)) => (None, Some(class)),
                (None, None) => (Some(name.as_str()), Some(name.as_str())),
            };
            let position = |names: &[&str], wanted: Option<&str>| {
                names.iter().position(|known| Some(*known) == wanted)
            };
            let role = position(&self.roles, role);
            let class = position(&self.classes, class);
            match (role, class) {
                (Some(_), Some(_)) => self.problem(
                    place,
                    format!(
                        "{name:?} is a role and a class: write \"group:{name}\" or \"tag:{name}\""
                    ),
                ),
                (Some(at), None) => found.push(Source::Role(at)),
                (None, Some(at)) => found.push(Source::Class(at)),
                (None, None) if name == "pods" && !values.pod_cidrs.is_empty() => {
                    found.push(Source::Pods);
                }
                (None, None) if name == "pods" => {
                    self.problem(place, "there are no pods: name their networks in `podCIDRs`");
                }
                (None, None) => {
                    let (roles, classes) = (self.roles.join(", "), self.classes.join(", "));
                    self.problem(
                        place,
                        format!("{name:?} is neither a role ({roles}) nor a class ({classes}) nor `pods`"),
                    );
                }
            }
        }
        found
    }
}

/// Whether a text is a duration as both Go and people write it: `12h`, `90m`, `1h30m`.
fn is_period(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if unit.len() == rest.len() {
            return false;
        }
        match unit.strip_prefix(['h', 'm', 's']) {
            Some(left) => rest = left,
            None => return false,
        }
    }
    !text.is_empty()
}
