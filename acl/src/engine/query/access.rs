//! Who reaches what, in the policy's own names.

use std::cmp::Reverse;
use std::rc::Rc;

use serde::Serialize;

use super::party::{Party, QueryError, party, split_port};
use crate::engine::boxes::{Cell, gained};
use crate::engine::flow::{End, Flow, pair};
use crate::engine::ip_set::IpSet;
use crate::engine::network::Network;

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

impl Network<'_, '_> {
    /// Says who reaches what, on which ports. SSH rules are no part of it.
    ///
    /// Costs the rules that are about the side asked for, and the rows of the answer.
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
        self.access_up_to(side, usize::MAX)
    }

    /// The same as long as the answer has no more than `most` rows.
    ///
    /// # Errors
    ///
    /// Those of [`Network::access`], and an answer with more rows.
    pub fn access_up_to(&self, side: Side<'_>, most: usize) -> Result<Access, QueryError> {
        let (from, to, port) = match side {
            Side::From(text) => (Some(party(text, self)?), None, None),
            Side::To(text) => {
                let (text, port) = split_port(text)?;
                (None, Some(party(text, self)?), port)
            }
            Side::All => (None, None, None),
        };
        let asked = from.as_ref().or(to.as_ref());
        if asked.is_some_and(Party::is_own_devices) {
            return Err(QueryError::new("autogroup:self depends on who asks")
                .hint("name a user or a node instead"));
        }
        let set = |party: &Option<Party<'_>>| party.as_ref().map(|party| Rc::clone(&party.set));
        let (sources, targets) = (set(&from), set(&to));
        let flows = self.flows();
        let anyone = sources.as_deref().unwrap_or(&flows.answered);
        let ends = [(&from, End::Source), (&to, End::Target)]
            .map(|(party, end)| party.as_ref().map(|party| party.concern(self, end)));
        let cells = flows.between(self, ends, |_| true).into_iter().map(|flow| {
            let destinations = match &targets {
                Some(targets) => flow.targets.intersection(targets).into(),
                None => flow.targets,
            };
            let ports = port.map_or_else(|| flow.ports.clone(), |port| flow.ports.at(port));
            Flow { targets: destinations, ports, ..flow }
        });
        let mut cells: Vec<Flow> = cells.filter(|flow| !flow.ports.is_empty()).collect();
        drop_covered(&mut cells);
        let cells = cells.into_iter().map(|flow| Cell {
            sources: flow.sources.intersection(anyone),
            destinations: flow.targets.as_ref().clone(),
            items: flow.ports,
        });
        let cells: Vec<_> = cells
            .filter(|cell| pair(&cell.sources, &cell.destinations, self.inventory).is_some())
            .collect();
        let cells = if cells.len() == 1 { cells } else { gained(&[], &cells) };
        let mut rows = Vec::new();
        for cell in cells {
            if pair(&cell.sources, &cell.destinations, self.inventory).is_none() {
                continue;
            }
            // All of what is asked for is told as it was asked for.
            let told = |set: &IpSet, party: &Option<Party<'_>>| match party {
                Some(party) if *party.set == *set => vec![party.text.to_owned()],
                _ => self.names().cover(set),
            };
            let (from, to) = (told(&cell.sources, &from), told(&cell.destinations, &to));
            let ports = cell.items.rows();
            let more = ports.len().saturating_mul(from.len()).saturating_mul(to.len());
            if rows.len().saturating_add(more) > most {
                return Err(QueryError::new(format!("the answer has more than {most} rows"))
                    .hint("ask about fewer at once"));
            }
            for (proto, ports) in ports {
                let proto = if proto.is_empty() { "*".to_owned() } else { proto };
                for src in &from {
                    rows.extend(to.iter().map(|dst| AccessRow {
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
        Ok(Access { symbolic: self.is_symbolic, rows })
    }
}

/// Drops flows all of which another one lets through: beside a rule for everyone little is left to
/// be told apart.
fn drop_covered(flows: &mut Vec<Flow>) {
    flows.sort_by_cached_key(|flow| Reverse((flow.sources.len(), flow.targets.len())));
    let mut kept: Vec<Flow> = Vec::with_capacity(flows.len());
    for flow in flows.drain(..) {
        let covers = |other: &Flow| {
            flow.ports.difference(&other.ports).is_empty()
                && other.targets.is_superset(&flow.targets)
                && other.sources.is_superset(&flow.sources)
        };
        if !kept.iter().any(covers) {
            kept.push(flow);
        }
    }
    *flows = kept;
}
