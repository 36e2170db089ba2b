//! Suites: what a policy must and must not allow, judged soundly.
//!
//! Headscale's own `tests` prove little: one reachable node of many is enough for an `accept`, one
//! allowed member of many goes unnoticed under a `deny`, and `autogroup:self` and `via` are
//! invisible. An entry of a suite is about all sources and all destinations unless it says `any`.

use std::fmt;

use crate::engine::{Cause, Claim, Expect, Judgement, Miss, Network, QueryError, Touch};
use crate::finding::Finding;
use crate::rules::{SUITE_ENTRY_INVALID, SUITE_INVARIANT_BROKEN, SUITE_TEST_FAILED, SUITE_VACUOUS};
use crate::span::Span;

/// What an entry of a suite is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An entry of `tests`.
    Test,
    /// `never`: nobody of `from` reaches anyone of `to`.
    Never,
    /// `always`: all of `from` reach all of `to`.
    Always,
    /// `only`: nobody but `from` reaches anyone of `to`.
    Only,
}

/// An entry of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Who connects; more than one only with [`EntryKind::Only`].
    pub from: Vec<String>,
    /// To whom, with ports as in `acls`.
    pub to: String,
    /// By which protocol.
    pub protocol: Option<String>,
    /// What is claimed.
    pub expect: Expect,
    /// Where it stands in the suite's text.
    pub span: Option<Span>,
}

/// What came out of an entry.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is to be told of it in the suite's text; `None` where it holds.
    pub finding: Option<Finding>,
    /// Whether it holds.
    pub holds: bool,
    /// What of which rules it goes through.
    pub touched: Vec<Touch>,
}

impl Entry {
    /// Judges the entry for a policy and its nodes. `place` tells where a rule of the policy
    /// stands.
    ///
    /// Costs what [`Network::judge`] does.
    pub fn verify(&self, network: &Network<'_, '_>, place: &dyn Fn(Span) -> String) -> Verdict {
        let from: Vec<&str> = self.from.iter().map(String::as_str).collect();
        let claim = Claim {
            from: &from,
            to: &self.to,
            protocol: self.protocol.as_deref(),
            expect: self.expect,
        };
        match network.judge(&claim) {
            Err(QueryError { message, hint, .. }) => {
                let finding =
                    Finding::new(&SUITE_ENTRY_INVALID, self.span, format!("{self}: {message}"));
                let finding = Finding { help: hint, ..finding };
                Verdict { finding: Some(finding), holds: false, touched: Vec::new() }
            }
            Ok(judgement) => {
                let finding = match &judgement {
                    Judgement { vacuous: Some(why), holds, .. } => Some(self.vacuous(why, *holds)),
                    Judgement { holds: true, .. } => None,
                    judgement => Some(self.broken(judgement, place)),
                };
                let Judgement { holds, touched, .. } = judgement;
                // What is not to be reached goes through no rule.
                let reaches = matches!(self.expect, Expect::All | Expect::Any);
                Verdict { finding, holds, touched: if reaches { touched } else { Vec::new() } }
            }
        }
    }

    fn vacuous(&self, why: &str, holds: bool) -> Finding {
        if holds {
            let message = format!("{self}: proves nothing, because {why}");
            return Finding::new(&SUITE_VACUOUS, self.span, message)
                .help("give the tailnet such a node, or remove the entry");
        }
        let rule = self.rule();
        Finding::new(rule, self.span, format!("{self}: {why}"))
            .help("somebody is to be found there: give the tailnet such a node")
    }

    const fn rule(&self) -> &'static crate::rules::Rule {
        match self.kind {
            EntryKind::Test => &SUITE_TEST_FAILED,
            _ => &SUITE_INVARIANT_BROKEN,
        }
    }

    fn broken(&self, judgement: &Judgement, place: &dyn Fn(Span) -> String) -> Finding {
        let (from, to) = judgement.pair.clone().unwrap_or_default();
        let packet = &judgement.packet;
        let reaches = match self.expect {
            Expect::All | Expect::Any => "does not reach",
            Expect::None | Expect::NotAll | Expect::Only => "reaches",
        };
        let message = format!("{self}: {from} {reaches} {to} on {packet}");
        let finding = Finding::new(self.rule(), self.span, message);
        let help = match self.expect {
            Expect::All | Expect::Any => nearest(&judgement.nearest, place),
            _ => allowing(&judgement.rules, place),
        };
        finding.help(help)
    }
}

impl fmt::Display for Entry {
    /// The name, or what is claimed: `group:dev -> tag:web:443 is accepted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            return f.write_str(name);
        }
        let (from, to) = (self.from.join(", "), &self.to);
        let protocol = self.protocol.as_ref().map(|name| format!(" ({name})"));
        let protocol = protocol.unwrap_or_default();
        match (self.kind, self.expect) {
            (EntryKind::Never, _) => write!(f, "never {from} -> {to}{protocol}"),
            (EntryKind::Always, _) => write!(f, "always {from} -> {to}{protocol}"),
            (EntryKind::Only, _) => write!(f, "only {from} -> {to}{protocol}"),
            (_, Expect::Any) => write!(f, "accept any {from} -> {to}{protocol}"),
            (_, Expect::NotAll) => write!(f, "deny any {from} -> {to}{protocol}"),
            (_, Expect::All) => write!(f, "accept {from} -> {to}{protocol}"),
            (_, Expect::None | Expect::Only) => write!(f, "deny {from} -> {to}{protocol}"),
        }
    }
}

fn allowing(rules: &[Cause], place: &dyn Fn(Span) -> String) -> String {
    let Some(rule) = rules.first() else {
        return "a policy without `acls` and `grants` allows everything: add \"acls\": []"
            .to_owned();
    };
    let more = match rules.len() {
        1 => String::new(),
        2 => ", and so does 1 other rule".to_owned(),
        rules => format!(", and so do {} other rules", rules - 1),
    };
    let names = |chain: &[String]| chain.last().cloned().unwrap_or_default();
    let (name, at) = (rule.section.entry(rule.index), place(rule.span));
    let (from, to) = (names(&rule.via), names(&rule.via_to));
    format!("{name} at {at} allows it, from {from} to {to}{more}")
}

fn nearest(misses: &[Miss], place: &dyn Fn(Span) -> String) -> String {
    match misses.first() {
        Some(miss) => {
            let (name, at) = (miss.section.entry(miss.index), place(miss.span));
            format!("{name} at {at} comes nearest: {}", miss.detail)
        }
        None => "no rule comes near: each lacks more than one thing".to_owned(),
    }
}
