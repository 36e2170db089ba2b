//! What the invariants share: questions whose problems are findings, and findings by rule.

use headscale_policy_sdk::{Cause, Finding, Policy, Problem, Query, Reachability};

use crate::nodes::Nodes;
use crate::rules::{UNANSWERED, UNKNOWN_NAME};

/// How many chains a message has.
const SHOWN: usize = 3;

/// A policy under judgement.
pub(crate) struct Judge<'j> {
    pub(crate) policy: &'j Policy,
    pub(crate) reachability: &'j dyn Reachability,
    pub(crate) findings: Vec<Finding>,
}

impl<'j> Judge<'j> {
    pub(crate) const fn new(policy: &'j Policy, reachability: &'j dyn Reachability) -> Self {
        Self { policy, reachability, findings: Vec::new() }
    }

    /// The answer to a question that `place` of the settings asks about `names`; a problem becomes
    /// a finding.
    pub(crate) fn ask<T>(
        &mut self,
        place: &str,
        names: &[&str],
        answer: Result<T, Problem>,
    ) -> Option<T> {
        let finding = match answer {
            Ok(answer) => return Some(answer),
            Err(Problem::Unknown(what)) => {
                let what = if names.contains(&what.as_str()) {
                    format!("{what} is neither in the policy nor in the tailnet")
                } else {
                    what
                };
                Finding::new(UNKNOWN_NAME, "", format!("settings{place}: {what}"))
            }
            Err(Problem::Empty(what)) => {
                let what = if names.contains(&what.as_str()) {
                    format!("{what} has no node")
                } else {
                    what
                };
                Finding::new(UNANSWERED, "", format!("settings{place} says nothing: {what}"))
            }
            Err(Problem::Invalid(what)) => {
                Finding::new(UNANSWERED, "", format!("settings{place} says nothing: {what}"))
            }
        };
        self.add(finding);
        None
    }

    /// Everyone whom names of the settings stand for. A name with nobody behind it is nobody; one
    /// that is not there is a finding.
    pub(crate) fn everyone<'n>(
        &mut self,
        place: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> Nodes {
        let mut everyone = Nodes::default();
        for name in names {
            match self.reachability.resolve(name) {
                Err(Problem::Empty(_)) => {}
                answer => {
                    if let Some(resolved) = self.ask(place, &[name], answer) {
                        everyone.add(Nodes::of(resolved));
                    }
                }
            }
        }
        everyone
    }

    /// Whom a name of an answer stands for.
    pub(crate) fn behind(&self, name: &str) -> Nodes {
        self.reachability.resolve(name).map(Nodes::of).unwrap_or_default()
    }

    /// Adds a finding, once.
    pub(crate) fn add(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// Chains of names by the rule that lets them through, in the order in which they came.
#[derive(Default)]
pub(crate) struct ByRule(Vec<(String, Vec<String>)>);

impl ByRule {
    /// Notes what `causes` let through of `query`, whose source is `called` so; without causes the
    /// `policy` lets everything through.
    pub(crate) fn add(&mut self, policy: &Policy, causes: &[Cause], query: &Query, called: &str) {
        if causes.is_empty() {
            self.note("", "a policy without rules lets everything through".to_owned());
        }
        let asked = traffic(query);
        for cause in causes {
            // Who asked for no port is told the ports of the rule.
            let traffic = if asked.is_empty() { opened(policy, cause) } else { asked.clone() };
            let on = if traffic.is_empty() { String::new() } else { format!(" on {traffic}") };
            let source = chain(cause, &query.source, called);
            let destination = cause.destination_chain.join(" ∈ ");
            self.note(&cause.rule, format!("{source} -> {destination}{on}"));
        }
    }

    pub(crate) fn note(&mut self, rule: &str, chain: String) {
        match self.0.iter_mut().find(|(known, _)| known == rule) {
            Some((_, chains)) if chains.contains(&chain) => {}
            Some((_, chains)) => chains.push(chain),
            None => self.0.push((rule.to_owned(), vec![chain])),
        }
    }

    pub(crate) fn has(&self, rule: &str) -> bool {
        self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(rule))
    }

    /// A finding for each rule: `what`, and the chains.
    pub(crate) fn findings(self, id: &str, what: &str, reason: Option<&str>) -> Vec<Finding> {
        let finding = |(rule, chains): (String, Vec<String>)| {
            let more = chains.len().saturating_sub(SHOWN);
            let shown: Vec<String> = chains.into_iter().take(SHOWN).collect();
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            let message = format!("{what}: {}{more}{}", shown.join(", "), because(reason));
            Finding::new(id, &rule, message)
        };
        self.0.into_iter().map(finding).collect()
    }
}

/// From who connects to the source of a rule; who was asked for as `asked` is `called` so.
pub(crate) fn chain(cause: &Cause, asked: &str, called: &str) -> String {
    let parts = cause.source_chain.iter().map(String::as_str);
    let mut parts: Vec<&str> =
        parts.map(|part| if part == asked { called } else { part }).collect();
    // The device of a user may have the user's name.
    parts.dedup();
    parts.join(" ∈ ")
}

/// What a question is about, for a message: `tcp 443`.
pub(crate) fn traffic(query: &Query) -> String {
    let port = query.port.map(|port| port.to_string());
    let parts = query.protocol.iter().chain(port.iter());
    parts.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// What a rule opens to the destination that it lets somebody reach, as the policy writes it:
/// `443,6443`; nothing where that is everything.
fn opened(policy: &Policy, cause: &Cause) -> String {
    let is_rule = |pointer: &str| pointer.eq_ignore_ascii_case(&cause.rule);
    let named = cause.destination_chain.last().map_or("", String::as_str);
    let ports: Vec<&str> = match policy.acls.iter().find(|acl| is_rule(&acl.pointer)) {
        Some(acl) => {
            let destinations = acl.dst.iter().filter_map(|to| to.rsplit_once(':'));
            destinations.filter(|(to, _)| *to == named).map(|(_, ports)| ports).collect()
        }
        None => {
            let grant = policy.grants.iter().find(|grant| is_rule(&grant.pointer));
            grant.into_iter().flat_map(|grant| &grant.ip).map(String::as_str).collect()
        }
    };
    if ports.contains(&"*") { String::new() } else { ports.join(",") }
}

/// The reason of a setting at the end of a message.
pub(crate) fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}
