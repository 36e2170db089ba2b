//! Who reaches what, in the policy's own names.

use std::collections::BTreeMap;

use foldhash::HashMap;
use serde::Serialize;

use super::flow::{Flow, default_protocols, flows, intersection, pair, parts, routed, union};
use super::names::{Names, everything};
use super::party::{Party, QueryError, party, split_port};
use crate::engine::ip_set::{IpSet, IpSetBuilder};
use crate::engine::network::Network;
use crate::policy::PortRange;

/// Whom a question about access is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side<'q> {
    /// What this one reaches: an alias, the name of a node, or an address.
    From(&'q str),
    /// Who reaches this one, with a port if it is about one: `tag:web:443`.
    To(&'q str),
    /// Who reaches what, in all.
    All,
}

/// Connections that are allowed, from one name to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AccessRow {
    /// Who connects: a name of the policy, a node, or addresses. All of it may.
    pub src: String,
    /// To whom, alike. All of it is reached; but a node does not reach itself.
    pub dst: String,
    /// Protocols by name or number, with commas; `*` for those of a rule that names none.
    pub proto: String,
    /// Ports and ranges of ports with commas, or `*`.
    pub ports: String,
}

/// The answer to a question about access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether the nodes are made up from the policy.
    pub symbolic: bool,
    /// What is allowed, by source and destination.
    pub rows: Vec<AccessRow>,
}

/// Open ports by protocol.
type Services = BTreeMap<u8, Vec<PortRange>>;

impl Network<'_, '_> {
    /// Says who reaches what, on which ports. SSH rules are no part of it.
    ///
    /// # Errors
    ///
    /// When the question names nothing that has an address.
    ///
    /// # Examples
    ///
    /// ```
    /// use headscale_acl::Version;
    /// use headscale_acl::engine::{self, Side};
    ///
    /// let text = br#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["bob@:22"]}]}"#;
    /// let ask = |side| {
    ///     engine::ask(text, None, Version::V0_29, |network| network.access(side)).unwrap().unwrap()
    /// };
    /// let access = ask(Side::To("bob@"));
    /// assert_eq!((&*access.rows[0].src, &*access.rows[0].ports), ("alice@", "22"));
    /// assert!(ask(Side::From("bob@")).rows.is_empty());
    /// ```
    pub fn access(&self, side: Side<'_>) -> Result<Access, QueryError> {
        let behind = routed(self.inventory);
        let all = everything(self, &behind);
        let (asked, port) = match side {
            Side::From(text) => (Some(party(text, self)?), None),
            Side::To(text) => {
                let (text, port) = split_port(text)?;
                (Some(party(text, self)?), port)
            }
            Side::All => (None, None),
        };
        if asked.as_ref().is_some_and(Party::is_own_devices) {
            return Err(QueryError::new("autogroup:self depends on who asks")
                .hint("name a user or a node instead"));
        }
        let set = asked.as_ref().map_or_else(|| all.clone(), |party| party.set.clone());
        let (sources, targets) = match side {
            Side::To(_) => (all, set.clone()),
            Side::From(_) | Side::All => (set.clone(), all),
        };
        let flows: Vec<Flow> = flows(self)
            .into_iter()
            .filter(|flow| port.is_none_or(|port| flow.ports.contains(port)))
            .map(|flow| Flow {
                sources: intersection(&flow.sources, &sources),
                targets: intersection(&flow.targets, &targets),
                ports: port.map_or(flow.ports, |port| PortRange { first: port, last: port }),
                ..flow
            })
            .filter(|flow| pair(&flow.sources, &flow.targets, self.inventory).is_some())
            .collect();
        let names = Names::of(self, asked.map(|party| (party.text.to_owned(), set)));
        Ok(Access { symbolic: self.is_symbolic, rows: self.rows(&flows, &sources, &names) })
    }

    fn rows(&self, flows: &[Flow], sources: &IpSet, names: &Names) -> Vec<AccessRow> {
        // Sources that reach the same in the same way are told together.
        let mut alike: HashMap<(Services, IpSet), IpSetBuilder> = HashMap::default();
        for (part, members) in parts(sources, flows.iter().map(|flow| &flow.sources)) {
            let own: Vec<&Flow> = members.iter().filter_map(|at| flows.get(*at)).collect();
            for (services, targets) in services(&own) {
                if pair(&part, &targets, self.inventory).is_some() {
                    alike.entry((services, targets)).or_default().add_set(&part);
                }
            }
        }
        let mut rows = Vec::new();
        for ((services, targets), sources) in alike {
            let (sources, targets) = (names.cover(&sources.build()), names.cover(&targets));
            for (proto, ports) in self.written(&services) {
                for src in &sources {
                    rows.extend(targets.iter().map(|dst| AccessRow {
                        src: src.clone(),
                        dst: dst.clone(),
                        proto: proto.clone(),
                        ports: ports.clone(),
                    }));
                }
            }
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Protocols that are open on the same ports together.
    fn written(&self, services: &Services) -> Vec<(String, String)> {
        let mut by_ports: BTreeMap<&[PortRange], Vec<u8>> = BTreeMap::new();
        for (protocol, ports) in services {
            by_ports.entry(ports).or_default().push(*protocol);
        }
        let usual = default_protocols(self.semantics);
        let name = |number: &u8| {
            let known = self.semantics.protocols.iter().find(|(_, known)| known == number);
            known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
        };
        let written = by_ports.into_iter().map(|(ports, protocols)| {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            let all = usual.iter().all(|number| protocols.contains(number));
            let others = protocols.iter().filter(|number| !all || !usual.contains(number));
            let mut names: Vec<String> = all.then(|| "*".to_owned()).into_iter().collect();
            // All numbers there are need no names.
            if protocols.len() <= usize::from(u8::MAX) {
                names.extend(others.map(name));
            }
            (names.join(","), ports.join(","))
        });
        written.collect()
    }
}

/// What is open where: the targets of `flows`, those that are open in the same way together.
fn services(flows: &[&Flow]) -> HashMap<Services, IpSet> {
    let all = union(flows.iter().map(|flow| &flow.targets));
    let mut alike: HashMap<Services, IpSetBuilder> = HashMap::default();
    for (part, members) in parts(&all, flows.iter().map(|flow| &flow.targets)) {
        let mut services = Services::new();
        for flow in members.iter().filter_map(|at| flows.get(*at)) {
            for protocol in &flow.protocols {
                services.entry(*protocol).or_default().push(flow.ports);
            }
        }
        services.values_mut().for_each(merge);
        alike.entry(services).or_default().add_set(&part);
    }
    alike.into_iter().map(|(services, set)| (services, set.build())).collect()
}

/// Sorts ranges and joins those that touch.
fn merge(ports: &mut Vec<PortRange>) {
    ports.sort_unstable();
    let mut merged: Vec<PortRange> = Vec::with_capacity(ports.len());
    for range in ports.drain(..) {
        match merged.last_mut() {
            Some(last) if range.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    *ports = merged;
}
