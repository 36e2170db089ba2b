//! A policy's own `tests` and `sshTests`, judged as Headscale judges them when a policy is saved.
//!
//! Headscale looks at the rules that hold for every node alike, so `autogroup:self` and `via` are
//! invisible to `tests`; a test passes where any address of a destination is reached, and where any
//! address of a range of sources is let in.

mod network;
mod ssh;

use std::fmt;

use super::compile::{Origin, Section};
use super::ip_set::IpSet;
use super::network::Network;
use crate::policy::{Prefix, go_quote};
use crate::span::Span;

/// A test of the policy that fails. Displayed, it is Headscale's sentence.
#[derive(Clone, Debug)]
pub struct TestFailure<'t> {
    /// The section of the test.
    pub section: TestSection,
    /// What it is about: the entry, its source, a destination, or a login user.
    pub span: Span,
    /// The source as Headscale names it.
    source: &'t str,
    /// The name of the protocol, empty where none is given; always so in `sshTests`.
    protocol: &'t str,
    what: What<'t>,
}

/// A section with tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestSection {
    /// `tests`
    Tests,
    /// `sshTests`
    SshTests,
}

/// Why a test fails.
#[derive(Clone, Debug)]
enum What<'t> {
    /// The source cannot be resolved: Headscale's reason.
    Source(String),
    /// The source has no address.
    NoSource,
    /// A destination cannot be tested: Headscale's sentence.
    Destination(String),
    /// An entry of `sshTests` expects nothing.
    NothingExpected,
    /// A destination of `tests` is not as expected; whether there are rules that tests do not see.
    Network { destination: &'t str, outcome: Outcome, unseen: bool },
    /// A login is not as expected.
    Login { user: &'t str, destination: &'t str, outcome: Outcome },
}

/// What came out instead.
#[derive(Clone, Debug)]
enum Outcome {
    /// Denied, to this source among others.
    Denied(String),
    /// Allowed by this rule; `None` where there are no rules.
    Allowed(Option<(&'static str, usize)>),
    /// Not allowed with a check; whether allowed without one.
    Unchecked { accepted: bool, source: String },
}

impl fmt::Display for TestFailure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.source;
        let protocol = match self.protocol {
            "" => String::new(),
            name => format!(" ({name})"),
        };
        match &self.what {
            What::Source(why) => {
                let quoted = go_quote(source);
                write!(f, "{source}{protocol}: failed to resolve source {quoted}: {why}")
            }
            What::NoSource => {
                let quoted = go_quote(source);
                write!(f, "{source}{protocol}: source {quoted} resolved to no IP addresses")
            }
            What::Destination(why) => write!(f, "{source}{protocol}: {why}"),
            What::NothingExpected => {
                write!(f, "{source}: no accept, deny, or check assertions specified")
            }
            What::Network { destination, outcome, .. } => {
                write!(f, "{source} -> {destination}{protocol}: {outcome}")
            }
            What::Login { user, destination, outcome } => {
                let user = if user.is_empty() { "\"\"" } else { user };
                write!(f, "{source}/{user} -> {destination}: {outcome}")
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied(_) => "expected ALLOWED, got DENIED",
            Self::Allowed(_) => "expected DENIED, got ALLOWED",
            Self::Unchecked { accepted: true, .. } => {
                "expected ALLOWED via check, got ALLOWED via accept"
            }
            Self::Unchecked { accepted: false, .. } => "expected ALLOWED via check, got DENIED",
        })
    }
}

impl TestFailure<'_> {
    /// What to do about it, in one sentence.
    #[must_use]
    pub fn help(&self) -> String {
        match &self.what {
            What::Source(_) => "name a source that the tailnet has, or remove the test".to_owned(),
            What::NoSource => {
                "the source has no node in the tailnet: add one, or remove the test".to_owned()
            }
            What::Destination(_) => {
                "name a destination that has a node in the tailnet, or remove it from the test"
                    .to_owned()
            }
            What::NothingExpected => {
                "add \"accept\", \"deny\" or \"check\" with login users".to_owned()
            }
            What::Network { outcome: Outcome::Denied(source), unseen, .. } => {
                let unseen = if *unseen {
                    " (Headscale's tests do not see `autogroup:self` and `via`)"
                } else {
                    ""
                };
                format!(
                    "no rule of `acls` or `grants` lets {source} reach it{unseen}: add one, or \
                     expect it under `deny`"
                )
            }
            What::Network { outcome, .. } | What::Login { outcome, .. } => match outcome {
                Outcome::Denied(source) => {
                    format!("no rule of `ssh` lets {source} in: add one, or expect it under `deny`")
                }
                Outcome::Unchecked { accepted: false, source } => format!(
                    "no rule of `ssh` lets {source} in: add one with the action `check`, or \
                     expect it under `deny`"
                ),
                Outcome::Unchecked { accepted: true, source } => format!(
                    "only a rule with the action `accept` lets {source} in: make that `check`, or \
                     expect it under `accept`"
                ),
                Outcome::Allowed(Some((section, index))) => format!(
                    "`{section}[{index}]` allows it: narrow that rule, or expect it under `accept`"
                ),
                Outcome::Allowed(None) => {
                    "a policy without `acls` and `grants` allows everything: add \"acls\": []"
                        .to_owned()
                }
            },
        }
    }
}

impl Network<'_, '_> {
    /// Runs `tests` and then `sshTests`, and hands each failure to `report`: entry by entry, in an
    /// entry first what cannot be tested, then what is expected under `accept`, `deny` and `check`.
    ///
    /// Costs what the tests name, times the rules; an SSH test also the nodes that it names, times
    /// its login users. Sources are never taken apart into addresses, so wide ones cost no more.
    pub fn failed_tests(&self, report: &mut dyn FnMut(&TestFailure<'_>)) {
        network::run(self, report);
        ssh::run(self, report);
    }

    /// An address or prefix, with the node that has it.
    fn source_of(&self, prefix: Prefix) -> String {
        let written = prefix.written();
        let first = self.inventory.nodes_in(&IpSet::of(prefix)).iter().next();
        match first.and_then(|at| self.inventory.node(at)) {
            Some(node) if prefix.is_single() => format!("{} ({written})", node.name),
            _ => written,
        }
    }
}

/// Where a rule of the packet filter stands, as a section's name and an index.
const fn place(origin: Origin) -> (&'static str, usize) {
    let section = match origin.section {
        Section::Acls => "acls",
        Section::Grants => "grants",
    };
    (section, origin.index)
}
