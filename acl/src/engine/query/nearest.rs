//! The rules that would allow a connection but for one thing.

use std::net::IpAddr;

use serde::Serialize;

use super::asked::{Pair, resolved};
use super::explain::{RuleSection, SSH};
use super::ssh::ssh_flows;
use crate::engine::flow::{Flow, owner};
use crate::engine::network::Network;
use crate::engine::port_set::PortSet;
use crate::policy::{Alias, PortRange, Protocol, Spanned, Text};
use crate::span::Span;

/// How many rules are told at most.
const TOLD: usize = 5;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// IANA number; any where `None`.
    pub(super) protocol: Option<u8>,
    /// Any where `None`.
    pub(super) port: Option<u16>,
}

impl Traffic {
    /// Whether any of it is in `ports`.
    pub(super) fn is_in(self, ports: &PortSet) -> bool {
        ports.matches(self.protocol, self.port)
    }
}

/// What a rule lacks to allow a connection. Ordered: what is least to change stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lack {
    /// No approved route leads to the destination.
    Route,
    /// No rule of the network lets the connection of SSH through.
    Network,
    /// A node's tags: it has none that `via` asks for, or has some where the rule is for members.
    Tag,
    /// The SSH rule is not for this login user.
    User,
    /// The rule is for other ports.
    Port,
    /// The rule is for other protocols.
    Proto,
    /// The source is none of the rule's.
    Src,
    /// The destination is none of the rule's.
    Dst,
}

/// A rule that would allow a connection but for one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Its section.
    pub section: RuleSection,
    /// The entry in the section, from 0.
    pub index: usize,
    /// Where the entry stands.
    pub span: Span,
    /// What it lacks.
    pub lacks: Lack,
    /// The same as a sentence.
    pub detail: String,
}

/// A protocol with the ports that are open.
type Open<'p> = (&'p Protocol, &'p [PortRange]);

/// A rule of the network in one form, whether it is of `acls` or `grants`.
struct Candidate<'p, 'd> {
    section: RuleSection,
    index: usize,
    span: Span,
    sources: &'p [Spanned<Alias<'d>>],
    /// Each destination with what is open there.
    destinations: Vec<(&'p Alias<'d>, Vec<Open<'p>>)>,
    via: &'p [Spanned<Text<'d>>],
}

fn candidates<'p, 'd>(network: &Network<'p, 'd>) -> Vec<Candidate<'p, 'd>> {
    let policy = network.policy;
    let grants = policy.grants.iter().flatten().enumerate().map(|(index, grant)| {
        let ip: Vec<Open<'_>> =
            grant.ip.iter().map(|ip| (&ip.value.protocol, &*ip.value.ports)).collect();
        Candidate {
            section: RuleSection::Grants,
            index,
            span: grant.span,
            sources: &grant.sources,
            destinations: grant.destinations.iter().map(|dst| (&dst.value, ip.clone())).collect(),
            via: &grant.via,
        }
    });
    let acls = policy.acls.iter().flatten().enumerate().map(|(index, acl)| {
        let open = |ports| vec![(acl.protocol(), ports)];
        Candidate {
            section: RuleSection::Acls,
            index,
            span: acl.span,
            sources: &acl.sources,
            destinations: acl.destinations.iter().map(|d| (&d.alias, open(&*d.ports))).collect(),
            via: &[],
        }
    });
    grants.chain(acls).collect()
}

/// One connection that is denied.
struct Denied<'a, 'n, 'd> {
    network: &'a Network<'n, 'd>,
    from: IpAddr,
    to: IpAddr,
    traffic: Traffic,
    /// Whether `to` is of a node or behind an approved route.
    is_routed: bool,
}

/// The rules that would allow the pair but for one thing, the least first.
pub(super) fn nearest_rules(
    network: &Network<'_, '_>,
    (from, to): Pair,
    traffic: Traffic,
) -> Vec<Miss> {
    let is_routed = network.flows().answered.contains(to);
    let denied = Denied { network, from, to, traffic, is_routed };
    let mut misses: Vec<Miss> =
        candidates(network).iter().filter_map(|rule| denied.miss(rule)).collect();
    misses.sort_by_key(|miss| miss.lacks);
    misses.truncate(TOLD);
    misses
}

/// One destination of a rule with one of its protocols.
#[derive(Clone, Copy)]
struct Way<'r, 'd> {
    alias: &'r Alias<'d>,
    protocol: &'r Protocol,
    ports: &'r [PortRange],
}

impl<'p, 'd> Denied<'_, 'p, 'd> {
    /// What `rule` lacks, if it is one thing only.
    fn miss(&self, rule: &Candidate<'p, 'd>) -> Option<Miss> {
        let from_it = self.is_source(rule.sources);
        let mut least: Option<(Lack, Way<'_, 'd>)> = None;
        for (alias, open) in &rule.destinations {
            let to_it = self.is_destination(alias);
            for (protocol, ports) in open {
                let way = Way { alias, protocol, ports };
                let asked = self.traffic;
                let opened = self.opened(way);
                let proto = opened.matches(asked.protocol, None);
                let mut lacks = [
                    (!from_it).then_some(Lack::Src),
                    (!to_it).then_some(Lack::Dst),
                    (!proto).then_some(Lack::Proto),
                    (proto && !asked.is_in(&opened)).then_some(Lack::Port),
                    (!self.is_routed).then_some(Lack::Route),
                ]
                .into_iter()
                .flatten();
                let lack = match (lacks.next(), lacks.next()) {
                    (Some(lack), None) => lack,
                    (None, _) if rule.via.is_empty() => Lack::Route,
                    (None, _) => Lack::Tag,
                    (Some(_), Some(_)) => continue,
                };
                if least.is_none_or(|(least, _)| lack < least) {
                    least = Some((lack, way));
                }
            }
        }
        let (lack, way) = least?;
        let (lacks, detail) = match lack {
            Lack::Src => self.source_lack(rule.sources)?,
            Lack::Dst => self.destination_lack(rule, way.alias)?,
            Lack::Proto => (lack, self.protocol_lack(way.protocol)),
            Lack::Port => {
                let open: Vec<String> = way.ports.iter().map(ToString::to_string).collect();
                let (alias, open) = (way.alias.written(), open.join(","));
                let port = self.traffic.port.unwrap_or_default();
                (lack, format!("it opens {open} of {alias}, not {port}"))
            }
            _ => (lack, self.way_lack(rule)),
        };
        let Candidate { section, index, span, .. } = *rule;
        Some(Miss { section, index, span, lacks, detail })
    }

    fn opened(&self, way: Way<'_, '_>) -> PortSet {
        let sent = self.network.semantics.sent_protocols(way.protocol);
        PortSet::of(&sent, way.ports.iter().copied())
    }

    fn is_source(&self, sources: &[Spanned<Alias<'d>>]) -> bool {
        let routed = || self.network.flows().routed.contains(self.from);
        sources.iter().any(|source| {
            self.network.resolver.resolve(&source.value).set().contains(self.from)
                || (source.value == Alias::Wildcard && routed())
        })
    }

    fn is_destination(&self, alias: &Alias<'d>) -> bool {
        if alias.is_autogroup("autogroup:self") {
            return self.own_device_lack().is_none();
        }
        *alias == Alias::Wildcard || self.network.resolver.resolve(alias).set().contains(self.to)
    }

    fn protocol_lack(&self, protocol: &Protocol) -> String {
        let name = match protocol.as_str() {
            "" => "TCP, UDP and ICMP",
            name => name,
        };
        let pings = match self.traffic.protocol {
            Some(1 | 58) => ", but Tailscale's clients answer pings wherever a port is open",
            _ => "",
        };
        format!("it is for {name} only{pings}")
    }

    fn name(&self, addr: IpAddr) -> String {
        let node = owner(addr, self.network.inventory);
        node.map_or_else(|| addr.to_string(), |node| node.name.clone())
    }

    fn source_lack(&self, sources: &[Spanned<Alias<'d>>]) -> Option<(Lack, String)> {
        if self.is_source(sources) {
            return None;
        }
        let name = self.name(self.from);
        let for_members = sources.iter().any(|s| s.value.is_autogroup("autogroup:member"));
        let node = owner(self.from, self.network.inventory);
        if for_members && node.is_some_and(|node| node.is_tagged()) {
            let detail = format!("{name} carries a tag, so it is no member's");
            return Some((Lack::Tag, detail));
        }
        let detail =
            format!("{name} is none of its sources: {}", list(sources.iter().map(|s| &s.value)));
        Some((Lack::Src, detail))
    }

    fn destination_lack(
        &self,
        rule: &Candidate<'p, 'd>,
        alias: &Alias<'d>,
    ) -> Option<(Lack, String)> {
        if alias.is_autogroup("autogroup:self") {
            return self.own_device_lack();
        }
        let all = list(rule.destinations.iter().map(|(alias, _)| *alias));
        Some((Lack::Dst, format!("{} is none of its destinations: {all}", self.name(self.to))))
    }

    fn own_device_lack(&self) -> Option<(Lack, String)> {
        let inventory = self.network.inventory;
        let (from, to) = (owner(self.from, inventory), owner(self.to, inventory));
        if let Some(tagged) = from.into_iter().chain(to).find(|node| node.is_tagged()) {
            let detail = format!("{} carries a tag, so it is no user's own device", tagged.name);
            return Some((Lack::Tag, detail));
        }
        let (from, to) = (from.and_then(|node| node.user), to.and_then(|node| node.user));
        (from.is_none() || from != to).then(|| {
            let (from, to) = (self.name(self.from), self.name(self.to));
            (Lack::Dst, format!("{from} and {to} are not devices of one user"))
        })
    }

    /// Why a rule that fits but for the way does not let the connection through: nobody has the
    /// address or leads there for the rule.
    fn way_lack(&self, rule: &Candidate<'p, 'd>) -> String {
        let to = self.to;
        if !self.is_routed {
            return format!("no node has {to} or an approved route to it");
        }
        if rule.via.is_empty() {
            return format!("no approved route leads to {to}");
        }
        let tags: Vec<&str> = rule.via.iter().map(|tag| &*tag.value).collect();
        format!("no node with {} has an approved route to {to}", tags.join(" or "))
    }
}

/// The SSH rules that would allow the pair to log in as `user` but for one thing; `open` is what
/// leads to port 22.
pub(super) fn nearest_ssh_rules(
    network: &Network<'_, '_>,
    (from, to): Pair,
    user: &str,
    open: &[&Flow],
) -> Vec<Miss> {
    let denied = Denied { network, from, to, traffic: SSH, is_routed: true };
    let reachable =
        open.iter().any(|flow| flow.sources.contains(from) && flow.targets.contains(to));
    let mut misses = Vec::new();
    let logins = ssh_flows(network, user);
    for (index, rule) in network.policy.ssh.iter().enumerate() {
        let mut lacks = Vec::new();
        lacks.extend(denied.source_lack(&rule.sources));
        let others = resolved(network, &rule.destinations).contains(to);
        let own = rule.destinations.iter().any(|dst| dst.value.is_autogroup("autogroup:self"));
        let own_lack = denied.own_device_lack();
        let is_destination = others || (own && own_lack.is_none());
        if !is_destination {
            let all = list(rule.destinations.iter().map(|dst| &dst.value));
            let detail = format!("{} is none of its destinations: {all}", denied.name(to));
            lacks.push(own_lack.filter(|_| own).unwrap_or((Lack::Dst, detail)));
        }
        let allows =
            |login: &super::ssh::SshFlow| login.index == index && login.flow.sources.contains(from);
        let users = rule.users.iter().flatten().map(|user| &*user.value);
        if lacks.is_empty() && !logins.iter().any(allows) {
            let users: Vec<&str> = users.collect();
            lacks.push((Lack::User, format!("it is for {}, not {user}", users.join(", "))));
        }
        if !reachable {
            let (from, to) = (denied.name(from), denied.name(to));
            let detail = format!("no rule of the network lets {from} reach TCP port 22 of {to}");
            lacks.push((Lack::Network, detail));
        }
        if let (Some((lacks, detail)), true) = (lacks.pop(), lacks.is_empty()) {
            let (section, span) = (RuleSection::Ssh, rule.span);
            misses.push(Miss { section, index, span, lacks, detail });
        }
    }
    misses.sort_by_key(|miss| miss.lacks);
    misses.truncate(TOLD);
    misses
}

fn list<'a, 'd: 'a>(aliases: impl Iterator<Item = &'a Alias<'d>>) -> String {
    let mut written: Vec<String> = Vec::new();
    for alias in aliases {
        let alias = alias.written();
        if !written.contains(&alias) {
            written.push(alias);
        }
    }
    written.join(", ")
}
