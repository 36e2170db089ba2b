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

impl<'p, 'd> Denied<'_, 'p, 'd> {
    /// What `rule` lacks, if it is one thing only.
    fn miss(&self, rule: &Candidate<'p, 'd>) -> Option<Miss> {
        let ways = rule.destinations.iter().flat_map(|(alias, open)| {
            open.iter().map(|(protocol, ports)| self.lacks(rule, alias, protocol, ports))
        });
        let (lacks, detail) = ways
            .filter_map(|mut lacks| if lacks.len() == 1 { lacks.pop() } else { None })
            .min_by_key(|(lack, _)| *lack)?;
        let Candidate { section, index, span, .. } = *rule;
        Some(Miss { section, index, span, lacks, detail })
    }

    /// Everything that one destination of `rule` with one of its protocols lacks.
    fn lacks(
        &self,
        rule: &Candidate<'p, 'd>,
        alias: &Alias<'d>,
        protocol: &Protocol,
        ports: &[PortRange],
    ) -> Vec<(Lack, String)> {
        let mut lacks = Vec::new();
        lacks.extend(self.source_lack(rule.sources));
        lacks.extend(self.destination_lack(rule, alias));
        let sent = self.network.semantics.sent_protocols(protocol);
        let opened = PortSet::of(&sent, ports.iter().copied());
        let asked = self.traffic;
        if !opened.matches(asked.protocol, None) {
            let name = match protocol.as_str() {
                "" => "TCP, UDP and ICMP",
                name => name,
            };
            let mut detail = format!("it is for {name} only");
            if matches!(asked.protocol, Some(1 | 58)) {
                detail.push_str(", but Tailscale's clients answer pings wherever a port is open");
            }
            lacks.push((Lack::Proto, detail));
        } else if let Some(port) = asked.port
            && !asked.is_in(&opened)
        {
            let open: Vec<String> = ports.iter().map(ToString::to_string).collect();
            let (alias, open) = (alias.written(), open.join(","));
            lacks.push((Lack::Port, format!("it opens {open} of {alias}, not {port}")));
        }
        if !self.is_routed {
            let to = self.to;
            lacks.push((Lack::Route, format!("no node has {to} or an approved route to it")));
        } else if lacks.is_empty() {
            lacks.extend(self.via_lack(rule));
        }
        lacks
    }

    fn name(&self, addr: IpAddr) -> String {
        let node = owner(addr, self.network.inventory);
        node.map_or_else(|| addr.to_string(), |node| node.name.clone())
    }

    fn source_lack(&self, sources: &[Spanned<Alias<'d>>]) -> Option<(Lack, String)> {
        let wildcard = sources.iter().any(|source| source.value == Alias::Wildcard);
        let through_route = wildcard && self.network.flows().routed.contains(self.from);
        if through_route || resolved(self.network, sources).contains(self.from) {
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
        let any = *alias == Alias::Wildcard;
        if any || self.network.resolver.resolve(alias).set().contains(self.to) {
            return None;
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

    /// Why a rule that fits does not let the connection through: nobody leads there for it.
    fn via_lack(&self, rule: &Candidate<'p, 'd>) -> Option<(Lack, String)> {
        let to = self.to;
        if rule.via.is_empty() {
            return Some((Lack::Route, format!("no approved route leads to {to}")));
        }
        let tags: Vec<&str> = rule.via.iter().map(|tag| &*tag.value).collect();
        let tags = tags.join(" or ");
        Some((Lack::Tag, format!("no node with {tags} has an approved route to {to}")))
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
