//! What is wrong with a snapshot of users and nodes that can be read all the same.

use std::fmt;
use std::net::IpAddr;

use foldhash::{HashMap, HashSet};

use crate::finding::{Finding, Findings};
use crate::policy::Prefix;
use crate::rules::{
    Rule, TAILNET_CONTRADICTORY_TAGS, TAILNET_DUPLICATE_ADDRESS, TAILNET_DUPLICATE_ID,
    TAILNET_INVALID_ROUTE, TAILNET_NODE_WITHOUT_ADDRESS, TAILNET_NODE_WITHOUT_OWNER,
    TAILNET_OVERLAPPING_ROUTES, TAILNET_USER_UNKNOWN,
};
use crate::tailnet::{Node, Tailnet};

/// How many characters of a name, tag or route are told.
const TOLD: usize = 60;

/// Something wrong with one record of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Which record, or what in it, as an RFC 6901 pointer: `/users/3`, `/nodes/17`,
    /// `/nodes/17/availableRoutes/0`. Members are named as the REST API does, and indexes count in
    /// the list of users or nodes, whatever shape the document has. Empty for the whole document.
    pub path: String,
    /// What is wrong; without a span, because the text is not known here.
    pub finding: Finding,
}

/// What is wrong with a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defects {
    /// The first [`Findings::KEPT`] defects, rule by rule.
    pub kept: Vec<Defect>,
    /// How many more there are, by rule.
    pub uncounted: Vec<(&'static Rule, u64)>,
}

/// Examines `tailnet` for what Headscale's own data cannot be, and for what the engine ignores.
///
/// Time is n log n in the snapshot, and so many defects are kept as [`Defects::kept`] says.
#[must_use]
pub fn defects(tailnet: &Tailnet) -> Defects {
    let mut defects = Defects::default();
    defects.unknown_users(tailnet);
    defects.duplicate_ids(tailnet);
    defects.duplicate_addresses(&tailnet.nodes);
    defects.lacks(&tailnet.nodes);
    defects.invalid_routes(&tailnet.nodes);
    defects.overlapping_routes(&tailnet.nodes);
    defects.contradictory_tags(&tailnet.nodes);
    defects
}

impl Defects {
    /// Takes the defect that `make` makes of `rule`, as message and help; beyond the bound it is
    /// counted and not made.
    fn push(
        &mut self,
        rule: &'static Rule,
        path: fmt::Arguments<'_>,
        make: impl FnOnce() -> (String, String),
    ) {
        if self.kept.len() < Findings::KEPT {
            let (message, help) = make();
            let finding = Finding::new(rule, None, message).help(help);
            return self.kept.push(Defect { path: path.to_string(), finding });
        }
        match self.uncounted.iter_mut().find(|(known, _)| known.id == rule.id) {
            Some((_, count)) => *count += 1,
            None => self.uncounted.push((rule, 1)),
        }
    }

    fn unknown_users(&mut self, tailnet: &Tailnet) {
        let rule = &TAILNET_USER_UNKNOWN;
        if tailnet.contradicting.is_some() && tailnet.users.is_empty() {
            self.push(rule, format_args!(""), || {
                let message = "the snapshot has no users, and its nodes name none".to_owned();
                (message, "add `users`: until then a user in a policy matches nobody".to_owned())
            });
        }
        let known: HashSet<u64> = tailnet.users.iter().map(|user| user.id).collect();
        for (index, node) in tailnet.nodes.iter().enumerate() {
            let Some(user) = node.user.filter(|_| node.tags.is_empty()) else { continue };
            let path = format_args!("/nodes/{index}/user");
            if user == 0 {
                self.push(rule, path, || {
                    let message = format!("the user of {} has no id", Called::node(node));
                    (message, "nodes belong to users by `id`".to_owned())
                });
            } else if !known.contains(&user) {
                self.push(rule, path, || {
                    let node = Called::node(node);
                    let message =
                        format!("{node} belongs to user {user}, and there is no such user");
                    let help = "add the user to `users`: until then no rule for a user matches the \
                                node";
                    (message, help.to_owned())
                });
            }
        }
    }

    fn duplicate_ids(&mut self, tailnet: &Tailnet) {
        let users = tailnet.users.iter().map(|user| (user.id, Called("user", user.id, &user.name)));
        self.duplicates("users", users, "the nodes of this user belong to both");
        let nodes = tailnet.nodes.iter().map(|node| (node.id, Called::node(node)));
        self.duplicates("nodes", nodes, "the two cannot be told apart by it");
        for index in tailnet.contradicting.iter().flatten() {
            let Some(node) = tailnet.nodes.get(*index) else { continue };
            self.push(&TAILNET_DUPLICATE_ID, format_args!("/nodes/{index}/user"), || {
                let (node, user) = (Called::node(node), node.user.unwrap_or_default());
                let message = format!("{node} describes user {user} unlike a node before it");
                (
                    message,
                    "the first one counts; list the `users`, so that none is guessed".to_owned(),
                )
            });
        }
    }

    fn duplicates<'n>(
        &mut self,
        list: &str,
        records: impl Iterator<Item = (u64, Called<'n>)>,
        consequence: &str,
    ) {
        let mut first: HashMap<u64, (usize, Called<'n>)> = HashMap::default();
        for (index, (id, record)) in records.enumerate().filter(|(_, (id, _))| *id != 0) {
            match first.get(&id) {
                None => _ = first.insert(id, (index, record)),
                Some((at, other)) => {
                    self.push(&TAILNET_DUPLICATE_ID, format_args!("/{list}/{index}/id"), || {
                        let message = format!("{record} has the id of {other}: {id}");
                        (message, format!("{consequence}; the other is /{list}/{at}"))
                    });
                }
            }
        }
    }

    fn duplicate_addresses(&mut self, nodes: &[Node]) {
        let mut addresses: Vec<(IpAddr, usize, usize)> = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let of_node = node.addresses.iter().enumerate();
            addresses.extend(of_node.map(|(at, address)| (*address, index, at)));
        }
        addresses.sort_unstable();
        for same in addresses.chunk_by(|a, b| a.0 == b.0) {
            let [(address, first, _), others @ ..] = same else { continue };
            let Some(first_node) = nodes.get(*first) else { continue };
            for (_, index, at) in others {
                let Some(node) = nodes.get(*index) else { continue };
                let path = format_args!("/nodes/{index}/ipAddresses/{at}");
                self.push(&TAILNET_DUPLICATE_ADDRESS, path, || {
                    let (node, other) = (Called::node(node), Called::node(first_node));
                    if index == first {
                        let message = format!("{node} has the address {address} twice");
                        return (message, "remove one of the two".to_owned());
                    }
                    let message = format!("{node} has the address of {other}: {address}");
                    (message, format!("rules for one match both; the other is /nodes/{first}"))
                });
            }
        }
    }

    fn lacks(&mut self, nodes: &[Node]) {
        for (index, node) in nodes.iter().enumerate().filter(|(_, node)| node.addresses.is_empty())
        {
            self.push(&TAILNET_NODE_WITHOUT_ADDRESS, format_args!("/nodes/{index}"), || {
                let node = Called::node(node);
                let message =
                    format!("{node} has no addresses, so no rule for its user or tags matches it");
                (message, "write them under `ipAddresses`".to_owned())
            });
        }
        let ownerless = |node: &Node| node.user.is_none() && node.tags.is_empty();
        for (index, node) in nodes.iter().enumerate().filter(|(_, node)| ownerless(node)) {
            self.push(&TAILNET_NODE_WITHOUT_OWNER, format_args!("/nodes/{index}"), || {
                let node = Called::node(node);
                let message = format!("{node} has neither a user nor tags: it belongs to nobody");
                (message, "write the id of its user under `user`, or its `tags`".to_owned())
            });
        }
    }

    fn invalid_routes(&mut self, nodes: &[Node]) {
        for (index, node) in nodes.iter().enumerate() {
            for (list, routes) in [
                ("availableRoutes", &node.available_routes),
                ("approvedRoutes", &node.approved_routes),
            ] {
                for (at, route) in routes.iter().enumerate() {
                    let Err(error) = Prefix::parse_cidr(route) else { continue };
                    let path = format_args!("/nodes/{index}/{list}/{at}");
                    self.push(&TAILNET_INVALID_ROUTE, path, || {
                        let (of, told) = (Called::node(node), told(route));
                        match Prefix::parse(route) {
                            Ok(prefix) => (
                                format!("the route `{told}` of {of} is an address and no prefix"),
                                format!("it is taken for {prefix}; write that"),
                            ),
                            Err(_) => (
                                format!("the route `{told}` of {of} is no prefix: {error}"),
                                "it is ignored; write a prefix such as `10.0.0.0/8`".to_owned(),
                            ),
                        }
                    });
                }
            }
            self.ineffective_approvals(index, node);
        }
    }

    /// Approved routes with bits beyond their length, which no announced route equals.
    fn ineffective_approvals(&mut self, index: usize, node: &Node) {
        let mut announced: Option<HashSet<Prefix>> = None;
        for (at, route) in node.approved_routes.iter().enumerate() {
            let Ok(prefix) = Prefix::parse(route) else { continue };
            if prefix == prefix.masked() {
                continue;
            }
            let announced = announced.get_or_insert_with(|| read(&node.available_routes).collect());
            if announced.contains(&prefix) {
                continue;
            }
            let path = format_args!("/nodes/{index}/approvedRoutes/{at}");
            self.push(&TAILNET_INVALID_ROUTE, path, || {
                let (of, told) = (Called::node(node), told(route));
                let message = format!(
                    "the route `{told}` of {of} approves nothing: it has bits beyond its length"
                );
                let masked = prefix.masked();
                (message, format!("routes are compared as written; write `{masked}`"))
            });
        }
    }

    fn overlapping_routes(&mut self, nodes: &[Node]) {
        let mut served: Vec<Served> = Vec::new();
        for (index, node) in nodes.iter().enumerate().filter(|(_, n)| !n.approved_routes.is_empty())
        {
            let approved: HashSet<Prefix> = read(&node.approved_routes).collect();
            for (at, route) in node.available_routes.iter().enumerate() {
                let Ok(route) = Prefix::parse(route) else { continue };
                if route.bits > 0 && approved.contains(&route) {
                    served.push(Served { route: route.masked(), node: index, at });
                }
            }
        }
        served.sort_unstable();
        // The routes that hold the one at hand, the widest first.
        let mut wider: Vec<&[Served]> = Vec::new();
        for same in served.chunk_by(|a, b| a.route == b.route) {
            let Some(first) = same.first() else { continue };
            let holds = |outer: &&[Served]| {
                outer.first().is_some_and(|outer| outer.route.contains(first.route.addr))
            };
            while wider.pop_if(|outer| !holds(outer)).is_some() {}
            let pair = wider.iter().rev().find_map(|outer| of_different_nodes(same, outer));
            wider.push(same);
            let Some((inner, outer)) = pair else { continue };
            let (Some(node), Some(other)) = (nodes.get(inner.node), nodes.get(outer.node)) else {
                continue;
            };
            let path = format_args!("/nodes/{}/availableRoutes/{}", inner.node, inner.at);
            self.push(&TAILNET_OVERLAPPING_ROUTES, path, || {
                let (node, other) = (Called::node(node), Called::node(other));
                let message = format!(
                    "the route {} of {node} lies within {} of {other}",
                    inner.route, outer.route
                );
                let help = format!(
                    "packets take the narrower one; the other is /nodes/{}/availableRoutes/{}",
                    outer.node, outer.at
                );
                (message, help)
            });
        }
    }

    fn contradictory_tags(&mut self, nodes: &[Node]) {
        let rule = &TAILNET_CONTRADICTORY_TAGS;
        for (index, node) in nodes.iter().enumerate().filter(|(_, node)| !node.tags.is_empty()) {
            let mut seen: HashSet<&str> = HashSet::default();
            for (at, tag) in node.tags.iter().enumerate() {
                let path = format_args!("/nodes/{index}/tags/{at}");
                if !seen.insert(tag) {
                    self.push(rule, path, || {
                        let message =
                            format!("{} has the tag `{}` twice", Called::node(node), told(tag));
                        (message, "remove one of the two".to_owned())
                    });
                } else if !tag.starts_with("tag:") {
                    self.push(rule, path, || {
                        let (told, node) = (told(tag), Called::node(node));
                        let message = format!("`{told}` of {node} does not start with `tag:`");
                        let help = "write a tag such as `tag:web`; no rule can name this one, and \
                                    because of it the node is no user's any more";
                        (message, help.to_owned())
                    });
                }
            }
        }
    }
}

/// A route that a node serves. Ordered so that a route comes before those that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Served {
    /// Without host bits.
    route: Prefix,
    node: usize,
    /// Index among the node's announced routes.
    at: usize,
}

/// One of each whose nodes differ. Both are in the order of their nodes.
fn of_different_nodes(inner: &[Served], outer: &[Served]) -> Option<(Served, Served)> {
    let ends = |served: &[Served]| Some([*served.first()?, *served.last()?]);
    let (inner, outer) = (ends(inner)?, ends(outer)?);
    let pairs = inner.into_iter().flat_map(|i| outer.into_iter().map(move |o| (i, o)));
    pairs.into_iter().find(|(inner, outer)| inner.node != outer.node)
}

/// The routes that can be read.
fn read(routes: &[String]) -> impl Iterator<Item = Prefix> {
    routes.iter().filter_map(|route| Prefix::parse(route).ok())
}

/// The start of a text of the snapshot: it can be as long as the snapshot, and stand in every
/// message.
fn told(text: &str) -> &str {
    text.char_indices().nth(TOLD).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// A record as people know it: what it is, its id and its name.
#[derive(Clone, Copy)]
struct Called<'n>(&'static str, u64, &'n str);

impl<'n> Called<'n> {
    fn node(node: &'n Node) -> Self {
        let name = if node.name.is_empty() { &node.given_name } else { &node.name };
        Self("node", node.id, name)
    }
}

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what, id, name) = self;
        match (id, told(name)) {
            (0, "") => write!(f, "a {what} without a name"),
            (id, "") => write!(f, "{what} {id}"),
            (_, name) => write!(f, "{what} `{name}`"),
        }
    }
}
