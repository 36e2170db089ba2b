//! Why one may reach another, or may not.

use std::net::IpAddr;

use serde::Serialize;

use super::flow::{Flow, Traffic, flows, gap, intersection, owner, pair, union};
use super::nearest::{Miss, nearest_rules, nearest_ssh_rules};
use super::party::{Party, QueryError, party, split_port};
use super::ssh::{SshFlow, ssh_flows};
use crate::engine::compile;
use crate::engine::ip_set::IpSet;
use crate::engine::network::Network;
use crate::policy::{Alias, Protocol, Spanned};
use crate::span::Span;

/// A question: may `from` reach `to`?
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'q> {
    /// Who connects: an alias, the name of a node, or an address.
    pub from: &'q str,
    /// To whom, with a port if it is about one: `tag:web:443`.
    pub to: &'q str,
    /// By which protocol, as in a policy; by default TCP where there is a port, else any.
    pub protocol: Option<&'q str>,
    /// Whether one allowed pair is enough. Otherwise all nodes of `from` must reach all of `to`.
    pub any: bool,
    /// Asks for SSH as this login user instead; `to` then has no port but 22.
    pub ssh_user: Option<&'q str>,
}

/// A section with rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleSection {
    /// `acls`
    Acls,
    /// `grants`
    Grants,
    /// `ssh`
    Ssh,
}

impl From<compile::Section> for RuleSection {
    fn from(section: compile::Section) -> Self {
        match section {
            compile::Section::Acls => Self::Acls,
            compile::Section::Grants => Self::Grants,
        }
    }
}

/// A rule that allows what was asked for, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its section.
    pub section: RuleSection,
    /// The entry in the section, from 0.
    pub index: usize,
    /// Where the entry stands.
    pub span: Span,
    /// From who asked to the rule's source, each a part of the next: `alice@`, `group:admins`.
    pub via: Vec<String>,
    /// The same from the destination asked for to the rule's.
    pub via_to: Vec<String>,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether all pairs are allowed, or one where any was asked for.
    pub allowed: bool,
    /// Whether the nodes are made up from the policy.
    pub symbolic: bool,
    /// The rules that allow it, or a part of it, in Headscale's order; empty where the policy
    /// allows everything because it has no rules.
    pub rules: Vec<Cause>,
    /// Where it is denied, the rules that would allow it but for one thing.
    pub nearest: Vec<Miss>,
    /// An example: where it is denied a pair that is, else one that is allowed.
    pub pair: (String, String),
    /// Whether some pairs are allowed and some are not.
    pub partly: bool,
}

impl Network<'_, '_> {
    /// Answers whether one may reach another, and by which rules.
    ///
    /// A pair of nodes counts in each address family that both have, and a node is not asked
    /// whether it reaches itself. Rules count in the filter of the node where the connection
    /// arrives, or of the router that leads to it.
    ///
    /// # Errors
    ///
    /// When the question names nothing that has an address, or cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// use headscale_acl::Version;
    /// use headscale_acl::engine::{self, Question};
    ///
    /// let text = br#"{
    ///     "groups": {"group:dev": ["alice@"]},
    ///     "tagOwners": {"tag:web": ["alice@"]},
    ///     "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["tag:web:443"]}],
    /// }"#;
    /// let question = Question { from: "alice@", to: "tag:web:443", ..Question::default() };
    /// let answer = engine::ask(text, None, Version::V0_29, |network| network.explain(&question));
    /// let answer = answer.unwrap().unwrap();
    /// assert!(answer.allowed);
    /// assert_eq!(answer.rules[0].via, ["alice@", "group:dev"]);
    /// ```
    pub fn explain(&self, question: &Question<'_>) -> Result<Explanation, QueryError> {
        let (to, port) = split_port(question.to)?;
        let from = party(question.from, self)?;
        let to = party(to, self)?;
        if from.is_own_devices() {
            return Err(QueryError::new("autogroup:self is a destination only"));
        }
        let asked = Asked::new(self, &from, &to)?;
        match question.ssh_user {
            Some(user) => asked.ssh(user, port, question),
            None => asked.network(self.traffic(port, question.protocol)?, question.any),
        }
    }

    fn traffic(&self, port: Option<u16>, protocol: Option<&str>) -> Result<Traffic, QueryError> {
        let protocol = match protocol {
            Some(name) => Protocol::parse(name, self.semantics).map_err(QueryError::new)?.number(),
            None => port.map(|_| 6),
        };
        Ok(Traffic { protocol, port })
    }
}

/// A question with its ends resolved.
struct Asked<'a, 'n, 'd> {
    network: &'a Network<'n, 'd>,
    from: &'a Party<'a>,
    to: &'a Party<'a>,
    /// All connections from the first of each to the second are asked for.
    products: Vec<(IpSet, IpSet)>,
}

impl<'a, 'n, 'd> Asked<'a, 'n, 'd> {
    fn new(
        network: &'a Network<'n, 'd>,
        from: &'a Party<'a>,
        to: &'a Party<'a>,
    ) -> Result<Self, QueryError> {
        let inventory = network.inventory;
        let products = if to.is_own_devices() {
            let users = inventory.users().iter();
            let products = users.map(|user| {
                let devices = inventory.nodes_of_user(user.id).iter().copied();
                let devices = inventory.addresses(devices);
                (intersection(&from.set, &devices), devices)
            });
            products.collect()
        } else {
            vec![(from.set.clone(), to.set.clone())]
        };
        let asked = Self { network, from, to, products };
        if asked.first_pair().is_none() {
            let (from, to) = (from.text, to.text);
            let message = format!(
                "there is no connection from {from} to {to}: they are one node, or have no address \
                 family in common"
            );
            return Err(QueryError::new(message));
        }
        Ok(asked)
    }

    fn first_pair(&self) -> Option<(IpAddr, IpAddr)> {
        self.products.iter().find_map(|(from, to)| pair(from, to, self.network.inventory))
    }

    fn network(&self, traffic: Traffic, any: bool) -> Result<Explanation, QueryError> {
        let flows = flows(self.network);
        let products = self.of_protocol(traffic)?;
        let matching: Vec<&Flow> =
            flows.iter().filter(|flow| traffic.matches(&flow.protocols, flow.ports)).collect();
        let (rules, allowed_pair) = self.causes(&products, &matching);
        let gap = self.gap(&products, &matching);
        let allowed = if any { allowed_pair.is_some() } else { gap.is_none() };
        let nearest = match gap {
            Some(pair) if !allowed => nearest_rules(self.network, pair, traffic),
            _ => Vec::new(),
        };
        let shown = if allowed { allowed_pair } else { gap };
        Ok(self.explanation(
            allowed,
            rules,
            nearest,
            shown,
            allowed_pair.is_some() && gap.is_some(),
        ))
    }

    /// What is asked for, in the address family of the protocol if it has one.
    fn of_protocol(&self, traffic: Traffic) -> Result<Vec<(IpSet, IpSet)>, QueryError> {
        let family = match traffic.protocol {
            Some(1) => "0.0.0.0/0",
            Some(58) => "::/0",
            _ => return Ok(self.products.clone()),
        };
        let family = crate::policy::Prefix::parse(family)
            .map(IpSet::of)
            .map_err(|error| QueryError::new(error.to_string()))?;
        let products: Vec<(IpSet, IpSet)> = self
            .products
            .iter()
            .map(|(from, to)| (intersection(from, &family), intersection(to, &family)))
            .collect();
        if products.iter().any(|(from, to)| pair(from, to, self.network.inventory).is_some()) {
            return Ok(products);
        }
        Err(QueryError::new("no pair has addresses of this protocol's family"))
    }

    fn ssh(
        &self,
        user: &str,
        port: Option<u16>,
        question: &Question<'_>,
    ) -> Result<Explanation, QueryError> {
        if port.is_some_and(|port| port != 22) || question.protocol.is_some() {
            return Err(QueryError::new("Tailscale SSH is TCP on port 22")
                .hint("leave out the port and the protocol"));
        }
        let inventory = self.network.inventory;
        let nodes = inventory.addresses(0..inventory.nodes.len());
        if self.products.iter().any(|(_, to)| !to.difference(&nodes).is_empty()) {
            return Err(QueryError::new(format!("{} is no node", self.to.text))
                .hint("Tailscale SSH is a service of nodes, not of what lies behind them"));
        }
        let ssh = ssh_flows(self.network, user);
        let all = flows(self.network);
        let traffic = Traffic { protocol: Some(6), port: Some(22) };
        let open: Vec<&Flow> =
            all.iter().filter(|flow| traffic.matches(&flow.protocols, flow.ports)).collect();
        let logins: Vec<&Flow> = ssh.iter().map(|flow| &flow.flow).collect();
        // What both let through: each login where the network leads to it.
        let both: Vec<Flow> = logins
            .iter()
            .flat_map(|login| {
                open.iter().map(|flow| Flow {
                    sources: intersection(&login.sources, &flow.sources),
                    targets: intersection(&login.targets, &flow.targets),
                    ..(*flow).clone()
                })
            })
            .filter(|flow| !flow.sources.is_empty() && !flow.targets.is_empty())
            .collect();
        let both: Vec<&Flow> = both.iter().collect();
        let (network_rules, allowed_pair) = self.causes(&self.products, &both);
        let gap = self.gap(&self.products, &both);
        let allowed = if question.any { allowed_pair.is_some() } else { gap.is_none() };
        let mut rules = self.ssh_causes(&ssh);
        rules.extend(network_rules);
        let nearest = match gap {
            Some(pair) if !allowed => nearest_ssh_rules(self.network, pair, user, &open),
            _ => Vec::new(),
        };
        let shown = if allowed { allowed_pair } else { gap };
        Ok(self.explanation(
            allowed,
            rules,
            nearest,
            shown,
            allowed_pair.is_some() && gap.is_some(),
        ))
    }

    fn gap(&self, products: &[(IpSet, IpSet)], flows: &[&Flow]) -> Option<(IpAddr, IpAddr)> {
        let inventory = self.network.inventory;
        products.iter().find_map(|(from, to)| gap(from, to, flows, inventory))
    }

    fn overlap(&self, products: &[(IpSet, IpSet)], flow: &Flow) -> Option<(IpAddr, IpAddr)> {
        products.iter().find_map(|(from, to)| {
            let from = intersection(from, &flow.sources);
            pair(&from, &intersection(to, &flow.targets), self.network.inventory)
        })
    }

    /// The rules behind `flows` that allow anything that is asked for, each once, and a pair that
    /// the first of them allows.
    fn causes(
        &self,
        products: &[(IpSet, IpSet)],
        flows: &[&Flow],
    ) -> (Vec<Cause>, Option<(IpAddr, IpAddr)>) {
        let mut causes: Vec<Cause> = Vec::new();
        let mut first = None;
        let policy = self.network.policy;
        for flow in flows {
            let Some(allowed) = self.overlap(products, flow) else { continue };
            first.get_or_insert(allowed);
            let Some(origin) = flow.origin else { continue };
            let section = RuleSection::from(origin.section);
            let known = |cause: &Cause| (cause.section, cause.index) == (section, origin.index);
            if causes.iter().any(known) {
                continue;
            }
            let (sources, destinations, span) = match origin.section {
                compile::Section::Acls => {
                    let acls = policy.acls.iter().flatten();
                    let Some(acl) = acls.into_iter().nth(origin.index) else { continue };
                    let matching = acl.destinations.iter().map(|dst| &dst.alias);
                    (&acl.sources, matching.collect::<Vec<_>>(), acl.span)
                }
                compile::Section::Grants => {
                    let grants = policy.grants.iter().flatten();
                    let Some(grant) = grants.into_iter().nth(origin.index) else { continue };
                    let matching = grant.destinations.iter().map(|dst| &dst.value);
                    (&grant.sources, matching.collect(), grant.span)
                }
            };
            causes.push(Cause {
                section,
                index: origin.index,
                span,
                via: self.chain(self.from, &aliases(sources), allowed.0),
                via_to: self.chain(self.to, &destinations, allowed.1),
            });
        }
        (causes, first)
    }

    fn ssh_causes(&self, flows: &[SshFlow]) -> Vec<Cause> {
        let mut causes: Vec<Cause> = Vec::new();
        for SshFlow { index, flow } in flows {
            let Some(allowed) = self.overlap(&self.products, flow) else { continue };
            let Some(rule) = self.network.policy.ssh.get(*index) else { continue };
            if causes.iter().any(|cause| cause.index == *index) {
                continue;
            }
            causes.push(Cause {
                section: RuleSection::Ssh,
                index: *index,
                span: rule.span,
                via: self.chain(self.from, &aliases(&rule.sources), allowed.0),
                via_to: self.chain(self.to, &aliases(&rule.destinations), allowed.1),
            });
        }
        causes
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
        if !resolved.is_empty() && asked.set.is_superset(&resolved) && asked.set != *resolved {
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

    fn explanation(
        &self,
        allowed: bool,
        rules: Vec<Cause>,
        nearest: Vec<Miss>,
        shown: Option<(IpAddr, IpAddr)>,
        partly: bool,
    ) -> Explanation {
        let name = |addr: IpAddr| {
            let node = owner(addr, self.network.inventory);
            node.map_or_else(|| addr.to_string(), |node| format!("{} ({addr})", node.name))
        };
        let pair = shown.or_else(|| self.first_pair());
        Explanation {
            allowed,
            symbolic: self.network.is_symbolic,
            rules,
            nearest,
            pair: pair.map_or_else(Default::default, |(from, to)| (name(from), name(to))),
            partly,
        }
    }
}

fn aliases<'p, 'd>(aliases: &'p [Spanned<Alias<'d>>]) -> Vec<&'p Alias<'d>> {
    aliases.iter().map(|alias| &alias.value).collect()
}

/// The addresses of all these aliases.
pub(super) fn resolved<'d>(network: &Network<'_, 'd>, aliases: &[Spanned<Alias<'d>>]) -> IpSet {
    let sets: Vec<_> =
        aliases.iter().map(|alias| network.resolver.resolve(&alias.value).set()).collect();
    union(sets.iter().map(|set| &**set))
}
