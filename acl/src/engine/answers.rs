//! What every node is told, made node by node.

use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;

use super::approve::{Approvers, attributes};
use super::inventory::Node;
use super::json::{self, Layout};
use super::network::Network;
use super::output::{Compiled, NodeOutput, SshPrincipal};
use super::packet_filters::PacketFilters;
use super::peers::Peers;
use super::reach::RouteUsers;
use super::rule::Sources;
use super::ssh::{Applied, SshRules};
use crate::policy::Prefix;

/// What every node is told, ready to be made. Holds the rules once and the texts of one node at a
/// time.
pub struct Answers<'a, 'n, 'd> {
    network: &'a Network<'n, 'd>,
    filters: PacketFilters<'a>,
    pub(super) peers: Peers,
    route_users: RouteUsers,
    approvers: Approvers,
    attributes: Vec<BTreeMap<String, Option<()>>>,
    pub(super) ssh: SshRules<'n, 'd>,
    /// The nodes with routes, ascending.
    routers: Vec<Router>,
    /// Indexes of the nodes to tell of, in the order of the snapshot.
    told: Vec<usize>,
}

/// A node with routes.
struct Router {
    at: usize,
    /// Its approved routes as they are written.
    routes: Vec<(Prefix, String)>,
}

/// In which form the long lists of an answer are held: the same shape for programs, as owned texts,
/// and for JSON, as what is to be written.
pub(super) trait Form<'s> {
    /// Texts.
    type List;
    /// A text.
    type Text: From<&'s str> + From<String> + Ord;
    /// Who connects by SSH.
    type Principals;

    /// The sources of a rule.
    fn sources(&self, sources: &'s Rc<Sources>) -> Self::List;
    /// The ids of the peers of the node with this index.
    fn peers(&self, at: usize) -> Self::List;
    /// Who connects under a rule.
    fn principals(&self, applied: Applied) -> Self::Principals;
}

/// Texts of their own.
struct Owned<'s, 'a, 'n, 'd>(&'s Answers<'a, 'n, 'd>);

impl<'s> Form<'s> for Owned<'s, '_, '_, '_> {
    type List = Vec<String>;
    type Text = String;
    type Principals = Vec<SshPrincipal>;

    fn sources(&self, sources: &'s Rc<Sources>) -> Vec<String> {
        sources.texts()
    }

    fn peers(&self, at: usize) -> Vec<String> {
        let peers = self.0.peers.iter(at).filter_map(|peer| self.0.inventory_node(peer));
        peers.map(|peer| peer.id.to_string()).collect()
    }

    fn principals(&self, applied: Applied) -> Vec<SshPrincipal> {
        self.0.ssh.written_principals(applied)
    }
}

impl<'a, 'n, 'd> Answers<'a, 'n, 'd> {
    pub(crate) fn of(network: &'a Network<'n, 'd>) -> Self {
        let inventory = network.inventory;
        let mut reach = network.reach();
        let peers = reach.peers(inventory);
        let mut routers = [inventory.routers.as_slice(), &inventory.exit_nodes].concat();
        routers.sort_unstable();
        routers.dedup();
        let router = |at| {
            let node = inventory.node(at)?;
            let routes = node.subnet_routes.iter().chain(&node.exit_routes);
            Some(Router { at, routes: routes.map(|route| (*route, route.to_string())).collect() })
        };
        Self {
            network,
            filters: network.packet_filters(),
            peers,
            route_users: reach.route_users(inventory),
            approvers: Approvers::of(network.policy, &network.resolver),
            attributes: attributes(network.policy, inventory, &network.resolver),
            ssh: network.ssh_rules(),
            routers: routers.into_iter().filter_map(router).collect(),
            told: (0..inventory.nodes.len()).collect(),
        }
    }

    /// Leaves out all nodes but those at these indexes of the snapshot; an index that is none is
    /// ignored. What is left out costs nothing more.
    #[must_use]
    pub fn only(mut self, nodes: &[usize]) -> Self {
        self.told.retain(|at| nodes.contains(at));
        self
    }

    /// What each node is told, in the order of the snapshot.
    pub fn nodes(&self) -> impl Iterator<Item = NodeOutput> {
        self.nodes_as(Owned(self))
    }

    /// The answer around these nodes: what [`Network::compiled`] gives, with `nodes` in the place of
    /// its own, such as some that serializes one node after the other.
    pub const fn around<Nodes>(&self, nodes: Nodes) -> Compiled<Nodes> {
        let Network { semantics, is_symbolic, .. } = *self.network;
        Compiled { headscale_version: semantics.version, symbolic: is_symbolic, nodes }
    }

    /// Writes what `serde_json` makes of [`Network::compiled`], byte for byte, without a newline at
    /// the end. Texts that nodes have in common are printed once: that takes about the memory of
    /// the rules again.
    ///
    /// `writer` should be buffered.
    ///
    /// # Errors
    ///
    /// Those of `writer`.
    pub fn write_json(&self, writer: impl Write, layout: Layout) -> Result<(), serde_json::Error> {
        json::write(self, layout, writer)
    }

    pub(super) fn nodes_as<'s, F: Form<'s>>(
        &'s self,
        form: F,
    ) -> impl Iterator<Item = NodeOutput<F::List, F::Text, F::Principals>> {
        let nodes = self.told.iter().filter_map(|at| Some((*at, self.inventory_node(*at)?)));
        nodes.map(move |(at, node)| self.node(at, node, &form))
    }

    /// All nodes, told of or not.
    pub(super) fn inventory_nodes(&self) -> &[Node] {
        &self.network.inventory.nodes
    }

    fn inventory_node(&self, at: usize) -> Option<&Node> {
        self.network.inventory.node(at)
    }

    fn node<'s, F: Form<'s>>(
        &'s self,
        at: usize,
        node: &'s Node,
        form: &F,
    ) -> NodeOutput<F::List, F::Text, F::Principals> {
        let routers = self.routers.iter().filter(|peer| self.peers.see_each_other(at, peer.at));
        let peer_routes = routers.filter_map(|peer| {
            let routes = peer.routes.iter();
            let usable = routes.filter(|(route, _)| self.route_users.may_use(at, *route));
            let usable: Vec<F::Text> = usable.map(|(_, text)| text.as_str().into()).collect();
            let name = self.inventory_node(peer.at)?.name.as_str();
            (!usable.is_empty()).then(|| (name.into(), usable))
        });
        let approved = self.approvers.approved(node);
        NodeOutput {
            id: node.id.to_string().into(),
            name: node.name.as_str().into(),
            packet_filter: self.filters.rules_as(at, form).collect(),
            peers: form.peers(at),
            peer_routes: peer_routes.collect(),
            ssh_policy: self.ssh.policy_of_node(at, |applied| form.principals(applied)),
            auto_approved: approved.iter().map(|route| route.to_string().into()).collect(),
            cap_map: self.attributes.get(at).cloned().unwrap_or_default(),
        }
    }
}
