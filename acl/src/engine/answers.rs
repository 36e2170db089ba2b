//! What every node is told, made node by node.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::approve::{Approvers, attributes};
use super::inventory::Node;
use super::network::Network;
use super::output::NodeOutput;
use super::packet_filters::PacketFilters;
use super::peers::Peers;
use super::reach::RouteUsers;
use super::ssh::SshRules;

/// What every node is told. Serializes as [`Compiled`](super::Compiled) does, but holds the texts
/// of one node at a time.
pub struct Answers<'a, 'n, 'd> {
    network: &'a Network<'n, 'd>,
    filters: PacketFilters<'a>,
    peers: Peers,
    route_users: RouteUsers,
    approvers: Approvers,
    attributes: Vec<BTreeMap<String, Option<()>>>,
    ssh: SshRules<'n, 'd>,
    /// Indexes of the nodes with routes, ascending.
    routers: Vec<usize>,
}

impl<'a, 'n, 'd> Answers<'a, 'n, 'd> {
    pub(crate) fn of(network: &'a Network<'n, 'd>) -> Self {
        let inventory = network.inventory;
        let mut reach = network.reach();
        let peers = reach.peers(inventory);
        let mut routers = [inventory.routers.as_slice(), &inventory.exit_nodes].concat();
        routers.sort_unstable();
        routers.dedup();
        Self {
            network,
            filters: network.packet_filters(),
            peers,
            route_users: reach.route_users(inventory),
            approvers: Approvers::of(network.policy, &network.resolver),
            attributes: attributes(network.policy, inventory, &network.resolver),
            ssh: network.ssh_rules(),
            routers,
        }
    }

    /// What each node is told, in the order of the snapshot.
    pub fn nodes(&self) -> impl Iterator<Item = NodeOutput> {
        let nodes = self.network.inventory.nodes.iter().enumerate();
        nodes.map(|(at, node)| self.node(at, node))
    }

    fn node(&self, at: usize, node: &Node) -> NodeOutput {
        let inventory = self.network.inventory;
        let peers = self.peers.iter(at).filter_map(|peer| inventory.node(peer));
        let routers = self.routers.iter().filter(|peer| self.peers.see_each_other(at, **peer));
        let peer_routes = routers.filter_map(|peer| {
            let peer = inventory.node(*peer)?;
            let routes = peer.subnet_routes.iter().chain(&peer.exit_routes);
            let usable = routes.filter(|route| self.route_users.may_use(at, **route));
            let usable: Vec<String> = usable.map(ToString::to_string).collect();
            (!usable.is_empty()).then(|| (peer.name.clone(), usable))
        });
        let approved = self.approvers.approved(node);
        NodeOutput {
            id: node.id.to_string(),
            name: node.name.clone(),
            packet_filter: self.filters.rules(at).collect(),
            peers: peers.map(|peer| peer.id.to_string()).collect(),
            peer_routes: peer_routes.collect(),
            ssh_policy: self.ssh.policy_of_node(at),
            auto_approved: approved.iter().map(ToString::to_string).collect(),
            cap_map: self.attributes.get(at).cloned().unwrap_or_default(),
        }
    }
}

impl Serialize for Answers<'_, '_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The nodes as a sequence.
        struct Nodes<'s, 'a, 'n, 'd>(&'s Answers<'a, 'n, 'd>);

        impl Serialize for Nodes<'_, '_, '_, '_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.nodes())
            }
        }

        let symbolic = self.network.is_symbolic;
        let mut compiled = serializer.serialize_struct("Compiled", 2 + usize::from(symbolic))?;
        compiled.serialize_field("headscaleVersion", &self.network.semantics.version)?;
        if symbolic {
            compiled.serialize_field("symbolic", &symbolic)?;
        }
        compiled.serialize_field("nodes", &Nodes(self))?;
        compiled.end()
    }
}
