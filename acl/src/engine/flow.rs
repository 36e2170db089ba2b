//! What may flow: each rule as the connections that it lets through where they arrive.

use std::net::IpAddr;
use std::rc::Rc;

use foldhash::HashMap;

use super::compile::Origin;
use super::inventory::{Inventory, Node};
use super::ip_set::{IpRange, IpSet, IpSetBuilder};
use super::network::Network;
use super::node_set::NodeSet;
use super::port_set::PortSet;
use super::resolve::{EVERYTHING, INTERNET};
use super::rule::{Body, Rule, Target};
use super::scoped::Scope;
use crate::policy::{PortRange, Prefix};

/// Connections from all of `sources` to all of `targets`, which are addresses that a node answers
/// for in whose own filter the rule stands.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// The entry; `None` where the policy allows everything because it has no rules.
    pub(crate) origin: Option<Origin>,
    pub(crate) sources: Rc<IpSet>,
    pub(crate) targets: Rc<IpSet>,
    pub(crate) ports: PortSet,
}

/// Everything that the rules of a network let through, ready to be searched.
///
/// Building costs the addresses of all rules; what stands in the filters of a user's devices only
/// is made when a question is about that user.
pub(crate) struct Flows {
    /// All addresses that nodes answer for: their own, those behind approved routes, and the
    /// internet behind exit nodes.
    pub(crate) answered: IpSet,
    /// The same without the nodes' own.
    pub(crate) routed: IpSet,
    /// The nodes' own.
    pub(crate) nodes: IpSet,
    /// Those in the filters of all nodes, in Headscale's order, then those of routers.
    stored: Vec<Stored>,
    /// For each user with rules for own devices, the places of those in the list of such rules.
    own_devices: HashMap<u64, Vec<usize>>,
}

/// A flow with what tells quickly that a question is not about it.
struct Stored {
    /// Place of the entry in the policy.
    entry: usize,
    flow: Flow,
    /// The nodes that have an address among the sources, and among the targets.
    nodes: [Rc<NodeSet>; 2],
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Target,
}

/// What a set of addresses at one end has to do with the flows of a network.
#[derive(Clone, Debug)]
pub(crate) struct Concern {
    /// How many ranges the set is made of.
    parts: usize,
    /// The nodes with an address in the set.
    nodes: NodeSet,
    /// Places of the stored flows that share an address with it.
    stored: NodeSet,
}

impl Flows {
    pub(crate) fn of(network: &Network<'_, '_>) -> Self {
        let inventory = network.inventory;
        let nodes = inventory.addresses(0..inventory.nodes.len());
        let answered = answered_by(&inventory.nodes, &nodes);
        let mut stored = Vec::new();
        let mut known: HashMap<*const IpSet, Rc<NodeSet>> = HashMap::default();
        let mut add = |entry: usize, flow: Flow| {
            let sources = known
                .entry(Rc::as_ptr(&flow.sources))
                .or_insert_with(|| Rc::new(inventory.nodes_in(&flow.sources)));
            let nodes = [Rc::clone(sources), Rc::new(inventory.nodes_in(&flow.targets))];
            stored.push(Stored { entry, flow, nodes });
        };
        let mut own_devices: HashMap<u64, Vec<usize>> = HashMap::default();
        match &network.plan.entries {
            None => add(
                0,
                Flow {
                    origin: None,
                    sources: Rc::new(EVERYTHING.clone()),
                    targets: Rc::new(answered.clone()),
                    // Without protocols this is TCP, UDP and ICMP, not every protocol.
                    ports: PortSet::of(&[], [PortRange::ANY]),
                },
            ),
            Some(entries) => {
                for (at, entry) in entries.iter().enumerate() {
                    let rules = entry.common.iter();
                    let flows = rules.flat_map(|rule| of_rule(rule, entry.origin, &answered));
                    flows.for_each(|flow| add(at, flow));
                }
                for (place, scoped) in network.scoped().iter().enumerate() {
                    let origin = entries.get(scoped.entry).map(|entry| entry.origin);
                    match (scoped.scope, origin) {
                        (Scope::Devices(user), _) => {
                            own_devices.entry(user).or_default().push(place);
                        }
                        (Scope::Node(at), Some(origin)) => {
                            let here = answered_by(inventory.node(at as usize), &nodes);
                            let rules = scoped.rules.iter();
                            let flows = rules.flat_map(|rule| of_rule(rule, origin, &here));
                            flows.for_each(|flow| add(scoped.entry, flow));
                        }
                        (Scope::All, _) | (_, None) => {}
                    }
                }
            }
        }
        let routed = answered.difference(&nodes);
        Self { answered, routed, nodes, stored, own_devices }
    }

    /// What `set` has to do with the flows as an end of connections: costs a few steps for each flow
    /// and each node in it.
    pub(crate) fn concern(&self, network: &Network<'_, '_>, end: End, set: &IpSet) -> Concern {
        let nodes = network.inventory.nodes_in(set);
        // What of it no node has.
        let others = set.difference(&self.nodes);
        let mut stored = NodeSet::new(self.stored.len());
        for (at, Stored { flow, nodes: [sources, targets], .. }) in self.stored.iter().enumerate() {
            let (own, own_nodes) = match end {
                End::Source => (&flow.sources, sources),
                End::Target => (&flow.targets, targets),
            };
            if nodes.intersects(own_nodes) || (!others.is_empty() && others.intersects(own)) {
                stored.insert(at);
            }
        }
        Concern { parts: set.parts(), nodes, stored }
    }

    /// What may flow from an address of `from` to one of `to`, in Headscale's order; `None` is any
    /// address. May hold flows that join other addresses only.
    ///
    /// Costs a few steps for each flow and each node that is asked for.
    pub(crate) fn about(
        &self,
        network: &Network<'_, '_>,
        from: Option<&IpSet>,
        to: Option<&IpSet>,
    ) -> Vec<Flow> {
        let from = from.map(|set| self.concern(network, End::Source, set));
        let to = to.map(|set| self.concern(network, End::Target, set));
        self.between(network, [from.as_ref(), to.as_ref()], |_| true)
    }

    /// The same of ends that are known, of flows whose ports are `wanted` only.
    pub(crate) fn between(
        &self,
        network: &Network<'_, '_>,
        ends: [Option<&Concern>; 2],
        wanted: impl Fn(&PortSet) -> bool,
    ) -> Vec<Flow> {
        let inventory = network.inventory;
        let mut found: Vec<(usize, u8, Flow)> = Vec::new();
        let mut add = |stored: &Stored| {
            if wanted(&stored.flow.ports) {
                found.push((stored.entry, 0, stored.flow.clone()));
            }
        };
        match ends {
            [None, None] => self.stored.iter().for_each(add),
            [Some(one), None] | [None, Some(one)] => {
                one.stored.iter().filter_map(|at| self.stored.get(at)).for_each(add);
            }
            [Some(from), Some(to)] => {
                let both = from.stored.common(&to.stored);
                both.filter_map(|at| self.stored.get(at)).for_each(&mut add);
            }
        }
        for user in self.users_about(ends, inventory) {
            let devices = inventory.nodes_of_user(user).iter();
            let here = answered_by(devices.filter_map(|at| inventory.node(*at)), &self.nodes);
            let places = self.own_devices.get(&user).into_iter().flatten();
            for scoped in places.filter_map(|place| network.scoped().get(*place)) {
                let entries = network.plan.entries.as_deref().unwrap_or_default();
                let Some(entry) = entries.get(scoped.entry) else { continue };
                let rules = scoped.rules.iter();
                let flows = rules.flat_map(|rule| of_rule(rule, entry.origin, &here));
                let flows = flows.filter(|flow| wanted(&flow.ports));
                found.extend(flows.map(|flow| (scoped.entry, 1, flow)));
            }
        }
        found.sort_by_key(|(entry, phase, _)| (*entry, *phase));
        found.into_iter().map(|(.., flow)| flow).collect()
    }

    /// The users with rules for own devices of whom all ends have a device, by id.
    fn users_about(&self, ends: [Option<&Concern>; 2], inventory: &Inventory<'_>) -> Vec<u64> {
        if self.own_devices.is_empty() {
            return Vec::new();
        }
        let fewest = ends.iter().flatten().min_by_key(|end| end.parts);
        let mut users: Vec<u64> = match fewest {
            Some(end) => {
                let nodes = end.nodes.iter().filter_map(|at| inventory.node(at)?.user);
                nodes.filter(|user| self.own_devices.contains_key(user)).collect()
            }
            None => self.own_devices.keys().copied().collect(),
        };
        users.sort_unstable();
        users.dedup();
        let is_in = |end: &Concern, user: u64| {
            inventory.nodes_of_user(user).iter().any(|at| end.nodes.contains(*at))
        };
        users.retain(|user| ends.iter().flatten().all(|end| is_in(end, *user)));
        users
    }
}

/// What a rule lets through to the addresses `here`.
fn of_rule(rule: &Rule, origin: Origin, here: &IpSet) -> impl Iterator<Item = Flow> {
    opened(rule).into_iter().filter_map(move |(ports, targets)| {
        let targets = targets.intersection(here);
        let sources = Rc::clone(&rule.sources.set);
        let flow = Flow { origin: Some(origin), sources, targets: Rc::new(targets), ports };
        (!flow.targets.is_empty()).then_some(flow)
    })
}

/// What a rule opens: destinations by their ports; nothing where it gives capabilities.
pub(crate) fn opened(rule: &Rule) -> Vec<(PortSet, IpSet)> {
    let Body::Ports { protocols, targets } = &rule.body else { return Vec::new() };
    let mut by_ports: HashMap<Vec<PortRange>, IpSetBuilder> = HashMap::default();
    // A destination stands in a row once for each of its ports.
    for row in targets.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((target, _)) = row.first() else { continue };
        let ports = row.iter().map(|(_, ports)| *ports).collect();
        Target::add_to(*target, by_ports.entry(ports).or_default());
    }
    let mut opened: Vec<(PortSet, IpSet)> = by_ports
        .into_iter()
        .map(|(ports, targets)| (PortSet::of(protocols, ports), targets.build()))
        .filter(|(ports, _)| !ports.is_empty())
        .collect();
    opened.sort_by(|a, b| a.0.cmp(&b.0));
    opened
}

/// The addresses that some nodes answer for, where `all` are those of all nodes: their own, those
/// behind approved routes, and the internet where one is an exit node. What another node has is
/// reached there, whatever the route: the narrowest one counts.
fn answered_by<'n>(nodes: impl IntoIterator<Item = &'n Node>, all: &IpSet) -> IpSet {
    let mut own = IpSetBuilder::default();
    let mut behind = IpSetBuilder::default();
    for node in nodes {
        node.add_to(&mut own);
        for route in &node.subnet_routes {
            behind.add_prefix(*route);
        }
        if node.is_exit_node() {
            behind.add_set(&INTERNET);
        }
    }
    own.add_set(&behind.build().difference(all));
    own.build()
}

/// An address of each set, of one family and not of one node; `None` where there is no such pair.
pub(crate) fn pair(
    sources: &IpSet,
    targets: &IpSet,
    inventory: &Inventory<'_>,
) -> Option<(IpAddr, IpAddr)> {
    pair_of(|| sources.ranges(), || targets.ranges(), inventory)
}

/// The same for what both first sets and what both second ones hold.
pub(crate) fn common_pair(
    sources: (&IpSet, &IpSet),
    targets: (&IpSet, &IpSet),
    inventory: &Inventory<'_>,
) -> Option<(IpAddr, IpAddr)> {
    let (from, to) = (|| sources.0.common(sources.1), || targets.0.common(targets.1));
    pair_of(from, to, inventory)
}

fn pair_of<S: Iterator<Item = IpRange>, T: Iterator<Item = IpRange>>(
    sources: impl Fn() -> S,
    targets: impl Fn() -> T,
    inventory: &Inventory<'_>,
) -> Option<(IpAddr, IpAddr)> {
    [true, false].into_iter().find_map(|v4| {
        let of_family = |range: &IpRange| range.first.is_ipv4() == v4;
        let from = || sources().filter(of_family);
        let to = || targets().filter(of_family);
        let first = from().next()?.first;
        let own = own_addresses(first, inventory);
        // Few addresses are a node's own, so few ranges are looked at.
        let other = |range: IpRange| IpSet::of_range(range).difference(&own).first();
        if let Some(other) = to().find_map(other) {
            return Some((first, other));
        }
        // All targets are the first source's own, so any other source will do.
        Some((from().find_map(other)?, to().next()?.first))
    })
}

/// The node that has `addr`.
pub(crate) fn owner<'i>(addr: IpAddr, inventory: &'i Inventory<'_>) -> Option<&'i Node> {
    inventory.node(inventory.nodes_within(single(addr)).next()? as usize)
}

/// All addresses of the nodes that have `addr`.
fn own_addresses(addr: IpAddr, inventory: &Inventory<'_>) -> IpSet {
    inventory.addresses(inventory.nodes_within(single(addr)).map(|at| at as usize))
}

const fn single(addr: IpAddr) -> Prefix {
    Prefix { addr, bits: if addr.is_ipv4() { 32 } else { 128 } }
}

/// A connection from `sources` to `targets` that none of `flows` lets through; `None` where they
/// let all through.
pub(crate) fn gap(
    sources: &IpSet,
    targets: &IpSet,
    flows: &[&Flow],
    inventory: &Inventory<'_>,
) -> Option<(IpAddr, IpAddr)> {
    // Mostly one rule lets all through, or none does.
    let covers =
        |flow: &&Flow| flow.sources.is_superset(sources) && flow.targets.is_superset(targets);
    if flows.iter().any(covers) {
        return None;
    }
    let mut left = sources.clone();
    while let Some(first) = left.first() {
        let within: Vec<&&Flow> =
            flows.iter().filter(|flow| flow.sources.contains(first)).collect();
        let closed =
            within.iter().fold(targets.clone(), |left, flow| left.difference(&flow.targets));
        let alone = IpSet::of(single(first));
        if let Some(pair) = pair(&alone, &closed, inventory) {
            return Some(pair);
        }
        // Whoever else these let through reaches all targets too.
        let done = match closed.is_empty() {
            true => within.iter().fold(left.clone(), |left, flow| left.intersection(&flow.sources)),
            false => alone,
        };
        left = left.difference(&done);
    }
    None
}
