//! All that is compared of a policy, and what one allows beyond another.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use super::rules::{connections, logins};
use super::{Kind, Row};
use crate::engine::boxes::{Cell, Items, gained};
use crate::engine::inventory::Inventory;
use crate::engine::ip_set::{IpSet, IpSetBuilder};
use crate::engine::names::Names;
use crate::engine::network::Network;
use crate::engine::port_set::PortSet;

/// Login users, and whether each is asked for a fresh login.
pub(super) type Logins = BTreeSet<(String, bool)>;

/// Capabilities, each with its parameters as JSON.
pub(super) type Capabilities = BTreeSet<(String, String)>;

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
pub(super) struct Allowed<I> {
    /// Whoever they belong to.
    pub(super) any: Vec<Cell<I>>,
    /// Between devices of one user.
    pub(super) own: Vec<Cell<I>>,
}

impl<I: Items> Allowed<I> {
    pub(super) const NONE: Self = Self { any: Vec::new(), own: Vec::new() };

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
        inventory: &Inventory<'_>,
        rows: &mut Vec<Row>,
        told: impl Fn(&str, &str, &I) -> Vec<Row>,
    ) {
        let (any, own) = self.gains(after, inventory);
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
pub(super) struct Meaning {
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
    pub(super) fn of(network: &Network<'_, '_>, vacant: &IpSet) -> Self {
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
    pub(super) fn gains(
        &self,
        after: &Self,
        names: &Names<'_>,
        inventory: &Inventory<'_>,
    ) -> Vec<Row> {
        let mut rows = Vec::new();
        self.net.tell(&after.net, names, inventory, &mut rows, |src, dst, ports| {
            let told = |(proto, ports)| Row {
                proto,
                ports,
                ..Row::new(Kind::Net, src.to_owned(), dst.to_owned())
            };
            ports.rows().into_iter().map(told).collect()
        });
        self.app.tell(&after.app, names, inventory, &mut rows, |src, dst, capabilities| {
            let told = |(name, _): &(String, String)| {
                let proto = name.clone();
                Row { proto, ..Row::new(Kind::App, src.to_owned(), dst.to_owned()) }
            };
            capabilities.iter().map(told).collect()
        });
        self.ssh.tell(&after.ssh, names, inventory, &mut rows, |src, dst, logins| {
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
