//! Two ends of a question, and what flows between them.

use std::net::IpAddr;

use super::explain::{Cause, RuleSection};
use super::party::{Party, QueryError};
use crate::engine::compile;
use crate::engine::flow::{End, Flow, common_pair, gap, owner, pair};
use crate::engine::ip_set::IpSet;
use crate::engine::network::Network;
use crate::engine::port_set::PortSet;
use crate::policy::{Alias, Spanned};
use crate::span::Span;

/// A connection of one address to another.
pub(super) type Pair = (IpAddr, IpAddr);

/// Two ends of a question.
pub(super) struct Asked<'a, 'n, 'd> {
    pub(super) network: &'a Network<'n, 'd>,
    pub(super) from: &'a Party<'a>,
    pub(super) to: &'a Party<'a>,
    /// All connections from the first of each to the second are asked for.
    pub(super) products: Vec<(IpSet, IpSet)>,
}

impl<'a, 'n, 'd> Asked<'a, 'n, 'd> {
    /// Where `to` is `autogroup:self`, each user's devices are asked for by themselves.
    pub(super) fn new(
        network: &'a Network<'n, 'd>,
        from: &'a Party<'a>,
        to: &'a Party<'a>,
    ) -> Self {
        let inventory = network.inventory;
        let products = if to.is_own_devices() {
            let users = inventory.devices_by_user().into_iter();
            let products = users.map(|(_, devices)| {
                let devices = inventory.addresses(devices.iter().copied());
                (from.set.intersection(&devices), devices)
            });
            products.collect()
        } else {
            vec![((*from.set).clone(), (*to.set).clone())]
        };
        Self { network, from, to, products }
    }

    /// A connection that is asked for; `None` where there is none.
    pub(super) fn first_pair(&self) -> Option<Pair> {
        self.products.iter().find_map(|(from, to)| pair(from, to, self.network.inventory))
    }

    /// Leaves what is asked for in the address family of the protocol, if it has one.
    ///
    /// # Errors
    ///
    /// Where nothing is left.
    pub(super) fn of_protocol(self, protocol: Option<u8>) -> Result<Self, QueryError> {
        let family = match protocol {
            Some(1) => 0,
            Some(58) => 1,
            _ => return Ok(self),
        };
        let of_family = |set: &IpSet| set.families().into_iter().nth(family).unwrap_or_default();
        let products = self.products.iter().map(|(from, to)| (of_family(from), of_family(to)));
        let asked = Self { products: products.collect(), ..self };
        match asked.first_pair() {
            Some(_) => Ok(asked),
            None => Err(QueryError::new("no pair has addresses of this protocol's family")),
        }
    }

    /// What may flow between the two on `wanted` ports, and perhaps more, in Headscale's order.
    pub(super) fn flows(&self, wanted: impl Fn(&PortSet) -> bool) -> Vec<Flow> {
        let (network, flows) = (self.network, self.network.flows());
        let from = self.from.concern(network, End::Source);
        if !self.to.is_own_devices() {
            let to = self.to.concern(network, End::Target);
            return flows.between(network, [Some(from), Some(to)], wanted);
        }
        let to = IpSet::union(self.products.iter().map(|(_, to)| to));
        let to = flows.concern(network, End::Target, &to);
        flows.between(network, [Some(from), Some(&to)], wanted)
    }

    /// A connection that is asked for and that none of `flows` lets through.
    pub(super) fn gap(&self, flows: &[&Flow]) -> Option<Pair> {
        let inventory = self.network.inventory;
        self.products.iter().find_map(|(from, to)| gap(from, to, flows, inventory))
    }

    /// A connection that is asked for and that `flow` lets through.
    pub(super) fn overlap(&self, flow: &Flow) -> Option<Pair> {
        let inventory = self.network.inventory;
        self.products.iter().find_map(|(from, to)| {
            common_pair((from, &flow.sources), (to, &flow.targets), inventory)
        })
    }

    /// The rules behind `flows` that allow anything that is asked for, each once, and a pair that
    /// the first of them allows.
    pub(super) fn causes(&self, flows: &[&Flow]) -> (Vec<Cause>, Option<Pair>) {
        let mut causes: Vec<Cause> = Vec::new();
        let mut first = None;
        let policy = self.network.policy;
        for flow in flows {
            let Some(allowed) = self.overlap(flow) else { continue };
            first.get_or_insert(allowed);
            let Some(origin) = flow.origin else { continue };
            let section = RuleSection::from(origin.section);
            let known = |cause: &Cause| (cause.section, cause.index) == (section, origin.index);
            if causes.iter().any(known) {
                continue;
            }
            let at = origin.index;
            let rule = match origin.section {
                compile::Section::Acls => {
                    let acl = policy.acls.as_deref().unwrap_or_default().get(at);
                    acl.map(|acl| {
                        let destinations = acl.destinations.iter().map(|dst| &dst.alias);
                        (&acl.sources, destinations.collect::<Vec<_>>(), acl.span)
                    })
                }
                compile::Section::Grants => {
                    let grant = policy.grants.as_deref().unwrap_or_default().get(at);
                    grant.map(|grant| (&grant.sources, aliases(&grant.destinations), grant.span))
                }
            };
            if let Some((sources, destinations, span)) = rule {
                let rule = (section, at, span);
                causes.push(self.cause(rule, &aliases(sources), &destinations, allowed));
            }
        }
        (causes, first)
    }

    /// A rule as the cause of what is `allowed`.
    pub(super) fn cause(
        &self,
        (section, index, span): (RuleSection, usize, Span),
        sources: &[&Alias<'d>],
        destinations: &[&Alias<'d>],
        allowed: Pair,
    ) -> Cause {
        let via = self.chain(self.from, sources, allowed.0);
        let via_to = self.chain(self.to, destinations, allowed.1);
        Cause { section, index, span, via, via_to }
    }

    /// From `asked` to the alias of a rule that holds `addr`: `laptop`, `alice@`, `group:dev`.
    fn chain(&self, asked: &Party<'_>, rule: &[&Alias<'d>], addr: IpAddr) -> Vec<String> {
        if let Some(same) = rule.iter().find(|alias| asked.alias.as_ref() == Some(**alias)) {
            return vec![same.written()];
        }
        let holding = |alias: &&&Alias<'d>| {
            **alias == &Alias::Wildcard || self.network.resolver.resolve(alias).set().contains(addr)
        };
        let own = rule.iter().find(|alias| alias.is_autogroup("autogroup:self"));
        let Some(alias) = rule.iter().find(holding).or(own) else {
            return vec![asked.text.to_owned()];
        };
        let resolved = self.network.resolver.resolve(alias).set();
        if !resolved.is_empty() && asked.set.is_superset(&resolved) && *asked.set != *resolved {
            return vec![alias.written()];
        }
        let mut chain = vec![asked.text.to_owned()];
        if let Alias::Group(name) = alias
            && !matches!(asked.alias, Some(Alias::User(_)))
        {
            let groups = self.network.policy.groups.iter();
            let members = groups.filter(|group| group.name.value == *name);
            let member = members.flat_map(|group| &group.members).find(|member| {
                let user = Alias::User(member.value.as_ref().into());
                self.network.resolver.resolve_any(&user).set().contains(addr)
            });
            chain.extend(member.map(|member| member.value.to_string()));
        }
        chain.push(alias.written());
        chain
    }

    /// An address with the name of the node that has it.
    pub(super) fn name(&self, addr: IpAddr) -> String {
        match owner(addr, self.network.inventory) {
            Some(node) => format!("{} ({addr})", node.name),
            None => addr.to_string(),
        }
    }
}

/// The values alone.
pub(super) fn aliases<'p, 'd>(aliases: &'p [Spanned<Alias<'d>>]) -> Vec<&'p Alias<'d>> {
    aliases.iter().map(|alias| &alias.value).collect()
}

/// The addresses of all these aliases.
pub(super) fn resolved<'d>(network: &Network<'_, 'd>, aliases: &[Spanned<Alias<'d>>]) -> IpSet {
    let sets: Vec<_> =
        aliases.iter().map(|alias| network.resolver.resolve(&alias.value).set()).collect();
    IpSet::union(sets.iter().map(|set| &**set))
}
