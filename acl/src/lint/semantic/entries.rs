//! What each entry of a policy allows, whatever nodes there are.

use std::collections::{BTreeMap, BTreeSet};

use super::sets::Sets;
use crate::engine::boxes::{Cell, Items};
use crate::engine::{IpSet, PortSet};
use crate::policy::{Acl, Alias, Grant, Ssh};
use crate::semantics::Semantics;

/// What an entry allows.
#[derive(Clone, Debug)]
pub(super) struct Allowed<I> {
    /// Whoever the devices belong to.
    pub(super) any: Vec<Cell<I>>,
    /// From some devices to all of the same user.
    pub(super) own: Vec<Cell<I>>,
}

impl<I: Items> Allowed<I> {
    fn of(cells: Vec<Cell<I>>, own: Vec<Cell<I>>) -> Self {
        let something = |cell: &Cell<I>| {
            !cell.sources.is_empty() && !cell.destinations.is_empty() && !cell.items.is_empty()
        };
        let all = |cells: Vec<Cell<I>>| cells.into_iter().filter(something).collect();
        Self { any: all(cells), own: all(own) }
    }

    /// All of them, however they are meant.
    pub(super) fn cells(&self) -> impl Iterator<Item = &Cell<I>> {
        self.any.iter().chain(&self.own)
    }
}

/// Login users.
pub(super) type Logins = BTreeSet<String>;

impl<'n, 'd> Sets<'_, 'n, 'd> {
    pub(super) fn acl(&self, acl: &'n Acl<'d>, semantics: &Semantics) -> Allowed<PortSet> {
        let protocols = semantics.sent_protocols(acl.protocol());
        let mut by_ports: BTreeMap<PortSet, (Vec<&'n Alias<'d>>, bool)> = BTreeMap::new();
        for destination in &acl.destinations {
            let ports = PortSet::of(&protocols, destination.ports.iter().copied());
            let (destinations, own) = by_ports.entry(ports).or_default();
            destinations.push(&destination.alias);
            *own |= destination.alias.is_autogroup("autogroup:self");
        }
        let sources = self.sources(&acl.sources, semantics);
        let ways = by_ports
            .into_iter()
            .map(|(ports, (destinations, own))| (ports, self.destinations(destinations), own));
        self.allowed(&sources, ways)
    }

    /// What the `ip` of a grant without `via` allows.
    pub(super) fn grant(&self, grant: &'n Grant<'d>, semantics: &Semantics) -> Allowed<PortSet> {
        let mut ports = PortSet::default();
        for ip in &grant.ip {
            let protocols = semantics.sent_protocols(&ip.value.protocol);
            ports.union(&PortSet::of(&protocols, ip.value.ports.iter().copied()));
        }
        let sources = self.sources(&grant.sources, semantics);
        let aliases = grant.destinations.iter().map(|dst| &dst.value);
        let own = aliases.clone().any(|dst| dst.is_autogroup("autogroup:self"));
        self.allowed(&sources, [(ports, self.destinations(aliases), own)])
    }

    pub(super) fn ssh(&self, rule: &'n Ssh<'d>, semantics: &Semantics) -> Allowed<Logins> {
        let users = rule.users.iter().flatten().map(|user| user.value.to_string());
        let sources = self.sources(&rule.sources, semantics);
        let aliases = rule.destinations.iter().map(|dst| &dst.value);
        let own = aliases.clone().any(|dst| dst.is_autogroup("autogroup:self"));
        self.allowed(&sources, [(users.collect(), self.destinations(aliases), own)])
    }

    /// From `sources` to each of the destinations, to own devices where it says so.
    fn allowed<I: Items>(
        &self,
        sources: &IpSet,
        ways: impl IntoIterator<Item = (I, IpSet, bool)>,
    ) -> Allowed<I> {
        let (mut any, mut own) = (Vec::new(), Vec::new());
        for (items, destinations, to_own) in ways {
            if to_own {
                let (sources, destinations) =
                    (sources.intersection(&self.members), self.members.clone());
                own.push(Cell { sources, destinations, items: items.clone() });
            }
            any.push(Cell { sources: sources.clone(), destinations, items });
        }
        Allowed::of(any, own)
    }
}
