//! Rules that stand in the packet filters of some nodes only: `autogroup:self` and `via`.

use super::compile::Plan;
use super::filter::{own_device_rules, via_rules};
use super::inventory::{Inventory, Node};
use super::rule::Rule;
use crate::semantics::FilterForm;

/// In whose packet filters a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Those of all nodes.
    All,
    /// Those of the untagged devices of the user with this id.
    Devices(u64),
    /// That of the node with this index.
    Node(u32),
}

impl Scope {
    /// Whether the filter of `node`, with the index `at`, holds the rule.
    pub(crate) fn holds(self, at: u32, node: &Node) -> bool {
        match self {
            Self::All => true,
            Self::Devices(user) => node.user == Some(user),
            Self::Node(only) => only == at,
        }
    }
}

/// What one entry of the policy comes to within one scope.
#[derive(Debug)]
pub(crate) struct Scoped {
    pub(crate) scope: Scope,
    /// Index of the entry in the plan.
    pub(crate) entry: usize,
    /// Not empty.
    pub(crate) rules: Vec<Rule>,
}

/// All rules for some nodes only: those of users first, then those of single nodes; in one scope in
/// the order of the plan. Costs, for each entry with `autogroup:self`, all untagged devices; for
/// each with `via`, the routers with its tags.
pub(crate) fn scoped_rules(
    plan: &Plan,
    inventory: &Inventory<'_>,
    form: FilterForm,
) -> Vec<Scoped> {
    let mut scoped = Vec::new();
    let entries = || plan.entries.iter().flatten().enumerate();
    for (user, devices) in inventory.devices_by_user() {
        let Some(device) = devices.first().and_then(|at| inventory.node(*at)) else { continue };
        for (entry, own) in entries().filter_map(|(at, e)| Some((at, e.own_devices.as_ref()?))) {
            let rules = own_device_rules(own, device, inventory, form);
            if !rules.is_empty() {
                scoped.push(Scoped { scope: Scope::Devices(user), entry, rules });
            }
        }
    }
    let mut by_node = Vec::new();
    for (entry, via) in entries().filter_map(|(at, e)| Some((at, e.via.as_ref()?))) {
        let mut tagged: Vec<usize> =
            via.tags.iter().flat_map(|tag| inventory.nodes_with_tag(tag)).copied().collect();
        tagged.sort_unstable();
        tagged.dedup();
        for at in tagged {
            let rules = inventory.node(at).map(|node| via_rules(via, node)).unwrap_or_default();
            if !rules.is_empty() {
                by_node.push((at, Scoped { scope: Scope::Node(at as u32), entry, rules }));
            }
        }
    }
    by_node.sort_by_key(|(at, scoped)| (*at, scoped.entry));
    scoped.extend(by_node.into_iter().map(|(_, scoped)| scoped));
    scoped
}
