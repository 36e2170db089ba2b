//! Rules for single nodes, merged and reduced as Headscale reduces them.

use std::rc::Rc;

use super::compile::{Entry, OwnDevices, Plan, Via, companions, internet};
use super::inventory::{Inventory, Node};
use super::ip_set::{IpRange, IpSetBuilder};
use super::resolve::INTERNET;
use super::rule::{Body, CapMap, Rule, Source, Sources, Target};
use crate::policy::{PortRange, Prefix};
use crate::semantics::{FilterForm, Semantics};

/// The rules of a node before they are reduced, in Headscale's order and merged as it merges them.
pub(crate) fn rules_of_node(
    plan: &Plan,
    node: &Node,
    inventory: &Inventory<'_>,
    semantics: &Semantics,
) -> Vec<Rule> {
    let Some(entries) = &plan.entries else { return vec![allow_all()] };
    let form = semantics.filter_form;
    let mut rules: Vec<Rule> = Vec::new();
    for entry in entries {
        let own = entry.own_devices.as_ref();
        let own = own.map(|own| own_device_rules(own, node, inventory, form)).unwrap_or_default();
        let via = entry.via.as_ref().map(|via| via_rules(via, node)).unwrap_or_default();
        let common = entry.common.iter().cloned();
        match form {
            FilterForm::V0_28 => rules.extend(own.into_iter().chain(common)),
            FilterForm::V0_29 => rules.extend(common.chain(own).chain(via)),
        }
    }
    merged(rules, form)
}

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

fn allow_all() -> Rule {
    let targets = vec![(Target::Any, PortRange::ANY)];
    Rule {
        sources: Rc::new(Sources::new(vec![Source::Any])),
        body: Body::Ports { protocols: Vec::new(), targets },
    }
}

fn merged(rules: Vec<Rule>, form: FilterForm) -> Vec<Rule> {
    if form == FilterForm::V0_28 {
        return rules;
    }
    let mut merged: Vec<Rule> = Vec::with_capacity(rules.len());
    for rule in rules {
        match merged.iter_mut().find(|known| known.merges(&rule)) {
            Some(known) => {
                if let (Body::Ports { targets, .. }, Body::Ports { targets: more, .. }) =
                    (&mut known.body, rule.body)
                {
                    targets.extend(more);
                }
            }
            None => merged.push(rule),
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

/// `rules` with only what concerns `node`: its own addresses, what lies behind its routes, and the
/// internet where it is an exit node.
pub(crate) fn reduced(rules: &[Rule], node: &Node, form: FilterForm) -> Vec<Rule> {
    rules
        .iter()
        .filter_map(|rule| {
            let body = match &rule.body {
                Body::Ports { protocols, targets } => {
                    let kept = targets.iter().filter(|(target, _)| concerns(*target, node, form));
                    let targets: Vec<_> = kept.copied().collect();
                    (!targets.is_empty())
                        .then(|| Body::Ports { protocols: protocols.clone(), targets })?
                }
                Body::Caps(grants) => {
                    let kept = grants.iter().filter_map(|(prefixes, caps)| {
                        let prefixes = reduced_prefixes(prefixes, node);
                        (!prefixes.is_empty()).then(|| (prefixes, Rc::clone(caps)))
                    });
                    let grants: Vec<_> = kept.collect();
                    (!grants.is_empty()).then_some(Body::Caps(grants))?
                }
            };
            Some(Rule { sources: Rc::clone(&rule.sources), body })
        })
        .collect()
}

fn concerns(target: Target, node: &Node, form: FilterForm) -> bool {
    let Some(prefix) = target.prefix() else {
        // Everything concerns whoever has an address or a route.
        return !node.addrs.is_empty() || !node.subnet_routes.is_empty();
    };
    let routes = match form {
        // Announced routes count even where nobody approved them.
        FilterForm::V0_28 => &node.announced,
        FilterForm::V0_29 => &node.subnet_routes,
    };
    node.addrs.iter().any(|addr| prefix.contains(*addr))
        || routes.iter().any(|route| route.overlaps(prefix))
        || (form == FilterForm::V0_29 && node.is_exit_node() && INTERNET.contains_all(prefix))
}

/// The addresses of `node` in `prefixes`, and those prefixes that lie behind its routes.
fn reduced_prefixes(prefixes: &[Prefix], node: &Node) -> Vec<Prefix> {
    let single = |addr| Target::Addr(addr).prefix();
    let own = prefixes.iter().flat_map(|prefix| {
        node.addrs.iter().filter(|addr| prefix.contains(**addr)).filter_map(|addr| single(*addr))
    });
    let behind = prefixes
        .iter()
        .filter(|prefix| node.subnet_routes.iter().any(|route| route.overlaps(**prefix)));
    let mut reduced: Vec<Prefix> = own.chain(behind.copied()).collect();
    reduced.sort_unstable();
    reduced.dedup();
    reduced
}
