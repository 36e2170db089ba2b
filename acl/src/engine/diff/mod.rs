//! What a change of the policy changes: what becomes reachable, and what stops being.

mod boxes;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hash;
use std::rc::Rc;

use foldhash::HashMap;
use serde::Serialize;
use serde_json::value::RawValue;

use self::boxes::{Cell, Items, gained};
use self::names::{Names, vacant};
use super::filter::via_rules;
use super::inventory::Inventory;
use super::ip_set::{IpSet, IpSetBuilder};
use super::network::Network;
use super::port_set::PortSet;
use super::query::{accepted, read};
use super::resolve::EVERYTHING;
use super::rule::{Body, CapMap, Rule};
use super::symbolic::symbolic;
use crate::check::Checked;
use crate::policy::{Policy, PortRange, SshAction};
use crate::semantics::{Semantics, Version};
use crate::tailnet::Tailnet;

/// What a change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing.
    Same,
    /// More is reachable, and nothing stops being.
    Grows,
    /// Less is reachable, and nothing new is.
    Shrinks,
    /// Both.
    Changes,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Same => "same",
            Self::Grows => "grows",
            Self::Shrinks => "shrinks",
            Self::Changes => "changes",
        })
    }
}

/// What a row of a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Connections.
    Net,
    /// Capabilities that an application on the node honours.
    App,
    /// SSH logins.
    Ssh,
    /// Approved routes of a node.
    Route,
    /// Who approves which routes.
    Approval,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Net => "net",
            Self::App => "app",
            Self::Ssh => "ssh",
            Self::Route => "route",
            Self::Approval => "approval",
        })
    }
}

/// Something that becomes possible or stops being, in the policies' own names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Row {
    /// What it is about.
    pub kind: Kind,
    /// Who; names with commas between.
    pub src: String,
    /// Whom or what; names with commas between, or `autogroup:self` for one's own devices.
    pub dst: String,
    /// The protocols, with commas between; empty for the client's default ones, and where there
    /// are none. For an application the name of the capability.
    pub proto: String,
    /// The ports; empty where there are none.
    pub ports: String,
    /// Login users, for SSH.
    pub users: String,
}

/// The difference between two policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What it comes to.
    pub verdict: Verdict,
    /// What becomes possible.
    pub added: Vec<Row>,
    /// What stops being possible.
    pub removed: Vec<Row>,
}

/// Which of two policies Headscale would not take, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The old one.
    Old(Checked),
    /// The new one.
    New(Checked),
}

/// What changes from `old` to `new` for the nodes of `tailnet`, as Headscale of `version` reads
/// both.
///
/// Without a tailnet the nodes are made up from both policies: see [`symbolic`]. An empty text is
/// no policy and allows everything.
///
/// # Errors
///
/// What is wrong with a policy that Headscale would not take.
///
/// # Examples
///
/// ```
/// use headscale_acl::{Version, engine};
///
/// let old = br#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}]}"#;
/// let new = br#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22,80"]}]}"#;
/// let diff = engine::diff(old, new, None, Version::V0_29).unwrap();
/// assert_eq!(diff.verdict, engine::Verdict::Grows);
/// assert_eq!((&*diff.added[0].src, &*diff.added[0].ports), ("alice@", "80"));
/// ```
pub fn diff(
    old: &[u8],
    new: &[u8],
    tailnet: Option<&Tailnet>,
    version: Version,
) -> Result<Diff, Refused> {
    let old_doc = accepted(old, tailnet, version).map_err(Refused::Old)?;
    let new_doc = accepted(new, tailnet, version).map_err(Refused::New)?;
    let semantics = Semantics::of(version);
    let (old, new) = (read(&old_doc, semantics), read(&new_doc, semantics));
    let made_up;
    let tailnet = match tailnet {
        Some(tailnet) => tailnet,
        None => {
            made_up = symbolic(&together(&old, &new));
            &made_up
        }
    };
    let inventory = Inventory::of(tailnet);
    let old = Network::new(&old, &old_doc, &inventory, semantics);
    let new = Network::new(&new, &new_doc, &inventory, semantics);
    Ok(Diff::between(&old, &new))
}

/// A policy that names all that either of the two does.
fn together<'d>(old: &Policy<'d>, new: &Policy<'d>) -> Policy<'d> {
    let mut both = old.clone();
    let new = new.clone();
    both.groups.extend(new.groups);
    both.hosts.extend(new.hosts);
    both.tag_owners.extend(new.tag_owners);
    both.acls.get_or_insert_default().extend(new.acls.into_iter().flatten());
    both.grants.get_or_insert_default().extend(new.grants.into_iter().flatten());
    both.node_attrs.extend(new.node_attrs);
    both.auto_approvers.routes.extend(new.auto_approvers.routes);
    both.auto_approvers.exit_node.extend(new.auto_approvers.exit_node);
    both.ssh.extend(new.ssh);
    both.tests.extend(new.tests);
    both.ssh_tests.extend(new.ssh_tests);
    both
}

impl Diff {
    /// What changes from `old` to `new`, two policies for one inventory.
    ///
    /// Sources and destinations are compared as sets of addresses: the same meaning in other words
    /// is no difference. Rows are as few as grouping by source and destination finds.
    ///
    /// Costs the boundaries of all sets times the rules, and, for each pair of classes of addresses
    /// that share a rule, the rules that they share.
    #[must_use]
    pub fn between<'n>(old: &Network<'n, '_>, new: &Network<'n, '_>) -> Self {
        let vacant = vacant(old.inventory);
        let names = Names::of(old, new, &vacant);
        let (before, after) = (Meaning::of(old, &vacant), Meaning::of(new, &vacant));
        let added = before.gains(&after, &names);
        let removed = after.gains(&before, &names);
        let verdict = match (added.is_empty(), removed.is_empty()) {
            (true, true) => Verdict::Same,
            (false, true) => Verdict::Grows,
            (true, false) => Verdict::Shrinks,
            (false, false) => Verdict::Changes,
        };
        Self { verdict, added, removed }
    }
}

/// Login users, and whether each is asked for a fresh login.
type Logins = BTreeSet<(String, bool)>;

/// Capabilities, each with its parameters as JSON.
type Capabilities = BTreeSet<(String, String)>;

impl Items for PortSet {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
    fn union(&mut self, other: &Self) {
        Self::union(self, other);
    }
    fn difference(&self, other: &Self) -> Self {
        Self::difference(self, other)
    }
}

impl<T: Clone + Hash + Ord> Items for BTreeSet<T> {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
    fn union(&mut self, other: &Self) {
        self.extend(other.iter().cloned());
    }
    fn difference(&self, other: &Self) -> Self {
        self - other
    }
}

/// What a policy allows: from whom, to whom, and what.
struct Allowed<I> {
    /// Whoever they belong to.
    any: Vec<Cell<I>>,
    /// Between devices of one user.
    own: Vec<Cell<I>>,
}

impl<I: Items> Allowed<I> {
    const NONE: Self = Self { any: Vec::new(), own: Vec::new() };

    /// What `after` allows and this does not: the second list between devices of one user only.
    fn gains(&self, after: &Self, inventory: &Inventory<'_>) -> (Vec<Cell<I>>, Vec<Cell<I>>) {
        let mut any = gained(&self.any, &after.any);
        if self.own.is_empty() && after.own.is_empty() {
            return (any, Vec::new());
        }
        let users = inventory.devices_by_user().into_iter();
        let users: Vec<IpSet> =
            users.map(|(_, nodes)| inventory.addresses(nodes.iter().copied())).collect();
        let within = |cell: &Cell<I>, devices: &IpSet| {
            devices.is_superset(&cell.sources) && devices.is_superset(&cell.destinations)
        };
        any.retain(|cell| !users.iter().any(|devices| within(cell, devices)));
        // What everyone gains is told already.
        let before = [&*self.any, &*self.own, &*any].concat();
        let after = [&*after.any, &*after.own].concat();
        let mut own: BTreeMap<I, IpSetBuilder> = BTreeMap::new();
        for devices in &users {
            let clipped = |cells: &[Cell<I>]| -> Vec<Cell<I>> {
                cells.iter().filter_map(|cell| cell.within(devices)).collect()
            };
            for cell in gained(&clipped(&before), &clipped(&after)) {
                if cell.destinations == *devices {
                    own.entry(cell.items).or_default().add_set(&cell.sources);
                } else {
                    any.push(cell);
                }
            }
        }
        let own = own.into_iter().map(|(items, sources)| Cell {
            sources: sources.build(),
            destinations: IpSet::default(),
            items,
        });
        (any, own.collect())
    }

    /// Puts what `after` allows and this does not into `rows`, which `told` words.
    fn tell(
        &self,
        after: &Self,
        names: &Names<'_>,
        rows: &mut Vec<Row>,
        told: impl Fn(&str, &str, &I) -> Vec<Row>,
    ) {
        let (any, own) = self.gains(after, names.inventory);
        for cell in &any {
            let destinations = names.cover(&cell.destinations).join(", ");
            rows.extend(told(&names.cover(&cell.sources).join(", "), &destinations, &cell.items));
        }
        for cell in &own {
            let sources = names.cover(&cell.sources).join(", ");
            rows.extend(told(&sources, "autogroup:self", &cell.items));
        }
    }
}

/// All that is compared of a policy.
struct Meaning {
    net: Allowed<PortSet>,
    app: Allowed<Capabilities>,
    ssh: Allowed<Logins>,
    /// Approvers of routes.
    approvals: Vec<Cell<BTreeSet<()>>>,
    exit_approvers: IpSet,
    /// Approved routes by the name of the node.
    routes: BTreeSet<(String, String)>,
}

impl Meaning {
    fn of(network: &Network<'_, '_>, vacant: &IpSet) -> Self {
        let inventory = network.inventory;
        let approvers = network.approvers();
        let routes = inventory.nodes.iter().flat_map(|node| {
            let routes = approvers.approved(node).into_iter();
            routes.map(|route| (node.name.clone(), route.to_string()))
        });
        let routes = routes.collect();
        let approvals = approvers.routes.iter().map(|(prefix, approvers)| Cell {
            sources: approvers.difference(vacant),
            destinations: IpSet::of(*prefix),
            items: BTreeSet::from([()]),
        });
        let (net, app) = connections(network, vacant);
        Self {
            net,
            app,
            ssh: logins(network),
            approvals: approvals.collect(),
            exit_approvers: approvers.exit_nodes.difference(vacant),
            routes,
        }
    }

    /// What `after` allows and this does not.
    fn gains(&self, after: &Self, names: &Names<'_>) -> Vec<Row> {
        let mut rows = Vec::new();
        self.net.tell(&after.net, names, &mut rows, |src, dst, ports| {
            let told = |(proto, ports)| Row {
                proto,
                ports,
                ..Row::new(Kind::Net, src.to_owned(), dst.to_owned())
            };
            ports.rows().into_iter().map(told).collect()
        });
        self.app.tell(&after.app, names, &mut rows, |src, dst, capabilities| {
            let told = |(name, _): &(String, String)| {
                let proto = name.clone();
                Row { proto, ..Row::new(Kind::App, src.to_owned(), dst.to_owned()) }
            };
            capabilities.iter().map(told).collect()
        });
        self.ssh.tell(&after.ssh, names, &mut rows, |src, dst, logins| {
            let login = |(user, check): &(String, bool)| {
                if *check { format!("{user} (check)") } else { user.clone() }
            };
            let users = logins.iter().map(login).collect::<Vec<_>>().join(", ");
            vec![Row { users, ..Row::new(Kind::Ssh, src.to_owned(), dst.to_owned()) }]
        });
        for cell in gained(&self.approvals, &after.approvals) {
            let src = names.cover(&cell.sources).join(", ");
            let routes: Vec<String> =
                cell.destinations.prefixes().map(|prefix| prefix.to_string()).collect();
            rows.push(Row::new(Kind::Approval, src, routes.join(", ")));
        }
        let approvers = after.exit_approvers.difference(&self.exit_approvers);
        if !approvers.is_empty() {
            let src = names.cover(&approvers).join(", ");
            rows.push(Row::new(Kind::Approval, src, "exit node".to_owned()));
        }
        for (node, route) in after.routes.difference(&self.routes) {
            rows.push(Row::new(Kind::Route, node.clone(), route.clone()));
        }
        rows.sort();
        rows.dedup();
        rows
    }
}

impl Row {
    const fn new(kind: Kind, src: String, dst: String) -> Self {
        Self { kind, src, dst, proto: String::new(), ports: String::new(), users: String::new() }
    }
}

/// The connections that a policy allows, and the capabilities that it gives.
fn connections(
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
            let sources = sources.difference(&sources.difference(&members));
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
    let inhabited = |builder: IpSetBuilder| builder.build().difference(vacant);
    match &rule.body {
        Body::Ports { protocols, targets } => {
            let mut by_ports: HashMap<PortRange, IpSetBuilder> = HashMap::default();
            for (target, ports) in targets {
                target.add_to(by_ports.entry(*ports).or_default());
            }
            net.extend(by_ports.into_iter().map(|(ports, destinations)| Cell {
                sources: sources.clone(),
                destinations: inhabited(destinations),
                items: PortSet::of(protocols, [ports]),
            }));
        }
        Body::Caps(grants) => app.extend(grants.iter().map(|(prefixes, capabilities)| {
            let mut destinations = IpSetBuilder::default();
            for prefix in prefixes {
                destinations.add_prefix(*prefix);
            }
            let destinations = inhabited(destinations);
            Cell { sources: sources.clone(), destinations, items: named(capabilities) }
        })),
    }
}

/// The SSH logins that a policy allows.
fn logins(network: &Network<'_, '_>) -> Allowed<Logins> {
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
            let sources = sources.difference(&sources.difference(&members));
            let (destinations, items) = (members.clone(), items.clone());
            allowed.own.push(Cell { sources, destinations, items });
        }
        if !destinations.is_empty() {
            allowed.any.push(Cell { sources, destinations, items });
        }
    }
    allowed
}
