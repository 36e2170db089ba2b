//! What may flow: each rule as the connections that it lets through where they arrive.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::engine::compile::Origin;
use crate::engine::filter::{own_device_rules, via_rules};
use crate::engine::inventory::{Inventory, Node};
use crate::engine::ip_set::{IpSet, IpSetBuilder};
use crate::engine::network::Network;
use crate::engine::resolve::{EVERYTHING, INTERNET};
use crate::engine::rule::{Body, Rule};
use crate::policy::{PortRange, Prefix};
use crate::semantics::{FilterForm, Semantics};

/// Connections from all of `sources` to all of `targets`, which are addresses that a node answers
/// for in whose own filter the rule stands.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// The entry; `None` where the policy allows everything because it has no rules.
    pub(super) origin: Option<Origin>,
    pub(super) sources: IpSet,
    pub(super) targets: IpSet,
    /// IANA numbers.
    pub(super) protocols: Vec<u8>,
    pub(super) ports: PortRange,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// IANA number; any where `None`.
    pub(super) protocol: Option<u8>,
    /// Any where `None`.
    pub(super) port: Option<u16>,
}

impl Traffic {
    pub(super) fn matches(self, protocols: &[u8], ports: PortRange) -> bool {
        self.protocol.is_none_or(|protocol| protocols.contains(&protocol))
            && self.port.is_none_or(|port| ports.contains(port))
    }
}

/// The protocols of a rule that names none.
pub(super) const fn default_protocols(semantics: &Semantics) -> &'static [u8] {
    match semantics.filter_form {
        FilterForm::V0_28 => &[6, 17],
        FilterForm::V0_29 => &[1, 6, 17, 58],
    }
}

/// What both sets hold.
pub(super) fn intersection(a: &IpSet, b: &IpSet) -> IpSet {
    a.difference(&a.difference(b))
}

/// What any of the sets holds.
pub(super) fn union<'s>(sets: impl IntoIterator<Item = &'s IpSet>) -> IpSet {
    let mut builder = IpSetBuilder::default();
    for set in sets {
        builder.add_set(set);
    }
    builder.build()
}

/// The addresses that `node` answers for: its own, those behind its approved routes, and the
/// internet where it is an exit node.
fn answered_by<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> IpSet {
    let mut builder = IpSetBuilder::default();
    for node in nodes {
        node.add_to(&mut builder);
        for route in &node.subnet_routes {
            builder.add_prefix(*route);
        }
        if node.is_exit_node() {
            builder.add_set(&INTERNET);
        }
    }
    builder.build()
}

/// The addresses behind the approved routes of any node.
pub(super) fn routed(inventory: &Inventory<'_>) -> IpSet {
    let nodes = answered_by(&inventory.nodes);
    nodes.difference(&inventory.addresses(0..inventory.nodes.len()))
}

/// Everything that the rules of `network` let through, in Headscale's order.
pub(super) fn flows(network: &Network<'_, '_>) -> Vec<Flow> {
    let inventory = network.inventory;
    let everyone = answered_by(&inventory.nodes);
    let mut flows = Flows { semantics: network.semantics, flows: Vec::new() };
    let Some(entries) = &network.plan.entries else {
        return vec![Flow {
            origin: None,
            sources: EVERYTHING.clone(),
            targets: everyone,
            protocols: (0..=u8::MAX).collect(),
            ports: PortRange::ANY,
        }];
    };
    for entry in entries {
        for rule in &entry.common {
            flows.add(entry.origin, rule, &everyone);
        }
        if let Some(own) = &entry.own_devices {
            for user in inventory.users() {
                let devices = inventory.nodes_of_user(user.id).iter();
                let devices: Vec<&Node> = devices.filter_map(|at| inventory.node(*at)).collect();
                let Some(first) = devices.first() else { continue };
                let here = answered_by(devices.iter().copied());
                let form = network.semantics.filter_form;
                for rule in own_device_rules(own, first, inventory, form) {
                    flows.add(entry.origin, &rule, &here);
                }
            }
        }
        if let Some(via) = &entry.via {
            for node in &inventory.nodes {
                for rule in via_rules(via, node) {
                    flows.add(entry.origin, &rule, &answered_by([node]));
                }
            }
        }
    }
    flows.flows
}

struct Flows {
    semantics: &'static Semantics,
    flows: Vec<Flow>,
}

impl Flows {
    /// Adds what `rule` lets through to the addresses `here`.
    fn add(&mut self, origin: Origin, rule: &Rule, here: &IpSet) {
        let Body::Ports { protocols, targets } = &rule.body else { return };
        let mut by_ports: BTreeMap<PortRange, IpSetBuilder> = BTreeMap::new();
        for (target, ports) in targets {
            target.add_to(by_ports.entry(*ports).or_default());
        }
        let protocols = match protocols.as_slice() {
            [] => default_protocols(self.semantics).to_vec(),
            protocols => protocols.to_vec(),
        };
        for (ports, targets) in by_ports {
            let targets = intersection(&targets.build(), here);
            if !targets.is_empty() {
                self.flows.push(Flow {
                    origin: Some(origin),
                    sources: rule.sources.set.clone(),
                    targets,
                    protocols: protocols.clone(),
                    ports,
                });
            }
        }
    }
}

/// An address of each set, of one family and not of one node; `None` where there is no such pair.
pub(super) fn pair(
    sources: &IpSet,
    targets: &IpSet,
    inventory: &Inventory<'_>,
) -> Option<(IpAddr, IpAddr)> {
    EVERYTHING.prefixes().find_map(|family| {
        let family = IpSet::of(family);
        let (from, to) = (intersection(sources, &family), intersection(targets, &family));
        let first = from.iter().next()?;
        let own = own_addresses(first, inventory);
        if let Some(other) = to.difference(&own).iter().next() {
            return Some((first, other));
        }
        // All targets are the first source's own, so any other source will do.
        Some((from.difference(&own).iter().next()?, to.iter().next()?))
    })
}

/// The node that has `addr`.
pub(super) fn owner<'i>(addr: IpAddr, inventory: &'i Inventory<'_>) -> Option<&'i Node> {
    let at = inventory.nodes_in(&single(addr)).iter().next()?;
    inventory.node(at)
}

pub(super) fn single(addr: IpAddr) -> IpSet {
    IpSet::of(Prefix { addr, bits: if addr.is_ipv4() { 32 } else { 128 } })
}

/// All addresses of the node that has `addr`.
fn own_addresses(addr: IpAddr, inventory: &Inventory<'_>) -> IpSet {
    inventory.addresses(inventory.nodes_in(&single(addr)).iter())
}

/// `whole` in parts, each with the indexes of the sets that hold it; the other sets hold nothing
/// of it.
pub(super) fn parts<'s>(
    whole: &IpSet,
    sets: impl IntoIterator<Item = &'s IpSet>,
) -> Vec<(IpSet, Vec<usize>)> {
    let mut parts = vec![(whole.clone(), Vec::new())];
    for (at, set) in sets.into_iter().enumerate() {
        let mut finer = Vec::with_capacity(parts.len());
        for (part, mut members) in parts {
            let outside = part.difference(set);
            if outside == part {
                finer.push((part, members));
                continue;
            }
            let inside = part.difference(&outside);
            if !outside.is_empty() {
                finer.push((outside, members.clone()));
            }
            members.push(at);
            finer.push((inside, members));
        }
        parts = finer;
    }
    parts
}

/// A connection from `sources` to `targets` that none of `flows` lets through; `None` where they
/// let all through.
pub(super) fn gap(
    sources: &IpSet,
    targets: &IpSet,
    flows: &[&Flow],
    inventory: &Inventory<'_>,
) -> Option<(IpAddr, IpAddr)> {
    let parts = parts(sources, flows.iter().map(|flow| &flow.sources));
    parts.iter().find_map(|(part, members)| {
        let reached = members.iter().filter_map(|at| flows.get(*at)).map(|flow| &flow.targets);
        pair(part, &targets.difference(&union(reached)), inventory)
    })
}
