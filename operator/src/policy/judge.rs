//! Whether a document may be given to Headscale.

use headscale_acl::hujson::{Document, standardize};
use headscale_acl::{
    Checked, Date, Finding, LineIndex, Options, Severity, Source, Tailnet, Version, check,
};
use headscale_api::kinds::PolicyFinding;

use crate::conditions::Verdict;

/// How many findings a status shows.
const SHOWN: usize = 20;
/// Bytes of one message in a status.
const MESSAGE: usize = 1000;
/// What Headscale takes, and what takes Headscale down.
const HAZARDS: [&str; 1] = ["ssh-test-enumerates"];
/// Told where attributes are for users, without whom Headscale does not start.
const NEEDS_USERS: &str = "node-attr-user-target";

/// A document, and the text of a person that it was made of.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The document.
    pub text: &'a str,
    /// What lines and columns are about: the text that a person wrote.
    pub base: &'a str,
    /// What that text is called.
    pub name: &'a str,
}

/// What is thought of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The first findings, errors first, as a status shows them.
    pub findings: Vec<PolicyFinding>,
    /// Why Headscale must not have it.
    pub refused: Option<Verdict>,
    /// Whether it has tests of its own, which need the nodes to be run.
    pub has_tests: bool,
    /// Whether Headscale does not start without some users.
    pub needs_users: bool,
}

impl Judged {
    /// Puts more findings to these, as long as there is room for them.
    pub fn add(&mut self, more: Vec<PolicyFinding>) {
        self.findings.extend(more);
        let rank = |finding: &PolicyFinding| match &*finding.severity {
            "error" => 0,
            "warning" => 1,
            _ => 2,
        };
        self.findings.sort_by_key(rank);
        self.findings.truncate(SHOWN);
    }
}

/// Judges a document by itself for Headscale of each of these versions.
#[must_use]
pub fn judge(subject: &Subject<'_>, versions: &[Version], today: Option<Date>) -> Judged {
    let findings = check_all(subject.text, versions, None, today);
    let has_tests = findings.tests > 0;
    Judged { has_tests, ..judged(subject, findings.findings) }
}

/// The errors of a document for these users and nodes, beside those that it has by itself. Without
/// nodes its own tests are not looked at.
#[must_use]
pub fn judge_live(
    subject: &Subject<'_>,
    versions: &[Version],
    tailnet: &Tailnet,
    has_nodes: bool,
) -> Judged {
    let Checked { mut findings, .. } = check_all(subject.text, versions, Some(tailnet), None);
    let is_test = |rule: &str| ["test-failed", "ssh-test-failed"].contains(&rule);
    findings.retain(|finding| {
        finding.severity == Severity::Error && (has_nodes || !is_test(&finding.rule))
    });
    judged(subject, findings)
}

fn check_all(
    text: &str,
    versions: &[Version],
    tailnet: Option<&Tailnet>,
    today: Option<Date>,
) -> Checked {
    let options = Options { versions, tailnet, today };
    let mut checked = check(text.as_bytes(), &options);
    if text.is_empty() {
        // Headscale takes it for no policy, and opens everything.
        for finding in &mut checked.findings {
            finding.severity = Severity::Error;
        }
    }
    if text.contains("policy-ignore") {
        // No comment silences what takes Headscale down. Without them everything stays where it is.
        let plain = standardize(&Document::parse(text.as_bytes()));
        let found = check(plain.as_bytes(), &options).findings;
        checked.findings.retain(|finding| !is_hazard(finding));
        checked.findings.extend(found.into_iter().filter(is_hazard));
    }
    for finding in checked.findings.iter_mut().filter(|finding| is_hazard(finding)) {
        finding.severity = Severity::Error;
    }
    checked
}

fn is_hazard(finding: &Finding) -> bool {
    finding.source == Source::Lint && HAZARDS.contains(&&*finding.rule)
}

/// What findings come to.
#[must_use]
pub fn judged(subject: &Subject<'_>, mut findings: Vec<Finding>) -> Judged {
    findings.sort_by(|one, other| {
        other.severity.cmp(&one.severity).then_with(|| one.document_order(other))
    });
    let places = Places::of(subject);
    let errors = findings.iter().take_while(|it| it.severity == Severity::Error).count();
    let refused = findings.first().filter(|_| errors > 0).map(|first| {
        let place = match places.find(first) {
            Some((line, column)) => format!("{}:{line}:{column}: ", subject.name),
            None => format!("{}: ", subject.name),
        };
        let help = first.help.as_deref().map(|help| format!("; {help}")).unwrap_or_default();
        let more = match errors {
            1 => String::new(),
            2 => " (and 1 error more: see status.findings)".to_owned(),
            errors => format!(" (and {} errors more: see status.findings)", errors - 1),
        };
        let message = format!("{place}{} ({}){help}{more}", first.message, first.rule);
        Verdict::bad("PolicyInvalid", cut(&message, 4 * MESSAGE))
    });
    let needs_users = findings.iter().any(|finding| finding.rule == NEEDS_USERS);
    let shown = findings.iter().take(SHOWN).map(|finding| {
        let (line, column) = places.find(finding).unzip();
        let help = finding.help.as_deref().map(|help| format!("; {help}")).unwrap_or_default();
        PolicyFinding {
            rule: finding.rule.to_string(),
            severity: finding.severity.to_string(),
            message: cut(&format!("{}{help}", finding.message), MESSAGE),
            line,
            column,
        }
    });
    Judged { findings: shown.collect(), refused, has_tests: false, needs_users }
}

fn cut(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// Where what stands in a document stands in the text of the person.
struct Places<'a> {
    base: &'a str,
    lines: LineIndex,
    /// What both have in common at the start and at the end, in bytes.
    start: usize,
    end: usize,
    len: usize,
}

impl<'a> Places<'a> {
    fn of(subject: &Subject<'a>) -> Self {
        let (text, base) = (subject.text.as_bytes(), subject.base.as_bytes());
        let same = |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| {
            pairs.take_while(|(one, other)| one == other).count()
        };
        let start = same(&mut text.iter().zip(base));
        let end = same(&mut text.iter().rev().zip(base.iter().rev()));
        let end = end.min(text.len().min(base.len()) - start);
        Self { base: subject.base, lines: LineIndex::new(base), start, end, len: text.len() }
    }

    /// Line and column in characters, from 1; `None` for what no person wrote.
    fn find(&self, finding: &Finding) -> Option<(i32, i32)> {
        let at = finding.span?.start as usize;
        let at = if at <= self.start {
            at
        } else if at + self.end >= self.len {
            self.base.len().checked_sub(self.len.checked_sub(at)?)?
        } else {
            return None;
        };
        let position = self.lines.position(u32::try_from(at).ok()?);
        let line = self.lines.line(self.base.as_bytes(), position.line)?;
        let before = line.get(..position.column as usize - 1).unwrap_or(line);
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        Some((i32::try_from(position.line).ok()?, i32::try_from(column).ok()?))
    }
}
