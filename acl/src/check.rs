//! The whole check of one policy text.

use std::cell::OnceCell;

use crate::context::Context;
use crate::engine::{self, Compiled, Inventory, Network, TestSection};
use crate::finding::{Counts, Finding, Findings, Severity};
use crate::hujson::Document;
use crate::hujson::strictness::{self, Violation};
use crate::policy::go_quote;
use crate::semantics::{Semantics, Version};
use crate::tailnet::Tailnet;
use crate::validate::Names;
use crate::{decode, lint, rules, suppress, validate};

/// A calendar day, given by the caller because this crate has no clock. Ordered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year of the common era.
    pub year: i16,
    /// Month, from 1.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
}

impl Date {
    /// Reads `2027-01-31`; `None` where that is no day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let mut number = |digits: usize| -> Option<i16> {
            let part = parts.next().filter(|part| part.len() == digits)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + i16::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (1..=days).contains(&day).then_some(Self { year, month: month as u8, day: day as u8 })
    }
}

/// What to check a policy for.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// The Headscale versions that must take the policy. More than one also asks what changes
    /// meaning between them.
    pub versions: &'a [Version],
    /// The users and nodes it is for; without them no reference to a user is wrong.
    pub tailnet: Option<&'a Tailnet>,
    /// Today, for `policy-ignore` comments with an end; without it none has ended.
    pub today: Option<Date>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { versions: &[Version::DEFAULT], tailnet: None, today: None }
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The findings in document order, bounded by [`Findings::KEPT`].
    pub findings: Vec<Finding>,
    /// How many more there were of each severity.
    pub uncounted: Counts,
    /// How many entries of `tests` and `sshTests` were not run, for want of a tailnet or because the
    /// policy is refused without them. Their shape is checked all the same.
    pub tests: usize,
}

/// Checks `text`: HuJSON, the JSON rules behind it, Headscale's validation, and, where Headscale
/// would take the policy, our lints.
///
/// An error finding with [`Source::Headscale`](crate::Source::Headscale) stands in the answer
/// exactly where Headscale of one of the versions refuses to save the policy. Its own `tests` and
/// `sshTests` are run where there is a tailnet and nothing else is wrong; without one only their
/// shape is checked.
///
/// Some lints are proved on what the policy means: for the nodes of the tailnet, else for nodes made
/// up from the policy. That a rule is covered by others is proved for any nodes.
///
/// Time and memory are linear in the text; with tests to run, see [`Network::failed_tests`]. Proofs
/// cost a bounded number of steps, a second or so at most: where rules times names and nodes are
/// more than 16 million, or names more than 20,000, nothing is proved, and where the steps end before
/// the rules do, the rest is not looked at. A rule for `autogroup:self` counts as 50.
#[must_use]
pub fn check(text: &[u8], options: &Options<'_>) -> Checked {
    check_and(text, options, OwnTests::Run)
}

/// What to do with a policy's own tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnTests {
    Run,
    /// A policy that is saved already works whether they pass or not.
    Skip,
}

pub(crate) fn check_and(text: &[u8], options: &Options<'_>, own_tests: OwnTests) -> Checked {
    let mut findings = Findings::new();
    let newest = options.versions.iter().max().copied().unwrap_or(Version::DEFAULT);
    // No policy at all: Headscale takes a file of 0 bytes and allows everything.
    if text.is_empty() {
        Context { semantics: Semantics::of(newest), findings: &mut findings }
            .implicit_allow_all("an empty file is no policy and allows everything");
        return Checked::from(findings);
    }
    let doc = Document::parse(text);
    report_syntax(&doc, &mut findings);
    if !doc.is_complete() {
        return Checked::from(findings);
    }
    // Newest first: where several versions say the same, the newest words it.
    let mut versions = options.versions.to_vec();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.dedup();
    let mut policies = Vec::new();
    let mut by_version = Vec::new();
    for version in &versions {
        let mut found = Findings::new();
        let mut context = Context { semantics: Semantics::of(*version), findings: &mut found };
        let policy = decode::policy(&doc, &mut context);
        let names = Names::of(&policy, options.tailnet);
        validate::policy(&policy, &names, options.tailnet, &mut context);
        policies.push(policy);
        by_version.push((*version, found));
    }
    let mut tests =
        policies.first().map_or(0, |policy| policy.tests.len() + policy.ssh_tests.len());
    findings.extend_by_version(by_version);
    let provable = own_tests == OwnTests::Run && !findings.has_errors();
    let inventory = options.tailnet.filter(|_| provable).map(Inventory::of);
    // Made once, for the tests and for what is proved.
    let network = OnceCell::new();
    if let (Some(inventory), true) = (&inventory, tests > 0) {
        let by_version = versions.iter().zip(&policies).map(|(version, policy)| {
            let make = || Network::new(policy, &doc, inventory, Semantics::of(*version));
            let failed = match *version == newest {
                true => failed_tests(network.get_or_init(make)),
                false => failed_tests(&make()),
            };
            (*version, failed)
        });
        findings.extend_by_version(by_version.collect());
        tests = 0;
    }
    if let (false, [newest_reads, .., oldest_reads] | [newest_reads @ oldest_reads]) =
        (findings.has_errors(), policies.as_slice())
    {
        let mut context = Context { semantics: Semantics::of(newest), findings: &mut findings };
        let names = Names::of(newest_reads, options.tailnet);
        let (new, old) = (newest_reads, oldest_reads);
        lint::policy(new, old, &names, options.tailnet, &versions, &mut context);
        if provable && lint::semantic::is_small_enough(new, options.tailnet) {
            let snapshot = inventory.as_ref().map(|inventory| {
                network.get_or_init(|| Network::new(new, &doc, inventory, Semantics::of(newest)))
            });
            lint::semantic::policy(new, &doc, snapshot, &versions, &mut context);
        }
        suppress::apply(&doc, &mut findings, options.today);
    }
    Checked { tests, ..Checked::from(findings) }
}

/// Bytes of messages and helps on failed tests that are told: one test can fail for many nodes, and
/// its sentences repeat its names.
const TOLD_OF_TESTS: usize = 16 << 20;

/// Runs the policy's own tests.
pub(crate) fn failed_tests(network: &Network<'_, '_>) -> Findings {
    let mut findings = Findings::new();
    let mut told = 0;
    network.failed_tests(&mut |failure| {
        let rule = match failure.section {
            TestSection::Tests => &rules::TEST_FAILED,
            TestSection::SshTests => &rules::SSH_TEST_FAILED,
        };
        if told > TOLD_OF_TESTS {
            return findings.add_uncounted(rule.severity, 1);
        }
        findings.push(rule, || {
            let (message, help) = (failure.to_string(), failure.help());
            told += message.len() + help.len();
            Finding::new(rule, failure.span, message).help(help)
        });
    });
    findings
}

/// Compiles `text` for the nodes of `tailnet` as Headscale of `version` would.
///
/// An empty text is no policy and allows everything. The policy's own tests are not run.
///
/// # Errors
///
/// What is wrong with a policy that Headscale would not take.
pub fn compile(text: &[u8], tailnet: &Tailnet, version: Version) -> Result<Compiled, Checked> {
    engine::ask(text, Some(tailnet), version, |network| network.compiled())
}

/// The first two layers of [`check`] alone: every reason for which Headscale cannot read a text,
/// whatever it would mean.
#[must_use]
pub fn check_syntax(doc: &Document<'_>) -> Checked {
    let mut findings = Findings::new();
    report_syntax(doc, &mut findings);
    Checked::from(findings)
}

impl From<Findings> for Checked {
    fn from(findings: Findings) -> Self {
        let (findings, uncounted) = findings.into_sorted();
        Self { findings, uncounted, tests: 0 }
    }
}

/// The first two layers: HuJSON, and what the JSON decoder behind it refuses in every object and
/// string.
fn report_syntax(doc: &Document<'_>, findings: &mut Findings) {
    for error in doc.errors() {
        findings.push(&rules::SYNTAX, || {
            let finding = Finding::new(&rules::SYNTAX, error.span, error.message());
            let finding = match error.repair() {
                Some((title, edit)) => finding.fix(title, vec![edit]),
                None => finding,
            };
            match error.help() {
                Some(help) => finding.help(help),
                None => finding,
            }
        });
    }
    findings.add_uncounted(Severity::Error, doc.more_errors());
    strictness::check(doc, |violation| match violation {
        Violation::DuplicateName { name, span, .. } => {
            findings.push(&rules::DUPLICATE_MEMBER, || {
                let name = go_quote(&name);
                let message = format!("duplicate object member name {name}");
                Finding::new(&rules::DUPLICATE_MEMBER, span, message)
                    .help(format!("merge it with the first {name}, or remove one of the two"))
            });
        }
        Violation::LoneSurrogate(span) => findings.push(&rules::LONE_SURROGATE, || {
            let message = "invalid surrogate pair in string".to_owned();
            Finding::new(&rules::LONE_SURROGATE, span, message).help("write the character itself")
        }),
        Violation::InvalidUtf8(span) => findings.push(&rules::INVALID_UTF8, || {
            Finding::new(&rules::INVALID_UTF8, span, "invalid UTF-8 in string".to_owned())
                .help("save the file as UTF-8")
        }),
    });
}
