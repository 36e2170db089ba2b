//! Rules for all nodes, merged as Headscale merges them, and rules for single nodes.

use std::rc::Rc;

use super::compile::{Entry, OwnDevices, Plan, Via, companions, internet};
use super::inventory::{Inventory, Node};
use super::ip_set::{IpRange, IpSetBuilder};
use super::merge::MergeKeys;
use super::rule::{Body, CapMap, Rule, Source, Sources, Target};
use crate::policy::{PortRange, Prefix};
use crate::semantics::{FilterForm, Semantics};

/// The rules that hold for every node alike.
pub(crate) fn common_rules(plan: &Plan, semantics: &Semantics) -> Vec<Rule> {
    match &plan.entries {
        None => vec![allow_all()],
        Some(entries) => {
            let rules = entries.iter().flat_map(|entry: &Entry| entry.common.iter().cloned());
            merged(rules.collect(), semantics.filter_form)
        }
    }
}

/// What a policy without any rules comes to.
pub(crate) fn allow_all() -> Rule {
    let targets = vec![(Target::Any, PortRange::ANY)];
    Rule {
        sources: Rc::new(Sources::new(vec![Source::Any])),
        body: Body::Ports { protocols: Vec::new(), targets },
    }
}

/// Merges rules as Headscale does: each stands where the first of its parts stood.
fn merged(rules: Vec<Rule>, form: FilterForm) -> Vec<Rule> {
    let mut keys = MergeKeys::default();
    let mut merged: Vec<Rule> = Vec::with_capacity(rules.len());
    for rule in rules {
        // Numbers are given in ascending order, so a known one is the place of its rule.
        let id = keys.id_of(&rule, form) as usize;
        match (merged.get_mut(id).map(|known| &mut known.body), rule.body) {
            (Some(Body::Ports { targets, .. }), Body::Ports { targets: more, .. }) => {
                targets.extend(more);
            }
            (_, body) => merged.push(Rule { sources: rule.sources, body }),
        }
    }
    merged
}

/// `autogroup:self` for one node: from and to the untagged devices of its user.
pub(crate) fn own_device_rules(
    own: &OwnDevices,
    node: &Node,
    inventory: &Inventory<'_>,
    form: FilterForm,
) -> Vec<Rule> {
    let Some(user) = node.user else { return Vec::new() };
    let devices: Vec<&Node> =
        inventory.nodes_of_user(user).iter().filter_map(|at| inventory.node(*at)).collect();
    let mut builder = IpSetBuilder::default();
    for set in &own.sources {
        for device in devices.iter().filter(|device| device.is_in(set)) {
            device.add_to(&mut builder);
        }
    }
    let sources = builder.build();
    if sources.is_empty() {
        return Vec::new();
    }
    let written = match form {
        FilterForm::V0_28 => sources.prefixes().map(Source::Prefix).collect(),
        FilterForm::V0_29 => sources.ranges().map(Source::Range).collect(),
    };
    let from = Rc::new(Sources::new(written));
    let mut rules = Vec::new();
    for (protocols, ports) in &own.ip {
        let mut targets = Vec::new();
        for device in &devices {
            for ports in ports {
                targets.extend(device.addrs.iter().map(|addr| (Target::Addr(*addr), *ports)));
            }
        }
        if !targets.is_empty() {
            let body = Body::Ports { protocols: protocols.clone(), targets };
            rules.push(Rule { sources: Rc::clone(&from), body });
        }
    }
    if let Some(app) = &own.app {
        let single = |addr: &std::net::IpAddr| Target::Addr(*addr).prefix();
        let grants: Vec<(Vec<Prefix>, Rc<CapMap>)> = devices
            .iter()
            .map(|device| (device.addrs.iter().filter_map(single).collect(), Rc::clone(app)))
            .collect();
        let reached = devices.iter().flat_map(|device| &device.addrs);
        let reached = reached.map(|addr| Source::Range(IpRange { first: *addr, last: *addr }));
        let reached = reached.collect();
        rules.push(Rule { sources: from, body: Body::Caps(grants) });
        rules.extend(companions(app, reached, sources.prefixes().collect()));
    }
    rules
}

/// The rules of a grant with `via` for one node: none unless it carries one of the tags and routes
/// to one of the destinations.
pub(crate) fn via_rules(via: &Via, node: &Node) -> Vec<Rule> {
    if !via.tags.iter().any(|tag| node.tags.contains(tag)) {
        return Vec::new();
    }
    let routed = |prefix: &&Prefix| node.subnet_routes.iter().any(|route| route.overlaps(**prefix));
    let mut prefixes: Vec<Prefix> = via.destinations.iter().filter(routed).copied().collect();
    if via.internet && node.is_exit_node() {
        prefixes.extend(internet());
    }
    if prefixes.is_empty() {
        return Vec::new();
    }
    let rules = via.ip.iter().filter(|(_, ports)| !ports.is_empty());
    rules
        .map(|(protocols, ports)| {
            let targets = prefixes
                .iter()
                .flat_map(|prefix| ports.iter().map(|ports| (Target::Net(*prefix), *ports)));
            let body = Body::Ports { protocols: protocols.clone(), targets: targets.collect() };
            Rule { sources: Rc::clone(&via.sources), body }
        })
        .collect()
}

/// The addresses of `node` in `prefixes`, and those prefixes that lie behind its routes.
pub(crate) fn reduced_prefixes(
    prefixes: impl Iterator<Item = Prefix> + Clone,
    node: &Node,
) -> Vec<Prefix> {
    let single = |addr| Target::Addr(addr).prefix();
    let own = prefixes.clone().flat_map(|prefix| {
        let addrs = node.addrs.iter().copied().filter(move |addr| prefix.contains(*addr));
        addrs.filter_map(single)
    });
    let behind =
        prefixes.filter(|prefix| node.subnet_routes.iter().any(|route| route.overlaps(*prefix)));
    let mut reduced: Vec<Prefix> = own.chain(behind).collect();
    reduced.sort_unstable();
    reduced.dedup();
    reduced
}
