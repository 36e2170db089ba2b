//! Claims about a policy, judged soundly: for all nodes, in both address families, by the exact
//! protocol, with `autogroup:self` and `via`. Headscale's own `tests` prove less.

use std::fmt;

use super::asked::{Asked, Pair, aliases};
use super::explain::{Cause, RuleSection};
use super::nearest::{Miss, Traffic, nearest_rules};
use super::party::{Party, Problem, QueryError, party, split_ports};
use crate::engine::flow::Flow;
use crate::engine::ip_set::IpSet;
use crate::engine::network::Network;
use crate::engine::port_set::PortSet;
use crate::policy::{Alias, PortRange, Protocol, parse_ports};

/// What is claimed of the connections from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// All of `from` reach all of `to` on all of the ports.
    All,
    /// On each of the ports someone of `from` reaches someone of `to`.
    Any,
    /// Nobody of `from` reaches anyone of `to` on any of the ports.
    None,
    /// Not everyone of `from` reaches everyone of `to` on all of the ports.
    NotAll,
    /// Nobody but `from` reaches anyone of `to` on any of the ports.
    Only,
}

impl Expect {
    /// Whether it claims that something is reached.
    const fn is_access(self) -> bool {
        matches!(self, Self::All | Self::Any)
    }
}

/// A claim about a policy.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'c> {
    /// Who connects: names as in [`Question`](super::Question); more than one mean all of them.
    pub from: &'c [&'c str],
    /// To whom, with ports as in `acls`: `tag:web:80,443`. Without ports any, where nothing is to
    /// be reached; else they must be told, and `*` is all. Of a network that approved routes lead
    /// to in part, that part.
    pub to: &'c str,
    /// By which protocol, as in a policy. Without one TCP is to be reached, and no protocol is not
    /// to be.
    pub protocol: Option<&'c str>,
    /// What is claimed.
    pub expect: Expect,
}

/// Whether a claim holds, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it does.
    pub holds: bool,
    /// Why nothing was there to be judged, so that it holds only for that reason.
    pub vacuous: Option<String>,
    /// An example: where it does not hold the pair that breaks it, else one that is allowed.
    pub pair: Option<(String, String)>,
    /// What the pair may or may not send, as protocol and port; for ICMP the protocol alone.
    pub packet: String,
    /// The rules that allow what is asked for or a part of it, in Headscale's order.
    pub rules: Vec<Cause>,
    /// Where something is not reached, the rules that would allow it but for one thing.
    pub nearest: Vec<Miss>,
    /// What of which rules it goes through.
    pub touched: Vec<Touch>,
}

/// A rule that a claim or a test goes through, and by which of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The rule's section.
    pub section: RuleSection,
    /// The entry in the section, from 0.
    pub index: usize,
    /// Indexes into `src`.
    pub sources: Vec<usize>,
    /// Indexes into `dst`.
    pub destinations: Vec<usize>,
}

/// One packet, by protocol and port.
#[derive(Clone, Copy)]
struct Packet(u8, u16);

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = PortSet::of(&[self.0], [PortRange::ANY]);
        let name = any.rows().into_iter().map(|(protocol, _)| protocol).collect::<String>();
        // Port 0 is the first of all ports, and nobody's.
        match self.1 {
            port if port > 0 && PortSet::WITH_PORTS.contains(&self.0) => write!(f, "{name}:{port}"),
            _ => f.write_str(&name),
        }
    }
}

impl Network<'_, '_> {
    /// Judges a claim.
    ///
    /// Costs what [`Network::explain`] does for each range of ports that rules tell apart.
    ///
    /// # Errors
    ///
    /// When the claim names what is neither in the policy nor in the tailnet, or cannot be read. A
    /// name that has no node is no error: the claim then is vacuous.
    ///
    /// # Examples
    ///
    /// ```
    /// use headscale_acl::Version;
    /// use headscale_acl::engine::{self, Claim, Expect};
    ///
    /// let text = br#"{
    ///     "groups": {"group:dev": ["alice@", "bob@"]},
    ///     "acls": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web:443"]}],
    ///     "tagOwners": {"tag:web": []},
    /// }"#;
    /// let claim = Claim {
    ///     from: &["group:dev"],
    ///     to: "tag:web:443",
    ///     protocol: None,
    ///     expect: Expect::All,
    /// };
    /// let judgement = engine::ask(text, None, Version::V0_29, |network| network.judge(&claim));
    /// let judgement = judgement.unwrap().unwrap();
    /// assert!(!judgement.holds);
    /// assert!(judgement.pair.unwrap().0.starts_with("bob "));
    /// ```
    pub fn judge(&self, claim: &Claim<'_>) -> Result<Judgement, QueryError> {
        let (to, ports) = split_ports(claim.to)?;
        let wanted = self.wanted(ports, claim)?;
        let mut from = Vec::with_capacity(claim.from.len());
        for text in claim.from {
            match party(text, self) {
                Ok(party) if party.is_own_devices() => {
                    return Err(QueryError::new("autogroup:self is a destination only"));
                }
                Ok(party) => from.push(self.inhabited(party)),
                // Nobody is nobody to be let in, and to keep out.
                Err(error) if error.problem == Problem::Empty && claim.from.len() > 1 => {}
                Err(error) if error.problem == Problem::Empty && claim.expect == Expect::Only => {}
                Err(error) => return vacuous(error, claim.expect),
            }
        }
        let to = match party(to, self) {
            Ok(to) => self.inhabited(to),
            Err(error) => return vacuous(error, claim.expect),
        };
        let from = match (claim.expect, from.as_slice()) {
            (Expect::Only, _) => {
                let allowed = IpSet::union(from.iter().map(|party| &*party.set));
                let set = self.flows().answered.difference(&allowed);
                Party::new("everyone else", None, set)
            }
            (_, [party]) => party.clone(),
            (_, _) => {
                let set = IpSet::union(from.iter().map(|party| &*party.set));
                Party::new(claim.from.first().copied().unwrap_or_default(), None, set)
            }
        };
        let asked = Asked::new(self, &from, &to);
        let protocols = wanted.protocols();
        let one = if let [protocol] = protocols.as_slice() { Some(*protocol) } else { None };
        let asked = match asked.of_protocol(one) {
            Ok(asked) => asked,
            Err(error) => return vacuous(error.empty(), claim.expect),
        };
        if asked.first_pair().is_none() {
            let (from, to) = (from.text, to.text);
            let none = QueryError::new(format!("there is no connection from {from} to {to}"));
            return vacuous(none.empty(), claim.expect);
        }
        Ok(asked.judge(&wanted, claim.expect))
    }

    /// Of a network that is routed in part, that part: nobody is behind the rest.
    fn inhabited<'t>(&self, party: Party<'t>) -> Party<'t> {
        let set = party.set.intersection(&self.flows().answered);
        if set.is_empty() { party } else { party.narrowed(set) }
    }

    /// The packets that a claim is about.
    fn wanted(&self, ports: Option<&str>, claim: &Claim<'_>) -> Result<PortSet, QueryError> {
        let ranges = match ports {
            None => None,
            Some(text) => Some(parse_ports(text, self.semantics).map_err(|why| {
                QueryError::new(format!("{text:?}: {why}"))
                    .hint("write ports as in `acls`: 443, 80,443, 8000-8100 or *")
            })?),
        };
        let number = match claim.protocol {
            None => None,
            Some(name) => Protocol::parse(name, self.semantics).map_err(QueryError::new)?.number(),
        };
        let protocols = match (number, &ranges, claim.expect.is_access()) {
            (Some(number), ..) => vec![number],
            (None, _, true) => vec![6],
            (None, Some(_), false) => PortSet::WITH_PORTS.to_vec(),
            (None, None, false) => (0..=u8::MAX).collect(),
        };
        let has_ports = protocols.iter().any(|protocol| PortSet::WITH_PORTS.contains(protocol));
        if ranges.is_none() && claim.expect.is_access() && has_ports {
            let to = claim.to;
            return Err(QueryError::new(format!("{to:?} has no port")).hint(format!(
                "name the ports that must be open: \"{to}:443\", or \"{to}:*\" for all"
            )));
        }
        let ranges = ranges.unwrap_or_else(|| vec![PortRange::ANY]);
        let wanted = PortSet::of(&protocols, ranges.iter().copied());
        if wanted.is_empty() {
            let name = claim.protocol.unwrap_or_default();
            return Err(QueryError::new(format!("{name} has no ports")).hint("leave them out"));
        }
        Ok(wanted)
    }
}

/// The judgement where there is nothing to be judged.
fn vacuous(error: QueryError, expect: Expect) -> Result<Judgement, QueryError> {
    if error.problem != Problem::Empty {
        return Err(error);
    }
    Ok(Judgement {
        // Of nobody nobody reaches anything, and everybody does.
        holds: !matches!(expect, Expect::Any | Expect::NotAll),
        vacuous: Some(error.message),
        pair: None,
        packet: String::new(),
        rules: Vec::new(),
        nearest: Vec::new(),
        touched: Vec::new(),
    })
}

impl Asked<'_, '_, '_> {
    fn judge(&self, wanted: &PortSet, expect: Expect) -> Judgement {
        let flows = self.flows(|_| true);
        let about: Vec<(&Flow, PortSet)> = flows
            .iter()
            .map(|flow| (flow, flow.ports.intersection(wanted)))
            .filter(|(_, ports)| !ports.is_empty())
            .collect();
        let all: Vec<&Flow> = about.iter().map(|(flow, _)| *flow).collect();
        let (rules, allowed) = self.causes(&all);
        let overlapping = || about.iter().filter(|(flow, _)| self.overlap(flow).is_some());
        let allowed_packet = overlapping().next().and_then(|(_, ports)| ports.first());
        let (breach, nearest) = match expect {
            Expect::None | Expect::Only => (allowed.zip(allowed_packet), Vec::new()),
            Expect::All => {
                let gap = self.first_gap(wanted, &about);
                (gap, gap.map(|gap| self.nearest(gap)).unwrap_or_default())
            }
            Expect::NotAll => match self.first_gap(wanted, &about) {
                Some(_) => (None, Vec::new()),
                None => (allowed.zip(allowed_packet), Vec::new()),
            },
            Expect::Any => {
                // A port that no flow with a pair is open on.
                let open =
                    overlapping().fold(wanted.clone(), |left, (_, ports)| left.difference(ports));
                let closed = self.first_pair().zip(open.first());
                (closed, closed.map(|gap| self.nearest(gap)).unwrap_or_default())
            }
        };
        let shown = breach.or(allowed.zip(allowed_packet));
        Judgement {
            holds: breach.is_none(),
            vacuous: None,
            pair: shown.map(|((from, to), _)| (self.name(from), self.name(to))),
            packet: shown
                .map(|(_, (protocol, port))| Packet(protocol, port).to_string())
                .unwrap_or_default(),
            touched: self.touched(&all),
            rules,
            nearest,
        }
    }

    fn nearest(&self, (pair, (protocol, port)): (Pair, (u8, u16))) -> Vec<Miss> {
        let port = PortSet::WITH_PORTS.contains(&protocol).then_some(port);
        nearest_rules(self.network, pair, Traffic { protocol: Some(protocol), port })
    }

    /// A pair with a packet that it may not send.
    fn first_gap(&self, wanted: &PortSet, about: &[(&Flow, PortSet)]) -> Option<(Pair, (u8, u16))> {
        let mut left = wanted.clone();
        // Each time round the packets that the same flows let through are done with.
        while let Some((protocol, port)) = left.first() {
            let open = about.iter().filter(|(_, ports)| ports.contains(protocol, port));
            let (flows, ports): (Vec<&Flow>, Vec<&PortSet>) =
                open.map(|(flow, ports)| (*flow, ports)).unzip();
            if let Some(pair) = self.gap(&flows) {
                return Some((pair, (protocol, port)));
            }
            let done = ports.iter().fold(left.clone(), |done, ports| done.intersection(ports));
            left = left.difference(&done);
        }
        None
    }

    /// What of which rules lets anything through that is asked for.
    fn touched(&self, flows: &[&Flow]) -> Vec<Touch> {
        let mut touched: Vec<Touch> = Vec::new();
        let policy = self.network.policy;
        for flow in flows {
            let Some(origin) = flow.origin.filter(|_| self.overlap(flow).is_some()) else {
                continue;
            };
            let (section, index) = (RuleSection::from(origin.section), origin.index);
            let (sources, destinations) = match section {
                RuleSection::Grants => {
                    let grant = policy.grants.as_deref().unwrap_or_default().get(index);
                    let aliases = grant.map(|g| (aliases(&g.sources), aliases(&g.destinations)));
                    aliases.unwrap_or_default()
                }
                _ => {
                    let acl = policy.acls.as_deref().unwrap_or_default().get(index);
                    acl.map(|acl| {
                        let to = acl.destinations.iter().map(|dst| &dst.alias).collect();
                        (aliases(&acl.sources), to)
                    })
                    .unwrap_or_default()
                }
            };
            let from = IpSet::union(self.products.iter().map(|(from, _)| from));
            let to = IpSet::union(self.products.iter().map(|(_, to)| to));
            let sources = self.holding(&sources, &from.intersection(&flow.sources));
            let destinations = self.holding(&destinations, &to.intersection(&flow.targets));
            match touched.iter_mut().find(|t| (t.section, t.index) == (section, index)) {
                Some(known) => {
                    known.sources.extend(sources);
                    known.destinations.extend(destinations);
                }
                None => touched.push(Touch { section, index, sources, destinations }),
            }
        }
        touched
    }

    /// The indexes of the aliases that hold an address of `set`.
    pub(super) fn holding(&self, aliases: &[&Alias<'_>], set: &IpSet) -> Vec<usize> {
        let holds = |alias: &Alias<'_>| {
            *alias == Alias::Wildcard
                || alias.is_autogroup("autogroup:self")
                || self.network.resolver.resolve_any(alias).set().intersects(set)
        };
        let holding = aliases.iter().enumerate().filter(|(_, alias)| holds(alias));
        holding.map(|(at, _)| at).collect()
    }
}
