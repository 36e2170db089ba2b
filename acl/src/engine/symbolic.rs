//! A tailnet made up from a policy, so that questions have an answer from the text alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ip_set::{IpSet, IpSetBuilder};
use super::resolve::TAILNET;
use crate::policy::{Alias, Policy, Prefix};
use crate::tailnet::{Node, Tailnet, User};

/// The tag of nodes that no rule means by a tag.
const UNNAMED_TAG: &str = "tag:unnamed";

/// Makes users and nodes for everything that `policy` names, deterministically.
///
/// - Each user has one node, named as the user (`alice`), and a second one (`alice-2`) where the
///   policy names `autogroup:self`.
/// - Each tag has one node (`tag-web`).
/// - Each address or prefix that lies in the tailnet's ranges is a tagged node with an address in
///   it, named as its host if it has a name.
/// - Each other prefix lies behind a router with an approved route to it: the nodes of a grant's
///   `via`, else those that may announce it by `autoApprovers`, else a node named `router`.
/// - `autogroup:internet` brings an exit node, chosen alike; else it is named `exit-node`.
/// - Two outsiders are named nowhere: `outsider`, a member, and `tag-unnamed`, a tagged node.
///
/// Every node has an IPv4 address of `100.64.0.0/10` and an IPv6 address of
/// `fd7a:115c:a1e0::/48`; those made up lie in no smaller prefix that the policy names.
///
/// # Examples
///
/// ```
/// use headscale_acl::{Version, engine};
///
/// let text = br#"{"grants": [{"src": ["alice@"], "dst": ["10.0.0.0/8"], "ip": ["*"]}]}"#;
/// let compiled = engine::ask(text, None, Version::V0_29, |network| network.compiled()).unwrap();
/// let names: Vec<_> = compiled.nodes.iter().map(|node| node.name.as_str()).collect();
/// assert_eq!(names, ["alice", "outsider", "tag-unnamed", "router"]);
/// ```
#[must_use]
pub fn symbolic(policy: &Policy<'_>) -> Tailnet {
    let named = Named::of(policy);
    let mut maker = Maker::new(&named);
    for user in &named.users {
        maker.user(user, named.own_devices);
    }
    for tag in &named.tags {
        maker.node(&tag.replacen("tag:", "tag-", 1), Owner::Tag(tag));
    }
    let outsider = maker.free_user("outsider");
    maker.user(&outsider, named.own_devices);
    let unnamed = maker.free_tag();
    maker.node(&unnamed.replacen("tag:", "tag-", 1), Owner::Tag(&unnamed));
    let within = named.prefixes.iter().filter(|(prefix, _)| is_in_tailnet(**prefix));
    let mut within: Vec<_> = within.collect();
    // Single addresses first: of a larger prefix there are others left.
    within.sort_by_key(|(prefix, _)| Reverse(prefix.bits));
    for (prefix, name) in within {
        maker.node_in(*prefix, name.as_deref(), &unnamed);
    }
    maker.routes(policy, &named, &unnamed);
    Tailnet::new(maker.users, maker.nodes)
}

/// Everything that a policy names.
#[derive(Default)]
struct Named {
    /// Without their last `@`.
    users: BTreeSet<String>,
    tags: BTreeSet<String>,
    /// Without host bits, with the name of the host that it is, if it is one.
    prefixes: BTreeMap<Prefix, Option<String>>,
    internet: bool,
    own_devices: bool,
}

impl Named {
    fn of(policy: &Policy<'_>) -> Self {
        let mut named = Self::default();
        for host in &policy.hosts {
            if let Some(prefix) = &host.prefix {
                let name = host.name.value.to_string();
                named.prefix(prefix.value, Some(name));
            }
        }
        let members = policy.groups.iter().flat_map(|group| &group.members);
        members.for_each(|user| named.user(&user.value));
        for owner in &policy.tag_owners {
            named.tags.insert(owner.tag.value.to_string());
            owner.owners.iter().for_each(|owner| named.alias(&owner.value));
        }
        for route in &policy.auto_approvers.routes {
            route.approvers.iter().for_each(|approver| named.alias(&approver.value));
            if let Some(prefix) = route.prefix.value {
                named.prefix(prefix, None);
            }
        }
        let approvers = &policy.auto_approvers.exit_node;
        approvers.iter().for_each(|approver| named.alias(&approver.value));
        for acl in policy.acls.iter().flatten() {
            acl.sources.iter().for_each(|source| named.alias(&source.value));
            acl.destinations.iter().for_each(|destination| named.alias(&destination.alias));
        }
        for grant in policy.grants.iter().flatten() {
            let aliases = grant.sources.iter().chain(&grant.destinations);
            aliases.for_each(|alias| named.alias(&alias.value));
            named.tags.extend(grant.via.iter().map(|tag| tag.value.to_string()));
        }
        for attr in &policy.node_attrs {
            attr.targets.iter().for_each(|target| named.alias(&target.value));
        }
        for rule in &policy.ssh {
            let aliases = rule.sources.iter().chain(&rule.destinations);
            aliases.for_each(|alias| named.alias(&alias.value));
        }
        named.tests(policy);
        named
    }

    fn tests(&mut self, policy: &Policy<'_>) {
        for test in &policy.tests {
            if let Some(source) = Alias::parse(test.source.value.as_ref().into()) {
                self.alias(&source);
            }
            let destinations = test.accept.iter().chain(&test.deny);
            for (alias, _) in destinations.filter_map(|dst| dst.parsed.as_ref().ok()) {
                self.alias(alias);
            }
        }
        for test in &policy.ssh_tests {
            let aliases = test.source.iter().chain(&test.destinations);
            aliases.for_each(|alias| self.alias(&alias.value));
        }
    }

    fn alias(&mut self, alias: &Alias<'_>) {
        match alias {
            Alias::User(user) => self.user(user),
            Alias::Tag(tag) => {
                self.tags.insert(tag.to_string());
            }
            Alias::Prefix(prefix) => self.prefix(*prefix, None),
            Alias::Autogroup(name) => {
                self.internet |= name == "autogroup:internet";
                self.own_devices |= name == "autogroup:self";
            }
            // Their members and addresses are named where they are defined.
            Alias::Group(_) | Alias::Host(_) | Alias::Wildcard => {}
        }
    }

    fn user(&mut self, token: &str) {
        self.users.insert(token.strip_suffix('@').unwrap_or(token).to_owned());
    }

    fn prefix(&mut self, prefix: Prefix, name: Option<String>) {
        // Everything is nowhere in particular, and all of the tailnet is what its nodes are in.
        if prefix.bits > 0 && (prefix.bits != range_bits(prefix) || !is_in_tailnet(prefix)) {
            self.prefixes.entry(prefix.masked()).or_insert(name);
        }
    }
}

/// The length of the prefix that all addresses of a tailnet have, of the family of `prefix`.
const fn range_bits(prefix: Prefix) -> u8 {
    if prefix.addr.is_ipv4() { 10 } else { 48 }
}

/// Whether a prefix holds nothing but addresses that a tailnet may have.
fn is_in_tailnet(prefix: Prefix) -> bool {
    prefix.bits >= range_bits(prefix) && TAILNET.overlaps(prefix)
}

/// Whose a node is.
#[derive(Clone, Copy)]
enum Owner<'o> {
    User(u64),
    Tag(&'o str),
}

struct Maker {
    users: Vec<User>,
    nodes: Vec<Node>,
    /// Names of nodes that are taken.
    names: BTreeSet<String>,
    /// From which number on one behind a name may be free.
    numbers: BTreeMap<String, u64>,
    /// Names of users that are taken.
    tokens: BTreeSet<String>,
    tags: BTreeSet<String>,
    /// How many users share what stands before their `@`.
    locals: BTreeMap<String, usize>,
    addresses: BTreeSet<IpAddr>,
    by_user: BTreeMap<String, Vec<usize>>,
    by_tag: BTreeMap<String, Vec<usize>>,
    /// Ranges that addresses are still taken from.
    free: Vec<(IpAddr, IpAddr)>,
}

impl Maker {
    fn new(named: &Named) -> Self {
        let mut taken = IpSetBuilder::default();
        for prefix in named.prefixes.keys().filter(|prefix| is_in_tailnet(**prefix)) {
            taken.add_prefix(*prefix);
        }
        // The networks' own addresses, and the address of the tailnet's DNS.
        for addr in ["100.64.0.0", "100.100.100.100", "fd7a:115c:a1e0::", "fd7a:115c:a1e0::53"] {
            if let Ok(prefix) = Prefix::parse(addr) {
                taken.add_prefix(prefix);
            }
        }
        let free = TAILNET.difference(&taken.build());
        let mut locals = BTreeMap::new();
        for user in &named.users {
            *locals.entry(local(user).to_owned()).or_default() += 1;
        }
        Self {
            users: Vec::new(),
            nodes: Vec::new(),
            names: BTreeSet::new(),
            numbers: BTreeMap::new(),
            tokens: named.users.clone(),
            tags: named.tags.clone(),
            locals,
            addresses: BTreeSet::new(),
            by_user: BTreeMap::new(),
            by_tag: BTreeMap::new(),
            free: free.ranges().map(|range| (range.first, range.last)).collect(),
        }
    }

    /// A name like `name` that no node has, which is then taken.
    fn free_name(&mut self, name: &str) -> String {
        if self.names.insert(name.to_owned()) {
            return name.to_owned();
        }
        // Names stay taken, so what was found taken once is not tried again.
        let number = self.numbers.entry(name.to_owned()).or_insert(2);
        loop {
            let numbered = format!("{name}-{number}");
            *number += 1;
            if self.names.insert(numbered.clone()) {
                return numbered;
            }
        }
    }

    /// A user name like `name` that the policy does not name.
    fn free_user(&mut self, name: &str) -> String {
        let free = unique(name, |name| self.tokens.contains(name));
        self.tokens.insert(free.clone());
        free
    }

    /// A tag that the policy does not name.
    fn free_tag(&self) -> String {
        unique(UNNAMED_TAG, |tag| self.tags.contains(tag))
    }

    /// A user with one device, or two.
    fn user(&mut self, token: &str, two: bool) {
        let id = self.users.len() as u64 + 1;
        // Without an e-mail address the empty token would name the user.
        let email = if token.contains('@') { token.to_owned() } else { format!("{token}@") };
        self.users.push(User { id, name: token.to_owned(), email, ..User::default() });
        let shared = self.locals.get(local(token)).is_some_and(|users| *users > 1);
        let name = if shared { token } else { local(token) };
        let mut devices = vec![self.node(name, Owner::User(id))];
        if two {
            devices.push(self.node(name, Owner::User(id)));
        }
        self.by_user.insert(token.to_owned(), devices);
    }

    /// A node with addresses of its own; the index of it.
    fn node(&mut self, name: &str, owner: Owner<'_>) -> usize {
        let addresses = [self.free_addr(true), self.free_addr(false)];
        self.add(name, owner, addresses.into_iter().flatten().collect())
    }

    /// A node with an address in `prefix`.
    fn node_in(&mut self, prefix: Prefix, name: Option<&str>, tag: &str) {
        let named = name.map_or_else(|| format!("net-{}", prefix.written()), str::to_owned);
        let within = IpSet::of(prefix);
        let addr = within.iter().find(|addr| {
            let network = !prefix.is_single() && *addr == prefix.addr;
            !network && !self.addresses.contains(addr)
        });
        let Some(addr) = addr else { return };
        let other = self.free_addr(!addr.is_ipv4());
        self.add(&named, Owner::Tag(tag), std::iter::once(addr).chain(other).collect());
    }

    fn add(&mut self, name: &str, owner: Owner<'_>, addresses: Vec<IpAddr>) -> usize {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = name.chars().map(plain).collect();
        let name = match name.trim_matches('-') {
            "" => "node",
            name => name,
        };
        let name = self.free_name(name);
        let (user, tags) = match owner {
            Owner::User(user) => (Some(user), Vec::new()),
            Owner::Tag(tag) => (None, vec![tag.to_owned()]),
        };
        let index = self.nodes.len();
        for tag in &tags {
            self.by_tag.entry(tag.clone()).or_default().push(index);
        }
        self.addresses.extend(&addresses);
        self.nodes.push(Node {
            id: index as u64 + 1,
            given_name: name.clone(),
            name,
            user,
            addresses,
            tags,
            ..Node::default()
        });
        index
    }

    fn free_addr(&mut self, v4: bool) -> Option<IpAddr> {
        let at = self.free.iter().position(|(first, _)| first.is_ipv4() == v4)?;
        let (first, last) = self.free.get_mut(at)?;
        let addr = *first;
        if addr == *last {
            self.free.remove(at);
        } else {
            *first = next(addr);
        }
        Some(addr)
    }

    /// Gives routers to what lies outside the tailnet.
    fn routes(&mut self, policy: &Policy<'_>, named: &Named, unnamed: &str) {
        let mut router = None;
        for prefix in named.prefixes.keys().filter(|prefix| !is_in_tailnet(**prefix)) {
            let mut routers = self.via_nodes(policy, |alias| hosts_prefix(policy, alias, *prefix));
            if routers.is_empty() {
                let routes = policy.auto_approvers.routes.iter().filter(|route| {
                    let holds = |by: Prefix| by.bits <= prefix.bits && by.overlaps(*prefix);
                    route.prefix.value.is_some_and(holds)
                });
                let approvers = routes.flat_map(|route| &route.approvers);
                let approvers: Vec<_> = approvers.map(|approver| &approver.value).collect();
                routers = self.nodes_of(policy, &approvers);
            }
            if routers.is_empty() {
                let made = router.get_or_insert_with(|| self.node("router", Owner::Tag(unnamed)));
                routers.push(*made);
            }
            self.announce(&routers, &[&prefix.to_string()]);
        }
        if named.internet {
            let internet = |alias: &Alias<'_>| alias.is_autogroup("autogroup:internet");
            let mut exit_nodes = self.via_nodes(policy, internet);
            if exit_nodes.is_empty() {
                let approvers = policy.auto_approvers.exit_node.iter();
                let approvers: Vec<_> = approvers.map(|approver| &approver.value).collect();
                exit_nodes = self.nodes_of(policy, &approvers);
            }
            if exit_nodes.is_empty() {
                exit_nodes.push(self.node("exit-node", Owner::Tag(unnamed)));
            }
            self.announce(&exit_nodes, &["0.0.0.0/0", "::/0"]);
        }
    }

    /// The nodes of the tags that lead to what is `wanted`.
    fn via_nodes(&self, policy: &Policy<'_>, wanted: impl Fn(&Alias<'_>) -> bool) -> Vec<usize> {
        let grants = policy.grants.iter().flatten();
        let grants = grants.filter(|grant| grant.destinations.iter().any(|dst| wanted(&dst.value)));
        let tags: BTreeSet<&str> =
            grants.flat_map(|grant| &grant.via).map(|tag| &*tag.value).collect();
        tags.into_iter().flat_map(|tag| self.by_tag.get(tag)).flatten().copied().collect()
    }

    /// The nodes of these users, groups and tags.
    fn nodes_of(&self, policy: &Policy<'_>, owners: &[&Alias<'_>]) -> Vec<usize> {
        let user = |token: &str| {
            self.by_user.get(token.strip_suffix('@').unwrap_or(token)).into_iter().flatten()
        };
        let mut nodes = BTreeSet::new();
        for owner in owners {
            match owner {
                Alias::Tag(tag) => nodes.extend(self.by_tag.get(&**tag).into_iter().flatten()),
                Alias::User(token) => nodes.extend(user(token)),
                Alias::Group(name) => {
                    let groups = policy.groups.iter().filter(|group| group.name.value == *name);
                    let members = groups.flat_map(|group| &group.members);
                    nodes.extend(members.flat_map(|member| user(&member.value)));
                }
                _ => {}
            }
        }
        nodes.into_iter().copied().collect()
    }

    fn announce(&mut self, nodes: &[usize], routes: &[&str]) {
        for at in nodes {
            let Some(node) = self.nodes.get_mut(*at) else { continue };
            for route in routes {
                node.available_routes.push((*route).to_owned());
                node.approved_routes.push((*route).to_owned());
            }
        }
    }
}

/// Whether `alias` is a host or prefix that shares addresses with `prefix`.
fn hosts_prefix(policy: &Policy<'_>, alias: &Alias<'_>, prefix: Prefix) -> bool {
    match alias {
        Alias::Prefix(own) => own.overlaps(prefix),
        Alias::Host(name) => policy.hosts.iter().any(|host| {
            let own = host.prefix.as_ref().map(|own| own.value);
            host.name.value == *name && own.is_some_and(|own| own.overlaps(prefix))
        }),
        _ => false,
    }
}

/// What stands before the `@` of a user.
fn local(token: &str) -> &str {
    token.split_once('@').map_or(token, |(local, _)| local)
}

/// `name`, or with the first number behind it that makes it free.
fn unique(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    let mut numbered = (2_u64..).map(|number| format!("{name}-{number}"));
    numbered.find(|name| !taken(name)).unwrap_or_default()
}

/// The address after `addr`, which is not the last of its family.
fn next(addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(addr) => IpAddr::V4(u32::from(addr).saturating_add(1).into()),
        IpAddr::V6(addr) => IpAddr::V6(u128::from(addr).saturating_add(1).into()),
    }
}
