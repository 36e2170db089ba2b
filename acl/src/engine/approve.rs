//! Routes that the policy approves by itself, and attributes that it gives to nodes.

use std::collections::BTreeMap;

use super::inventory::{Inventory, Node, is_exit_route};
use super::ip_set::{IpSet, IpSetBuilder};
use super::resolve::Resolver;
use crate::policy::{Alias, Policy, Prefix, Spanned};

/// Who may announce which routes.
#[derive(Debug)]
pub(crate) struct Approvers {
    pub(crate) routes: Vec<(Prefix, IpSet)>,
    pub(crate) exit_nodes: IpSet,
}

impl Approvers {
    pub(crate) fn of<'d>(policy: &Policy<'d>, resolver: &Resolver<'_, 'd>) -> Self {
        let union = |approvers: &[Spanned<Alias<'d>>]| {
            let mut builder = IpSetBuilder::default();
            for approver in approvers {
                builder.add_set(&resolver.resolve(&approver.value).set());
            }
            builder.build()
        };
        let routes = policy.auto_approvers.routes.iter();
        Self {
            routes: routes
                .filter_map(|route| Some((route.prefix.value?, union(&route.approvers))))
                .collect(),
            exit_nodes: union(&policy.auto_approvers.exit_node),
        }
    }

    /// The approved routes of `node` once the policy has approved what it may: nothing is ever
    /// taken back.
    pub(crate) fn approved(&self, node: &Node) -> Vec<Prefix> {
        let announced = node.announced.iter().filter(|route| self.approves(node, **route));
        let mut approved: Vec<Prefix> = node.approved.iter().chain(announced).copied().collect();
        approved.sort_unstable();
        approved.dedup();
        approved
    }

    fn approves(&self, node: &Node, route: Prefix) -> bool {
        if is_exit_route(route) {
            return node.is_in(&self.exit_nodes);
        }
        self.routes.iter().any(|(prefix, approvers)| {
            prefix.bits <= route.bits && prefix.overlaps(route) && node.is_in(approvers)
        })
    }
}

/// The attributes of each node by index; each with `null` as its value.
pub(crate) fn attributes<'d>(
    policy: &Policy<'d>,
    inventory: &Inventory<'_>,
    resolver: &Resolver<'_, 'd>,
) -> Vec<BTreeMap<String, Option<()>>> {
    let mut attributes = vec![BTreeMap::new(); inventory.nodes.len()];
    if policy.randomize_client_port {
        for node in &mut attributes {
            node.insert("randomize-client-port".to_owned(), None);
        }
    }
    for entry in &policy.node_attrs {
        let mut builder = IpSetBuilder::default();
        for target in &entry.targets {
            builder.add_set(&resolver.resolve(&target.value).set());
        }
        for node in inventory.nodes_in(&builder.build()).iter() {
            let Some(node) = attributes.get_mut(node) else { continue };
            for attr in &entry.attrs {
                node.insert(attr.value.to_string(), None);
            }
        }
    }
    attributes
}
