//! Which nodes see each other, and which routes they may use.

use foldhash::HashMap;

use super::compile::Plan;
use super::filter::{common_rules, own_device_rules, via_rules};
use super::inventory::Inventory;
use super::ip_set::IpSet;
use super::node_set::NodeSet;
use super::resolve::{EVERYTHING, INTERNET};
use super::rule::Rule;
use crate::policy::Prefix;
use crate::semantics::{FilterForm, Semantics};

/// A rule by the nodes on both of its sides.
#[derive(Debug)]
struct Sides {
    /// Nodes whose own packet filter holds the rule; `None` for all.
    scope: Option<NodeSet>,
    /// Nodes that are a source, by address or by a route behind them.
    from: NodeSet,
    /// Nodes that are a destination, by address or by a route behind them.
    to: NodeSet,
    /// The same with exit nodes, where the destination is the internet.
    to_or_exit: NodeSet,
    sources: IpSet,
    destinations: IpSet,
}

impl Sides {
    fn of(
        rule: &Rule,
        scope: Option<NodeSet>,
        inventory: &Inventory<'_>,
        semantics: &Semantics,
    ) -> Self {
        let sources = rule.sources.set.clone();
        let destinations = rule.body.addresses();
        let mut from = inventory.nodes_in(&sources);
        if semantics.filter_form == FilterForm::V0_29 {
            from.union(&inventory.routers_to(&sources));
        }
        let mut to = inventory.nodes_in(&destinations);
        let behind = inventory.routers_to(&destinations);
        let mut to_or_exit = to.clone();
        to_or_exit.union(&behind);
        if is_the_internet(&destinations, semantics.filter_form) {
            for exit_node in &inventory.exit_nodes {
                to_or_exit.insert(*exit_node);
            }
        }
        if semantics.filter_form == FilterForm::V0_29 {
            to.union(&behind);
        }
        Self { scope, from, to, to_or_exit, sources, destinations }
    }

    /// Those of `nodes` in whose packet filter the rule stands.
    fn in_scope(&self, nodes: &NodeSet) -> NodeSet {
        match &self.scope {
            None => nodes.clone(),
            Some(scope) => nodes.intersection(scope),
        }
    }
}

/// Whether a destination is the internet: all of a family, or all that `autogroup:internet` holds;
/// up to 0.28 exactly that.
fn is_the_internet(set: &IpSet, form: FilterForm) -> bool {
    EVERYTHING.prefixes().any(|all| set.contains_all(all))
        || match form {
            FilterForm::V0_28 => *set == *INTERNET,
            FilterForm::V0_29 => set.is_superset(&INTERNET),
        }
}

/// Who sees whom: built once for a policy and an inventory.
#[derive(Debug)]
pub(crate) struct Reach {
    rules: Vec<Sides>,
    /// The peers of each node, by index.
    pub(crate) peers: Vec<NodeSet>,
    /// The nodes that may use each route.
    users_of_route: HashMap<Prefix, NodeSet>,
}

impl Reach {
    /// Costs, for each rule, the ranges of its sets and the routers, and for each node on one of
    /// its sides a bit set of all nodes.
    pub(crate) fn of(plan: &Plan, inventory: &Inventory<'_>, semantics: &Semantics) -> Self {
        let mut rules: Vec<Sides> = common_rules(plan, semantics)
            .iter()
            .map(|rule| Sides::of(rule, None, inventory, semantics))
            .collect();
        for entry in plan.entries.iter().flatten() {
            if let Some(own) = &entry.own_devices {
                for user in inventory.users() {
                    let devices = inventory.nodes_of_user(user.id);
                    let first = devices.first().and_then(|at| inventory.node(*at));
                    let Some(first) = first else { continue };
                    let mut scope = inventory.empty_set();
                    devices.iter().for_each(|at| scope.insert(*at));
                    for rule in own_device_rules(own, first, inventory, semantics.filter_form) {
                        rules.push(Sides::of(&rule, Some(scope.clone()), inventory, semantics));
                    }
                }
            }
            if let Some(via) = &entry.via {
                for (at, node) in inventory.nodes.iter().enumerate() {
                    for rule in via_rules(via, node) {
                        let mut scope = inventory.empty_set();
                        scope.insert(at);
                        rules.push(Sides::of(&rule, Some(scope), inventory, semantics));
                    }
                }
            }
        }
        let peers = peers(&rules, inventory, semantics);
        let mut reach = Self { rules, peers, users_of_route: HashMap::default() };
        let routes = inventory
            .nodes
            .iter()
            .flat_map(|node| node.subnet_routes.iter().chain(&node.exit_routes));
        for route in routes {
            if !reach.users_of_route.contains_key(route) {
                let users = reach.users_of(*route, inventory);
                reach.users_of_route.insert(*route, users);
            }
        }
        reach
    }

    /// Whether the node at `viewer` may use `route`.
    pub(crate) fn may_use(&self, viewer: usize, route: Prefix) -> bool {
        self.users_of_route.get(&route).is_some_and(|users| users.contains(viewer))
    }

    /// The nodes that may use `route`: sources of a rule to it, and destinations of a rule from it,
    /// for the way back.
    fn users_of(&self, route: Prefix, inventory: &Inventory<'_>) -> NodeSet {
        let mut users = inventory.empty_set();
        for rule in &self.rules {
            if rule.destinations.overlaps(route) {
                users.union(&rule.in_scope(&rule.from));
            }
            if rule.sources.overlaps(route) {
                users.union(&rule.in_scope(&rule.to));
            }
        }
        users
    }
}

/// Two nodes see each other where one of them may reach the other, by any protocol and port.
fn peers(rules: &[Sides], inventory: &Inventory<'_>, semantics: &Semantics) -> Vec<NodeSet> {
    let mut peers = vec![inventory.empty_set(); inventory.nodes.len()];
    let mut join = |nodes: &NodeSet, others: &NodeSet| {
        for node in nodes.iter() {
            if let Some(peers) = peers.get_mut(node) {
                peers.union(others);
            }
        }
    };
    for rule in rules {
        let (from, to) = (&rule.from, &rule.to_or_exit);
        let (from_here, to_here) = (rule.in_scope(from), rule.in_scope(to));
        join(&from_here, to);
        join(to, &from_here);
        // Since 0.29 it is enough that the rule stands in the filter of either.
        if semantics.filter_form == FilterForm::V0_29 && rule.scope.is_some() {
            join(from, &to_here);
            join(&to_here, from);
        }
    }
    for (at, set) in peers.iter_mut().enumerate() {
        set.remove(at);
    }
    peers
}
