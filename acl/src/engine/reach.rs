//! Which nodes see each other, and which routes they may use.

use foldhash::HashMap;
use std::rc::Rc;

use super::compile::Plan;
use super::filter::common_rules;
use super::inventory::Inventory;
use super::ip_set::IpSet;
use super::node_set::NodeSet;
use super::peers::{Links, ListId, NodeLists, Peers};
use super::resolve::{EVERYTHING, INTERNET};
use super::rule::{Rule, Sources};
use super::scoped::{Scope, Scoped};
use crate::policy::Prefix;
use crate::semantics::{FilterForm, Semantics};

/// A rule by the nodes on both of its sides.
#[derive(Debug)]
struct Sides {
    scope: Scope,
    /// Nodes that are a source, by address or by a route behind them.
    from: ListId,
    /// Nodes that are a destination, by address or by a route behind them.
    to: ListId,
    /// The same with exit nodes, where the destination is the internet.
    to_or_exit: ListId,
    sources: Rc<Sources>,
    destinations: IpSet,
}

impl Sides {
    fn of(
        rule: &Rule,
        scope: Scope,
        inventory: &Inventory<'_>,
        lists: &mut NodeLists,
        form: FilterForm,
    ) -> Self {
        let destinations = rule.body.addresses();
        let mut from = inventory.node_list_in(&rule.sources.set);
        if form == FilterForm::V0_29 {
            from.extend(inventory.routers_to(&rule.sources.set).iter().map(|at| at as u32));
        }
        let mut to = inventory.node_list_in(&destinations);
        let mut to_or_exit = to.clone();
        to_or_exit.extend(inventory.routers_to(&destinations).iter().map(|at| at as u32));
        if form == FilterForm::V0_29 {
            to.clone_from(&to_or_exit);
        }
        if is_the_internet(&destinations, form) {
            to_or_exit.extend(inventory.exit_nodes.iter().map(|at| *at as u32));
        }
        Self {
            scope,
            from: lists.intern(from),
            to: lists.intern(to),
            to_or_exit: lists.intern(to_or_exit),
            sources: Rc::clone(&rule.sources),
            destinations,
        }
    }

    /// Those of a list in whose packet filter the rule stands.
    fn in_scope(&self, list: ListId, inventory: &Inventory<'_>, lists: &mut NodeLists) -> ListId {
        if self.scope == Scope::All {
            return list;
        }
        let nodes = lists.nodes(list).iter().copied();
        let held = nodes.filter(|at| {
            inventory.node(*at as usize).is_some_and(|node| self.scope.holds(*at, node))
        });
        let held = held.collect();
        lists.intern(held)
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

/// The rules of a policy by the nodes on their sides.
#[derive(Debug)]
pub(crate) struct Reach {
    rules: Vec<Sides>,
    lists: NodeLists,
    form: FilterForm,
}

impl Reach {
    /// Costs, for each rule, a search for each range of its sets, and the nodes on its sides.
    pub(crate) fn of(
        plan: &Plan,
        scoped: &[Scoped],
        inventory: &Inventory<'_>,
        semantics: &Semantics,
    ) -> Self {
        let form = semantics.filter_form;
        let mut lists = NodeLists::default();
        let common = common_rules(plan, semantics);
        let scoped = scoped.iter().flat_map(|of| of.rules.iter().map(|rule| (rule, of.scope)));
        let rules = common.iter().map(|rule| (rule, Scope::All)).chain(scoped);
        let rules = rules.map(|(rule, scope)| Sides::of(rule, scope, inventory, &mut lists, form));
        Self { rules: rules.collect(), lists, form }
    }

    /// Two nodes see each other where one of them may reach the other, by any protocol and port.
    pub(crate) fn peers(&mut self, inventory: &Inventory<'_>) -> Peers {
        let lists = &mut self.lists;
        let mut links = Links::default();
        for rule in &self.rules {
            let (from, to) = (rule.from, rule.to_or_exit);
            links.insert((rule.in_scope(from, inventory, lists), to));
            // Since 0.29 it is enough that the rule stands in the filter of either.
            if self.form == FilterForm::V0_29 {
                links.insert((from, rule.in_scope(to, inventory, lists)));
            }
        }
        Peers::of(&links, lists, inventory.nodes.len())
    }

    /// The nodes that may use each route of the tailnet. Costs, for each different route, a search
    /// in the sets of every rule.
    pub(crate) fn route_users(&self, inventory: &Inventory<'_>) -> RouteUsers {
        let mut users: HashMap<Prefix, NodeSet> = HashMap::default();
        let routes = inventory
            .nodes
            .iter()
            .flat_map(|node| node.subnet_routes.iter().chain(&node.exit_routes));
        for route in routes {
            users.entry(*route).or_insert_with(|| self.users_of(*route, inventory));
        }
        RouteUsers(users)
    }

    /// The nodes that may use `route`: sources of a rule to it, and destinations of a rule from it,
    /// for the way back.
    fn users_of(&self, route: Prefix, inventory: &Inventory<'_>) -> NodeSet {
        let mut users = inventory.empty_set();
        for rule in &self.rules {
            let to_it = rule.destinations.overlaps(route).then_some(rule.from);
            let from_it = rule.sources.set.overlaps(route).then_some(rule.to);
            for list in to_it.into_iter().chain(from_it) {
                for at in self.lists.nodes(list) {
                    let node = inventory.node(*at as usize);
                    if node.is_some_and(|node| rule.scope.holds(*at, node)) {
                        users.insert(*at as usize);
                    }
                }
            }
        }
        users
    }
}

/// The nodes that may use each route.
#[derive(Debug)]
pub(crate) struct RouteUsers(HashMap<Prefix, NodeSet>);

impl RouteUsers {
    /// Whether the node at `viewer` may use `route`.
    pub(crate) fn may_use(&self, viewer: usize, route: Prefix) -> bool {
        self.0.get(&route).is_some_and(|users| users.contains(viewer))
    }
}
