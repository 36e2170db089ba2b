//! A policy compiled for a tailnet, ready for questions.

use super::approve::{Approvers, attributes};
use super::compile::{Origin, Plan};
use super::filter::{reduced, rules_of_node};
use super::inventory::{Inventory, Node};
use super::node_set::NodeSet;
use super::output::{Compiled, FilterRule, NodeOutput};
use super::reach::Reach;
use super::resolve::Resolver;
use super::ssh::SshRules;
use crate::hujson::Document;
use crate::policy::Policy;
use crate::semantics::Semantics;
use crate::tailnet::Tailnet;

/// A policy compiled for the nodes of a tailnet.
pub struct Network<'n, 'd> {
    pub(crate) policy: &'n Policy<'d>,
    pub(crate) inventory: &'n Inventory<'n>,
    pub(crate) resolver: Resolver<'n, 'd>,
    pub(crate) plan: Plan,
    pub(crate) semantics: &'static Semantics,
    pub(crate) is_symbolic: bool,
}

impl<'n, 'd> Network<'n, 'd> {
    /// Compiles `policy`, read from `doc`, for the nodes of `inventory`.
    ///
    /// The policy must be one that Headscale takes; of another one only what could be read counts.
    #[must_use]
    pub fn new(
        policy: &'n Policy<'d>,
        doc: &'d Document<'_>,
        inventory: &'n Inventory<'n>,
        semantics: &'static Semantics,
    ) -> Self {
        let resolver = Resolver::new(policy, inventory, semantics);
        let plan = Plan::of(policy, doc, &resolver);
        Self { policy, inventory, resolver, plan, semantics, is_symbolic: false }
    }

    /// The same network, whose nodes are made up: [`symbolic`](super::symbolic). Its answers say so.
    #[must_use]
    pub fn of_made_up_nodes(mut self) -> Self {
        self.is_symbolic = true;
        self
    }

    /// The users and nodes that it is about.
    #[must_use]
    pub const fn tailnet(&self) -> &'n Tailnet {
        self.inventory.tailnet
    }

    /// Whether they are made up from the policy.
    #[must_use]
    pub const fn is_symbolic(&self) -> bool {
        self.is_symbolic
    }

    /// Where the rules stand in the policy, in Headscale's order: `grants` before `acls`; since
    /// 0.29 an entry of `acls` once for each of its destinations.
    pub fn origins(&self) -> impl Iterator<Item = Origin> {
        self.plan.entries.iter().flatten().map(|entry| entry.origin)
    }

    /// What every node is told.
    #[must_use]
    pub fn compiled(&self) -> Compiled {
        let reach = Reach::of(&self.plan, self.inventory, self.semantics);
        let approvers = Approvers::of(self.policy, &self.resolver);
        let attributes = attributes(self.policy, self.inventory, &self.resolver);
        let ssh = self.ssh_rules();
        let nodes = self.inventory.nodes.iter().zip(attributes).enumerate();
        let nodes = nodes.map(|(at, (node, cap_map))| {
            let peers: Vec<&Node> = reach
                .peers
                .get(at)
                .into_iter()
                .flat_map(NodeSet::iter)
                .filter_map(|peer| self.inventory.node(peer))
                .collect();
            let usable = |peer: &Node| -> Vec<String> {
                let routes = peer.subnet_routes.iter().chain(&peer.exit_routes);
                routes.filter(|route| reach.may_use(at, **route)).map(ToString::to_string).collect()
            };
            NodeOutput {
                id: node.id.to_string(),
                name: node.name.clone(),
                packet_filter: self.packet_filter(node),
                peers: peers.iter().map(|peer| peer.id.to_string()).collect(),
                peer_routes: peers
                    .iter()
                    .map(|peer| (peer.name.clone(), usable(peer)))
                    .filter(|(_, routes)| !routes.is_empty())
                    .collect(),
                ssh_policy: ssh.policy_of_node(at),
                auto_approved: approvers.approved(node).iter().map(ToString::to_string).collect(),
                cap_map,
            }
        });
        Compiled {
            headscale_version: self.semantics.version,
            symbolic: self.is_symbolic,
            nodes: nodes.collect(),
        }
    }

    /// The SSH rules, each resolved once.
    pub(crate) fn ssh_rules(&self) -> SshRules<'n, 'd> {
        SshRules::of(self.policy, &self.resolver)
    }

    fn packet_filter(&self, node: &Node) -> Vec<FilterRule> {
        let rules = rules_of_node(&self.plan, node, self.inventory, self.semantics);
        let rules = reduced(&rules, node, self.semantics.filter_form);
        rules.iter().map(FilterRule::of).collect()
    }
}
