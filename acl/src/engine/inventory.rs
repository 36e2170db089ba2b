//! The nodes of a tailnet as the engine asks for them.

use std::net::IpAddr;

use foldhash::HashMap;

use super::ip_set::{IpSet, IpSetBuilder};
use super::node_set::NodeSet;
use super::packet_filters::is_reachable;
use super::route_index::RouteIndex;
use crate::policy::Prefix;
use crate::tailnet::{self, Tailnet, User};

/// A node with its addresses and routes read.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// Id of the user it belongs to; a tagged node belongs to none.
    pub(crate) user: Option<u64>,
    pub(crate) tags: Vec<String>,
    /// IPv4 first.
    pub(crate) addrs: Vec<IpAddr>,
    pub(crate) announced: Vec<Prefix>,
    pub(crate) approved: Vec<Prefix>,
    /// Announced and approved routes that are no exit routes.
    pub(crate) subnet_routes: Vec<Prefix>,
    /// Announced and approved routes to everywhere.
    pub(crate) exit_routes: Vec<Prefix>,
}

impl Node {
    fn of(node: &tailnet::Node) -> Self {
        // What is no prefix is told by `defects()`.
        let routes = |texts: &[String]| -> Vec<Prefix> {
            texts.iter().filter_map(|text| Prefix::parse(text).ok()).collect()
        };
        let (announced, approved) = (routes(&node.available_routes), routes(&node.approved_routes));
        let in_order = {
            let mut approved = approved.clone();
            approved.sort_unstable();
            approved
        };
        let is_approved = |route: &&Prefix| in_order.binary_search(route).is_ok();
        let served = announced.iter().filter(is_approved).copied();
        let (exit_routes, subnet_routes) = served.partition(|route| is_exit_route(*route));
        let mut addrs = node.addresses.clone();
        addrs.sort_by_key(IpAddr::is_ipv6);
        Self {
            id: node.id,
            name: node.name.clone(),
            user: node.user.filter(|_| node.tags.is_empty()),
            tags: node.tags.clone(),
            addrs,
            announced,
            approved,
            subnet_routes,
            exit_routes,
        }
    }

    pub(crate) fn is_tagged(&self) -> bool {
        !self.tags.is_empty()
    }

    pub(crate) fn is_exit_node(&self) -> bool {
        !self.exit_routes.is_empty()
    }

    pub(crate) fn is_in(&self, set: &IpSet) -> bool {
        self.addrs.iter().any(|addr| set.contains(*addr))
    }

    pub(crate) fn add_to(&self, builder: &mut IpSetBuilder) {
        for addr in &self.addrs {
            builder.add_addr(*addr);
        }
    }
}

/// Whether a route leads everywhere: `0.0.0.0/0` or `::/0`.
pub(crate) const fn is_exit_route(route: Prefix) -> bool {
    route.bits == 0
}

/// All nodes, with what finds them. Building it costs n log n of the nodes.
#[derive(Debug)]
pub struct Inventory<'t> {
    pub(crate) tailnet: &'t Tailnet,
    pub(crate) nodes: Vec<Node>,
    /// Every address with its node, in ascending order.
    by_addr: Vec<(IpAddr, u32)>,
    /// Untagged nodes of each user, in order.
    by_user: HashMap<u64, Vec<usize>>,
    by_tag: HashMap<String, Vec<usize>>,
    /// Nodes with subnet routes.
    pub(crate) routers: Vec<usize>,
    /// Nodes with exit routes.
    pub(crate) exit_nodes: Vec<usize>,
    /// Nodes with an address or a subnet route.
    pub(crate) reachable: Vec<u32>,
    /// Announced and approved routes that are no exit routes.
    pub(crate) subnet_routes: RouteIndex,
    /// Announced routes, approved or not.
    pub(crate) announced: RouteIndex,
}

impl<'t> Inventory<'t> {
    /// The nodes of `tailnet`.
    #[must_use]
    pub fn of(tailnet: &'t Tailnet) -> Self {
        let nodes: Vec<Node> = tailnet.nodes.iter().map(Node::of).collect();
        let mut by_user: HashMap<u64, Vec<usize>> = HashMap::default();
        let mut by_tag: HashMap<String, Vec<usize>> = HashMap::default();
        let mut by_addr = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if let Some(user) = node.user {
                by_user.entry(user).or_default().push(index);
            }
            for tag in &node.tags {
                by_tag.entry(tag.clone()).or_default().push(index);
            }
            by_addr.extend(node.addrs.iter().map(|addr| (*addr, index as u32)));
        }
        by_addr.sort_unstable();
        let having = |has: fn(&Node) -> bool| {
            let having = nodes.iter().enumerate().filter(|(_, node)| has(node));
            having.map(|(index, _)| index).collect()
        };
        let routers = having(|node| !node.subnet_routes.is_empty());
        let exit_nodes = having(Node::is_exit_node);
        let reachable = (0..).zip(&nodes).filter(|(_, node)| is_reachable(node));
        let reachable = reachable.map(|(at, _)| at).collect();
        let index = |routes: fn(&Node) -> &[Prefix]| {
            let routes = (0..)
                .zip(&nodes)
                .flat_map(|(at, node)| routes(node).iter().map(move |route| (at, *route)));
            RouteIndex::of(routes)
        };
        let subnet_routes = index(|node| &node.subnet_routes);
        let announced = index(|node| &node.announced);
        Self {
            tailnet,
            by_addr,
            by_user,
            by_tag,
            routers,
            exit_nodes,
            reachable,
            subnet_routes,
            announced,
            nodes,
        }
    }

    pub(crate) fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    pub(crate) fn empty_set(&self) -> NodeSet {
        NodeSet::new(self.nodes.len())
    }

    /// Untagged nodes of the user with this id, in order.
    pub(crate) fn nodes_of_user(&self, user: u64) -> &[usize] {
        self.by_user.get(&user).map(Vec::as_slice).unwrap_or_default()
    }

    /// Nodes that carry `tag`, in order.
    pub(crate) fn nodes_with_tag(&self, tag: &str) -> &[usize] {
        self.by_tag.get(tag).map(Vec::as_slice).unwrap_or_default()
    }

    /// The untagged nodes of each user who has any, by the user's id, ascending.
    pub(crate) fn devices_by_user(&self) -> Vec<(u64, &[usize])> {
        let mut users: Vec<(u64, &[usize])> =
            self.by_user.iter().map(|(user, devices)| (*user, devices.as_slice())).collect();
        users.sort_unstable();
        users
    }

    /// Nodes that have an address in `prefix`, one for each of them: a search, plus the nodes
    /// found.
    pub(crate) fn nodes_within(&self, prefix: Prefix) -> impl Iterator<Item = u32> {
        let first = if prefix.is_single() { prefix.addr } else { prefix.masked().addr };
        let from = self.by_addr.partition_point(|(addr, _)| *addr < first);
        let within = self.by_addr.iter().skip(from);
        within.take_while(move |(addr, _)| prefix.contains(*addr)).map(|(_, node)| *node)
    }

    /// Nodes that have an address in `set`, one for each of them: a search for each range, plus
    /// the nodes found.
    fn having(&self, set: &IpSet) -> impl Iterator<Item = u32> {
        set.ranges().flat_map(|range| {
            let from = self.by_addr.partition_point(|(addr, _)| *addr < range.first);
            let within = self.by_addr.iter().skip(from);
            within.take_while(move |(addr, _)| *addr <= range.last).map(|(_, node)| *node)
        })
    }

    /// Nodes that have an address in `set`: a search for each range, plus the nodes found.
    pub(crate) fn nodes_in(&self, set: &IpSet) -> NodeSet {
        let mut found = self.empty_set();
        self.having(set).for_each(|index| found.insert(index as usize));
        found
    }

    /// The same in any order, one for each address, without the cost of a bit for each node.
    pub(crate) fn node_list_in(&self, set: &IpSet) -> Vec<u32> {
        self.having(set).collect()
    }

    /// Nodes with a subnet route that holds an address of `set`.
    pub(crate) fn routers_to(&self, set: &IpSet) -> NodeSet {
        let mut found = self.empty_set();
        for nodes in self.subnet_routes.within(set) {
            nodes.iter().for_each(|index| found.insert(*index as usize));
        }
        found
    }

    /// The addresses of these nodes.
    pub(crate) fn addresses(&self, nodes: impl IntoIterator<Item = usize>) -> IpSet {
        let mut builder = IpSetBuilder::default();
        for node in nodes.into_iter().filter_map(|index| self.node(index)) {
            node.add_to(&mut builder);
        }
        builder.build()
    }

    pub(crate) fn users(&self) -> &'t [User] {
        &self.tailnet.users
    }
}
