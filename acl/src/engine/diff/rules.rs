//! The rules of a policy as boxes: from whom, to whom, and what.

use std::rc::Rc;

use serde_json::value::RawValue;

use super::meaning::{Allowed, Capabilities, Logins};
use crate::engine::boxes::Cell;
use crate::engine::filter::via_rules;
use crate::engine::flow::opened;
use crate::engine::ip_set::{IpSet, IpSetBuilder};
use crate::engine::network::Network;
use crate::engine::port_set::PortSet;
use crate::engine::resolve::EVERYTHING;
use crate::engine::rule::{Body, CapMap, Rule};
use crate::policy::{PortRange, SshAction};

/// The connections that a policy allows, and the capabilities that it gives.
pub(super) fn connections(
    network: &Network<'_, '_>,
    vacant: &IpSet,
) -> (Allowed<PortSet>, Allowed<Capabilities>) {
    let inventory = network.inventory;
    let (mut net, mut app) = (Allowed::NONE, Allowed::NONE);
    let Some(entries) = &network.plan.entries else {
        let everything = EVERYTHING.difference(vacant);
        let items = PortSet::of(&[], [PortRange::ANY]);
        net.any.push(Cell { sources: everything.clone(), destinations: everything, items });
        return (net, app);
    };
    let members = network.members();
    for entry in entries {
        for rule in &entry.common {
            add_rule(rule, vacant, &mut net.any, &mut app.any);
        }
        if let Some(own) = &entry.own_devices {
            let mut builder = IpSetBuilder::default();
            for set in &own.sources {
                builder.add_set(&inventory.addresses(inventory.nodes_in(set).iter()));
            }
            let sources = builder.build();
            // What is not a member's device is nobody's own.
            let sources = sources.intersection(&members);
            let (from, to) = (&sources, &members);
            for (protocols, ports) in &own.ip {
                let items = PortSet::of(protocols, ports.iter().copied());
                net.own.push(Cell { sources: from.clone(), destinations: to.clone(), items });
            }
            if let Some(capabilities) = &own.app {
                let items = named(capabilities);
                app.own.push(Cell { sources: from.clone(), destinations: to.clone(), items });
            }
        }
        if let Some(via) = &entry.via {
            for rule in inventory.nodes.iter().flat_map(|node| via_rules(via, node)) {
                add_rule(&rule, vacant, &mut net.any, &mut app.any);
            }
        }
    }
    (net, app)
}

fn named(capabilities: &CapMap) -> Capabilities {
    let parameters = |values: &Option<Vec<Rc<RawValue>>>| {
        values.iter().flatten().map(|value| value.get()).collect::<Vec<_>>().join(" ")
    };
    capabilities.iter().map(|(name, values)| (name.clone(), parameters(values))).collect()
}

fn add_rule(
    rule: &Rule,
    vacant: &IpSet,
    net: &mut Vec<Cell<PortSet>>,
    app: &mut Vec<Cell<Capabilities>>,
) {
    let sources = rule.sources.set.difference(vacant);
    net.extend(opened(rule).into_iter().map(|(items, destinations)| Cell {
        sources: sources.clone(),
        destinations: destinations.difference(vacant),
        items,
    }));
    if let Body::Caps(grants) = &rule.body {
        app.extend(grants.iter().map(|(prefixes, capabilities)| Cell {
            sources: sources.clone(),
            destinations: IpSet::of_all(prefixes.iter().copied()).difference(vacant),
            items: named(capabilities),
        }));
    }
}

/// The SSH logins that a policy allows.
pub(super) fn logins(network: &Network<'_, '_>) -> Allowed<Logins> {
    let inventory = network.inventory;
    let mut allowed = Allowed::NONE;
    let members = network.members();
    for rule in &network.policy.ssh {
        let check = rule.action == Some(Some(SshAction::Check));
        let users = rule.users.iter().flatten();
        let items: Logins = users.map(|user| (user.value.to_string(), check)).collect();
        let union = |aliases: &mut dyn Iterator<Item = &crate::policy::Alias<'_>>| {
            let mut builder = IpSetBuilder::default();
            for alias in aliases {
                builder.add_set(&network.resolver.resolve_any(alias).set());
            }
            let set = builder.build();
            inventory.addresses(inventory.nodes_in(&set).iter())
        };
        let sources = union(&mut rule.sources.iter().map(|source| &source.value));
        let destinations = union(&mut rule.destinations.iter().map(|dst| &dst.value));
        if rule.destinations.iter().any(|dst| dst.value.is_autogroup("autogroup:self")) {
            let sources = sources.intersection(&members);
            let (destinations, items) = (members.clone(), items.clone());
            allowed.own.push(Cell { sources, destinations, items });
        }
        if !destinations.is_empty() {
            allowed.any.push(Cell { sources, destinations, items });
        }
    }
    allowed
}
