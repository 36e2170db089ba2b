//! `tests`: from a source to a destination and port.

use std::borrow::Cow;

use foldhash::HashMap;

use super::{Outcome, TestFailure, TestSection, What, place};
use crate::engine::compile::Origin;
use crate::engine::ip_set::{IpSet, IpSetBuilder};
use crate::engine::network::Network;
use crate::engine::rule::{Body, Rule, Source, Sources};
use crate::policy::{Alias, PortRange, Prefix, Test, TestDestination, go_quote};

/// What a test without a protocol tries: ICMP, TCP, UDP and ICMPv6.
const DEFAULT_PROTOCOLS: &[u8] = &[1, 6, 17, 58];

/// Runs the `tests` of the policy.
pub(super) fn run(network: &Network<'_, '_>, report: &mut dyn FnMut(&TestFailure<'_>)) {
    if network.policy.tests.is_empty() {
        return;
    }
    let rules = Allowing::all(network);
    let mut entries = network.plan.entries.iter().flatten();
    let mut runner = Runner {
        network,
        rules: rules.as_deref(),
        unseen: entries.any(|entry| entry.own_devices.is_some() || entry.via.is_some()),
        known: HashMap::default(),
    };
    for test in &network.policy.tests {
        runner.run(test, report);
    }
}

/// A rule that lets connections through, as a test looks at it.
struct Allowing<'n> {
    origin: Origin,
    sources: Cow<'n, IpSet>,
    /// Empty where the client's default applies.
    protocols: &'n [u8],
    /// Addresses by the ports that are open on them.
    open: HashMap<PortRange, IpSet>,
}

impl<'n> Allowing<'n> {
    /// All of them; `None` where the policy allows everything.
    fn all(network: &'n Network<'_, '_>) -> Option<Vec<Self>> {
        let entries = network.plan.entries.as_ref()?.iter();
        let rules = entries
            .flat_map(|entry| entry.common.iter().filter_map(|rule| Self::of(rule, entry.origin)));
        Some(rules.collect())
    }

    fn of(rule: &'n Rule, origin: Origin) -> Option<Self> {
        let Body::Ports { protocols, targets } = &rule.body else { return None };
        let mut open: HashMap<PortRange, IpSetBuilder> = HashMap::default();
        for (target, ports) in targets {
            target.add_to(open.entry(*ports).or_default());
        }
        let open = open.into_iter().map(|(ports, set)| (ports, set.build())).collect();
        Some(Self { origin, sources: sources(&rule.sources), protocols, open })
    }

    fn opens(&self, destination: &IpSet, ports: &[PortRange], protocols: &[u8]) -> bool {
        let within = |open: &PortRange| {
            ports.iter().any(|port| open.first <= port.first && port.last <= open.last)
        };
        (self.protocols.is_empty() || self.protocols.iter().any(|p| protocols.contains(p)))
            && self.open.iter().any(|(open, set)| within(open) && set.intersects(destination))
    }
}

/// The sources of a rule but for routes with host bits, which Headscale's tests pass over.
fn sources(sources: &Sources) -> Cow<'_, IpSet> {
    let has_host_bits = |source: &Source| match source {
        Source::Prefix(prefix) => prefix.masked() != *prefix,
        Source::Any | Source::Range(_) => false,
    };
    if !sources.written.iter().any(has_host_bits) {
        return Cow::Borrowed(&sources.set);
    }
    let kept = sources.written.iter().copied().filter(|source| !has_host_bits(source));
    Cow::Owned(Sources::new(kept.collect()).set.as_ref().clone())
}

/// A destination with what opens it, by their places in the rules, or why it cannot be tested.
type Opened = Result<Vec<usize>, String>;

struct Runner<'r, 'n, 'd> {
    network: &'r Network<'n, 'd>,
    rules: Option<&'r [Allowing<'r>]>,
    /// Whether there are rules that tests do not see.
    unseen: bool,
    /// What is known of destinations, by text and protocol number.
    known: HashMap<(&'r str, Option<u8>), Opened>,
}

impl<'r, 'd> Runner<'r, '_, 'd> {
    fn run(&mut self, test: &'r Test<'d>, report: &mut dyn FnMut(&TestFailure<'_>)) {
        let failure = |span, what| TestFailure {
            section: TestSection::Tests,
            span,
            source: &test.source.value,
            protocol: test.protocol.as_ref().map_or("", |protocol| protocol.value.as_str()),
            what,
        };
        let source = match self.source(test) {
            Ok(source) => source,
            Err(what) => return report(&failure(test.source.span, what)),
        };
        let protocol = test.protocol.as_ref().and_then(|protocol| protocol.value.number());
        for destination in test.accept.iter().chain(&test.deny) {
            if let Err(why) = self.opened(destination, protocol) {
                let text = go_quote(&destination.text.value);
                let what = What::Destination(format!("error testing {text}: {why}"));
                report(&failure(destination.text.span, what));
            }
        }
        let unseen = self.unseen;
        let outcome_at = |destination: &'r TestDestination<'d>, outcome| What::Network {
            destination: &destination.text.value,
            outcome,
            unseen,
        };
        for destination in &test.accept {
            if let Some(prefix) = self.first_denied(&source, destination, protocol) {
                let outcome = Outcome::Denied(self.network.source_of(prefix));
                report(&failure(destination.text.span, outcome_at(destination, outcome)));
            }
        }
        for destination in &test.deny {
            if let Some(outcome) = self.allowed(&source, destination, protocol) {
                report(&failure(destination.text.span, outcome_at(destination, outcome)));
            }
        }
    }

    /// The source as prefixes; there is at least one.
    fn source(&self, test: &Test<'d>) -> Result<Vec<Prefix>, What<'r>> {
        let Some(alias) = Alias::parse(test.source.value.clone()) else {
            let why = self.network.semantics.alias_format(&test.source.value);
            return Err(What::Source(format!("invalid alias: {why}")));
        };
        let resolved = self.network.resolver.resolve(&alias);
        if let Some(why) = resolved.error {
            return Err(What::Source(format!("resolving: {why}")));
        }
        let prefixes: Vec<Prefix> = resolved.set.iter().flat_map(|set| set.prefixes()).collect();
        if prefixes.is_empty() { Err(What::NoSource) } else { Ok(prefixes) }
    }

    fn opened(&mut self, destination: &'r TestDestination<'d>, protocol: Option<u8>) -> &Opened {
        let (network, rules) = (self.network, self.rules.unwrap_or_default());
        let key = (&*destination.text.value, protocol);
        self.known.entry(key).or_insert_with(|| {
            let text = || go_quote(&destination.text.value);
            let (alias, ports) = match &destination.parsed {
                Ok(parsed) => parsed,
                Err(why) => return Err(format!("invalid destination {}: {why}", text())),
            };
            let resolved = network.resolver.resolve(alias);
            if let Some(why) = resolved.error {
                return Err(format!("resolving destination: {why}"));
            }
            let set = resolved.set.unwrap_or_default();
            if set.is_empty() {
                return Err(format!("destination resolved to no IP addresses: {}", text()));
            }
            let protocols = protocol.as_ref().map_or(DEFAULT_PROTOCOLS, std::slice::from_ref);
            let opens = |(_, rule): &(usize, &Allowing<'_>)| rule.opens(&set, ports, protocols);
            Ok(rules.iter().enumerate().filter(opens).map(|(at, _)| at).collect())
        })
    }

    /// The first of the sources that is denied; `None` where none is, or where the destination
    /// cannot be tested.
    fn first_denied(
        &mut self,
        source: &[Prefix],
        destination: &'r TestDestination<'d>,
        protocol: Option<u8>,
    ) -> Option<Prefix> {
        let rules = self.rules?;
        let opened = self.opened(destination, protocol).as_ref().ok()?;
        let rules = || opened.iter().filter_map(|at| rules.get(*at));
        let allowed = |prefix: &Prefix| rules().any(|rule| rule.sources.overlaps(*prefix));
        source.iter().find(|prefix| !allowed(prefix)).copied()
    }

    /// The rule that allows the first of the sources, where all of them are allowed.
    fn allowed(
        &mut self,
        source: &[Prefix],
        destination: &'r TestDestination<'d>,
        protocol: Option<u8>,
    ) -> Option<Outcome> {
        if self.opened(destination, protocol).is_err()
            || self.first_denied(source, destination, protocol).is_some()
        {
            return None;
        }
        let Some(rules) = self.rules else { return Some(Outcome::Allowed(None)) };
        let opened = self.opened(destination, protocol).as_ref().ok()?;
        let first = source.first()?;
        let mut rules = opened.iter().filter_map(|at| rules.get(*at));
        let rule = rules.find(|rule| rule.sources.overlaps(*first))?;
        Some(Outcome::Allowed(Some(place(rule.origin))))
    }
}
