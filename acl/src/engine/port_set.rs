//! Sets of protocols with their ports.

use std::collections::BTreeMap;
use std::fmt;

use crate::policy::PortRange;

/// TCP, UDP, ICMP and ICMPv6: what a client takes a rule without a protocol for.
const DEFAULT_PROTOCOLS: [u8; 4] = [6, 17, 1, 58];

/// All ports.
const ANY: [(u16, u16); 1] = [(PortRange::ANY.first, PortRange::ANY.last)];

/// ICMP and ICMPv6: clients look at the addresses of a rule only, whatever its ports.
const PINGS: [u8; 2] = [1, 58];

/// What may be sent: ports by the IANA number of the protocol; all of them for a protocol that has
/// none.
///
/// Ranges are sorted, disjoint and not adjacent, so equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSet {
    ports: BTreeMap<u8, Vec<(u16, u16)>>,
}

impl PortSet {
    /// TCP, UDP and SCTP: of all other protocols a rule's ports do not count.
    pub(crate) const WITH_PORTS: [u8; 3] = [6, 17, 132];

    /// The ports of a rule; no protocols are the client's default ones.
    ///
    /// Clients match a protocol without ports only by a rule for all ports, ICMP by any
    /// (Tailscale's `wgengine/filter`).
    pub(crate) fn of(protocols: &[u8], ports: impl IntoIterator<Item = PortRange>) -> Self {
        let protocols = if protocols.is_empty() { &DEFAULT_PROTOCOLS[..] } else { protocols };
        let ranges = merged(ports.into_iter().map(|range| (range.first, range.last)).collect());
        if ranges.is_empty() {
            return Self::default();
        }
        let with_ports = |protocol: &u8| {
            let ports = if Self::WITH_PORTS.contains(protocol) {
                ranges.clone()
            } else if PINGS.contains(protocol) || ranges == ANY {
                ANY.to_vec()
            } else {
                return None;
            };
            Some((*protocol, ports))
        };
        Self { ports: protocols.iter().filter_map(with_ports).collect() }
    }

    /// What of it is about `port`: that of the protocols that have ports, with all that has none.
    /// Empty where no protocol with ports is in.
    pub(crate) fn at(&self, port: u16) -> Self {
        let has_port = |protocol: u8| self.contains(protocol, port);
        if !Self::WITH_PORTS.into_iter().any(has_port) {
            return Self::default();
        }
        let ports = self.ports.iter().filter_map(|(protocol, ranges)| {
            match (Self::WITH_PORTS.contains(protocol), has_port(*protocol)) {
                (false, _) => Some((*protocol, ranges.clone())),
                (true, true) => Some((*protocol, vec![(port, port)])),
                (true, false) => None,
            }
        });
        Self { ports: ports.collect() }
    }

    /// Whether a packet of the protocol to the port may be sent; of any where it is `None`. A port
    /// without a protocol is one of a protocol that has ports.
    pub(crate) fn matches(&self, protocol: Option<u8>, port: Option<u16>) -> bool {
        match (protocol, port) {
            (Some(protocol), Some(port)) => self.contains(protocol, port),
            (Some(protocol), None) => self.ports.contains_key(&protocol),
            (None, Some(port)) => {
                Self::WITH_PORTS.iter().any(|protocol| self.contains(*protocol, port))
            }
            (None, None) => !self.is_empty(),
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.difference(&self.difference(other))
    }

    /// The protocols of which anything may be sent, ascending.
    pub(crate) fn protocols(&self) -> Vec<u8> {
        self.ports.keys().copied().collect()
    }

    /// A packet that may be sent, by its protocol and port: rather of a protocol that has ports, and
    /// of the lowest of both.
    #[must_use]
    pub fn first(&self) -> Option<(u8, u16)> {
        let by_port =
            Self::WITH_PORTS.iter().find_map(|protocol| self.ports.get_key_value(protocol));
        let (protocol, ranges) = by_port.or_else(|| self.ports.first_key_value())?;
        Some((*protocol, ranges.first()?.0))
    }

    /// Whether nothing may be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Whether a packet of this protocol to this port may be sent.
    #[must_use]
    pub fn contains(&self, protocol: u8, port: u16) -> bool {
        let ranges = self.ports.get(&protocol).map(Vec::as_slice).unwrap_or_default();
        ranges.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// Puts all of `other` in.
    pub fn union(&mut self, other: &Self) {
        for (protocol, ranges) in &other.ports {
            let known = self.ports.entry(*protocol).or_default();
            let all = known.iter().chain(ranges).copied().collect();
            *known = merged(all);
        }
    }

    /// What is in here and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let left = self.ports.iter().filter_map(|(protocol, ranges)| {
            let gone = other.ports.get(protocol).map(Vec::as_slice).unwrap_or_default();
            let left = difference(ranges, gone);
            (!left.is_empty()).then_some((*protocol, left))
        });
        Self { ports: left.collect() }
    }

    /// The set in as few rows as there are sets of ports: protocols, with commas between, and
    /// ports. The name of the client's default protocols together is empty; the ports of their ICMP
    /// are not told.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut by_ports: BTreeMap<&[(u16, u16)], Vec<u8>> = BTreeMap::new();
        let [tcp, udp, icmp @ ..] = DEFAULT_PROTOCOLS.map(|protocol| self.ports.get(&protocol));
        let default = tcp.is_some() && tcp == udp && icmp.iter().all(Option::is_some);
        for (protocol, ranges) in &self.ports {
            if !(default && DEFAULT_PROTOCOLS.contains(protocol)) {
                by_ports.entry(ranges).or_default().push(*protocol);
            }
        }
        let names = |protocols: Vec<u8>| protocols.into_iter().map(name).collect::<Vec<_>>();
        let default = tcp.filter(|_| default).map(|ranges| (String::new(), text(ranges)));
        let others = by_ports.into_iter();
        let others = others.map(|(ranges, protocols)| (names(protocols).join(", "), text(ranges)));
        default.into_iter().chain(others).collect()
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (protocol, ports)) in self.rows().iter().enumerate() {
            let separator = if at == 0 { "" } else { " " };
            let colon = if protocol.is_empty() { "" } else { ":" };
            write!(f, "{separator}{protocol}{colon}{ports}")?;
        }
        Ok(())
    }
}

/// The name of a protocol where it has one.
fn name(protocol: u8) -> String {
    let newest = crate::Version::ALL.last().copied().unwrap_or(crate::Version::DEFAULT);
    let protocols = crate::semantics::Semantics::of(newest).protocols;
    let named = protocols.iter().find(|(_, number)| *number == protocol);
    named.map_or_else(|| protocol.to_string(), |(name, _)| (*name).to_owned())
}

fn text(ranges: &[(u16, u16)]) -> String {
    let ranges = ranges.iter().map(|(first, last)| PortRange { first: *first, last: *last });
    ranges.map(|range| range.to_string()).collect::<Vec<_>>().join(",")
}

fn merged(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn difference(from: &[(u16, u16)], gone: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut left = Vec::new();
    for (first, last) in from {
        let (mut next, last) = (u32::from(*first), u32::from(*last));
        for (gone_first, gone_last) in gone {
            let (gone_first, gone_last) = (u32::from(*gone_first), u32::from(*gone_last));
            if gone_last < next || gone_first > last {
                continue;
            }
            if next < gone_first {
                left.push((next as u16, (gone_first - 1) as u16));
            }
            next = gone_last + 1;
        }
        if next <= last {
            left.push((next as u16, last as u16));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(protocols: &[u8], ranges: &[(u16, u16)]) -> PortSet {
        let ranges = ranges.iter().map(|(first, last)| PortRange { first: *first, last: *last });
        PortSet::of(protocols, ranges)
    }

    #[test]
    fn differences_leave_the_rest() {
        let all = set(&[], &[(0, 65535)]);
        assert_eq!(
            all.difference(&set(&[6], &[(22, 22)])).to_string(),
            "tcp:0-21,23-65535 icmp, udp, ipv6-icmp:*"
        );
        assert!(all.difference(&all).is_empty());
        assert_eq!(
            set(&[], &[(80, 80)]).difference(&set(&[6], &[(80, 80)])).to_string(),
            "icmp, ipv6-icmp:* udp:80"
        );
    }

    #[test]
    fn what_is_left_of_the_default_is_told() {
        let left = set(&[], &[(0, 65535)]).difference(&set(&[6, 17], &[(0, 65535)]));
        assert_eq!(left.to_string(), "icmp, ipv6-icmp:*");
    }

    #[test]
    fn unions_merge_what_is_adjacent() {
        let mut ports = set(&[6], &[(80, 80), (82, 90)]);
        ports.union(&set(&[6], &[(81, 81)]));
        assert_eq!(ports.to_string(), "tcp:80-90");
        assert!(ports.contains(6, 85) && !ports.contains(17, 85));
    }
}
