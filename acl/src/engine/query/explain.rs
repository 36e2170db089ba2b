//! Why one may reach another, or may not.

use serde::Serialize;

use super::asked::{Asked, Pair, aliases};
use super::nearest::{Miss, Traffic, nearest_rules, nearest_ssh_rules};
use super::party::{QueryError, party, split_port};
use super::ssh::{SshFlow, ssh_flows};
use crate::engine::compile;
use crate::engine::flow::Flow;
use crate::engine::network::Network;
use crate::policy::Protocol;
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

impl RuleSection {
    /// Its name in the policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acls => "acls",
            Self::Grants => "grants",
            Self::Ssh => "ssh",
        }
    }

    /// The name of one of its entries in a sentence, counted from 0.
    pub(crate) fn entry(self, index: usize) -> String {
        format!("`{}[{index}]`", self.as_str())
    }
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
        self.asked(question, |asked, port| match question.ssh_user {
            Some(user) => asked.explain_login(user, question.any),
            None => {
                let (asked, traffic) = asked.of_traffic(question.protocol, port)?;
                Ok(asked.explain_traffic(traffic, question.any))
            }
        })
    }

    /// Reads both ends of a question, and hands them on with the port.
    pub(super) fn asked<T>(
        &self,
        question: &Question<'_>,
        answer: impl FnOnce(Asked<'_, '_, '_>, Option<u16>) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let (to, port) = split_port(question.to)?;
        let from = party(question.from, self)?;
        let to = party(to, self)?;
        if from.is_own_devices() {
            return Err(QueryError::new("autogroup:self is a destination only"));
        }
        let asked = Asked::new(self, &from, &to);
        if asked.first_pair().is_none() {
            let (from, to) = (from.text, to.text);
            return Err(QueryError::new(format!(
                "there is no connection from {from} to {to}: they are one node, or have no address \
                 family in common"
            )));
        }
        if question.ssh_user.is_some()
            && (port.is_some_and(|port| port != 22) || question.protocol.is_some())
        {
            return Err(QueryError::new("Tailscale SSH is TCP on port 22")
                .hint("leave out the port and the protocol"));
        }
        answer(asked, port)
    }

    /// The number of a protocol in a question.
    pub(super) fn protocol(&self, name: Option<&str>) -> Result<Option<u8>, QueryError> {
        let Some(name) = name else { return Ok(None) };
        let protocol = Protocol::parse(name, self.semantics).map_err(QueryError::new)?;
        Ok(protocol.number())
    }
}

/// What lets logins through.
pub(super) struct Logins {
    /// By the SSH rules alone.
    by_rules: Vec<SshFlow>,
    /// By the network alone.
    open: Vec<Flow>,
    /// By both: each login where the network leads to it.
    pub(super) both: Vec<Flow>,
}

impl Asked<'_, '_, '_> {
    /// What is asked for by a protocol, or by TCP where there is a port.
    pub(super) fn of_traffic(
        self,
        protocol: Option<&str>,
        port: Option<u16>,
    ) -> Result<(Self, Traffic), QueryError> {
        let protocol = self.network.protocol(protocol)?.or(port.map(|_| 6));
        Ok((self.of_protocol(protocol)?, Traffic { protocol, port }))
    }

    /// What lets any of `traffic` through, in Headscale's order.
    pub(super) fn traffic(&self, traffic: Traffic) -> Vec<Flow> {
        self.flows(|ports| traffic.is_in(ports))
    }

    fn explain_traffic(&self, traffic: Traffic, any: bool) -> Explanation {
        let nearest = |pair| nearest_rules(self.network, pair, traffic);
        self.explanation(&self.traffic(traffic), Vec::new(), any, nearest)
    }

    /// What lets logins as `user` through.
    ///
    /// # Errors
    ///
    /// When the destination is no node.
    pub(super) fn logins(&self, user: &str) -> Result<Logins, QueryError> {
        let nodes = &self.network.flows().nodes;
        if self.products.iter().any(|(_, to)| !to.difference(nodes).is_empty()) {
            return Err(QueryError::new(format!("{} is no node", self.to.text))
                .hint("Tailscale SSH is a service of nodes, not of what lies behind them"));
        }
        let by_rules = ssh_flows(self.network, user);
        let open = self.traffic(SSH);
        let both = by_rules
            .iter()
            .flat_map(|SshFlow { flow: login, .. }| {
                open.iter().map(|flow| Flow {
                    sources: login.sources.intersection(&flow.sources).into(),
                    targets: login.targets.intersection(&flow.targets).into(),
                    ..flow.clone()
                })
            })
            .filter(|flow| !flow.sources.is_empty() && !flow.targets.is_empty())
            .collect();
        Ok(Logins { by_rules, open, both })
    }

    fn explain_login(&self, user: &str, any: bool) -> Result<Explanation, QueryError> {
        let Logins { by_rules, open, both } = self.logins(user)?;
        let open: Vec<&Flow> = open.iter().collect();
        let nearest = |pair| nearest_ssh_rules(self.network, pair, user, &open);
        Ok(self.explanation(&both, self.ssh_causes(&by_rules), any, nearest))
    }

    fn ssh_causes(&self, flows: &[SshFlow]) -> Vec<Cause> {
        let mut causes: Vec<Cause> = Vec::new();
        for SshFlow { index, flow } in flows {
            let Some(allowed) = self.overlap(flow) else { continue };
            let Some(rule) = self.network.policy.ssh.get(*index) else { continue };
            if causes.iter().any(|cause| cause.index == *index) {
                continue;
            }
            let (sources, destinations) = (aliases(&rule.sources), aliases(&rule.destinations));
            let place = (RuleSection::Ssh, *index, rule.span);
            causes.push(self.cause(place, &sources, &destinations, allowed));
        }
        causes
    }

    /// The answer where `flows` are all that lets through what is asked for; `rules` come before
    /// those behind them.
    fn explanation(
        &self,
        flows: &[Flow],
        mut rules: Vec<Cause>,
        any: bool,
        nearest: impl FnOnce(Pair) -> Vec<Miss>,
    ) -> Explanation {
        let flows: Vec<&Flow> = flows.iter().collect();
        let (causes, allowed_pair) = self.causes(&flows);
        rules.extend(causes);
        let gap = self.gap(&flows);
        let allowed = if any { allowed_pair.is_some() } else { gap.is_none() };
        let nearest = gap.filter(|_| !allowed).map(nearest).unwrap_or_default();
        let shown = if allowed { allowed_pair } else { gap };
        let pair = shown.or_else(|| self.first_pair());
        Explanation {
            allowed,
            symbolic: self.network.is_symbolic,
            rules,
            nearest,
            pair: pair.map_or_else(Default::default, |(a, b)| (self.name(a), self.name(b))),
            partly: allowed_pair.is_some() && gap.is_some(),
        }
    }
}

/// What Tailscale SSH needs of the network.
pub(super) const SSH: Traffic = Traffic { protocol: Some(6), port: Some(22) };
