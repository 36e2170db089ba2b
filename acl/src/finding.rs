//! What a check has to say: one [`Finding`] for Headscale's own refusals, for lints and for every
//! reporter.

use foldhash::HashMap;
use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::hujson::Edit;
use crate::rules::Rule;
use crate::semantics::Version;
use crate::span::Span;

/// How bad a finding is. Ordered: `Info < Warning < Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Accepted by Headscale, and probably not what was meant.
    Warning,
    /// Refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Headscale of the asked version refuses the policy for this.
    Headscale,
    /// Our own advice; never an error by default, so that the verdict stays Headscale's.
    Lint,
    /// A suite of tests beside the policy.
    Suite,
    /// A plugin: `NAME@VERSION`.
    Plugin(Arc<str>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headscale => f.pad("headscale"),
            Self::Lint => f.pad("lint"),
            Self::Suite => f.pad("suite"),
            Self::Plugin(plugin) => write!(f, "plugin:{plugin}"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A repair that a machine can make: edits of the policy text that keep its comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What the repair does, in the imperative: `replace "alice" by "alice@"`.
    pub title: String,
    /// The edits; all or none are applied.
    pub edits: Vec<Edit>,
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable id of the rule, in kebab-case.
    pub rule: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// Who says so.
    pub source: Source,
    /// What is wrong: Headscale's own sentence where Headscale has one.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Where; the whole file where `None`.
    pub span: Option<Span>,
    /// A repair that `--fix` makes.
    pub fix: Option<Fix>,
}

impl Finding {
    /// A finding of `rule` with that rule's severity and source.
    #[must_use]
    pub fn new(rule: &'static Rule, span: impl Into<Option<Span>>, message: String) -> Self {
        Self {
            rule: Cow::Borrowed(rule.id),
            severity: rule.severity,
            source: rule.source.clone(),
            message,
            help: None,
            span: span.into(),
            fix: None,
        }
    }

    /// The same with a help text.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with a repair that a machine can make.
    #[must_use]
    pub fn fix(mut self, title: impl Into<String>, edits: Vec<Edit>) -> Self {
        self.fix = Some(Fix { title: title.into(), edits });
        self
    }

    /// The order in which findings are told: document order; those about the whole file come first, and of those at
    /// one place the worst.
    pub fn document_order(&self, other: &Self) -> Ordering {
        let key = |finding: &Self| (finding.span, Reverse(finding.severity));
        key(self).cmp(&key(other)).then_with(|| self.rule.cmp(&other.rule))
    }
}

/// How many findings there are of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Errors.
    pub errors: u64,
    /// Warnings.
    pub warnings: u64,
    /// Infos.
    pub infos: u64,
}

impl Counts {
    /// Counts one finding of `severity`.
    pub const fn add(&mut self, severity: Severity) {
        self.add_many(severity, 1);
    }

    /// Counts `more` findings of `severity`.
    pub const fn add_many(&mut self, severity: Severity, more: u64) {
        match severity {
            Severity::Error => self.errors += more,
            Severity::Warning => self.warnings += more,
            Severity::Info => self.infos += more,
        }
    }

    /// The larger of each count.
    const fn max(self, other: Self) -> Self {
        const fn max(a: u64, b: u64) -> u64 {
            if a > b { a } else { b }
        }
        Self {
            errors: max(self.errors, other.errors),
            warnings: max(self.warnings, other.warnings),
            infos: max(self.infos, other.infos),
        }
    }

    /// The sum of each count.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            errors: self.errors + other.errors,
            warnings: self.warnings + other.warnings,
            infos: self.infos + other.infos,
        }
    }

    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.errors + self.warnings + self.infos
    }
}

/// Collects findings, and bounds them: a hostile text can have a million mistakes. The first
/// [`Findings::KEPT`] are kept whole, the rest are only counted.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    uncounted: Counts,
    /// Comparisons of names made for suggestions.
    comparisons: usize,
}

impl From<Vec<Finding>> for Findings {
    /// Takes findings that were bounded already.
    fn from(kept: Vec<Finding>) -> Self {
        Self { kept, ..Self::new() }
    }
}

impl Findings {
    /// How many findings are kept whole.
    pub const KEPT: usize = 10_000;

    /// How many comparisons of names are made for suggestions.
    const COMPARISONS: usize = 50_000;

    /// No findings yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            kept: Vec::new(),
            uncounted: Counts { errors: 0, warnings: 0, infos: 0 },
            comparisons: 0,
        }
    }

    /// Takes the finding that `make` makes of `rule`; beyond the bound it is counted and not made.
    pub fn push(&mut self, rule: &'static Rule, make: impl FnOnce() -> Finding) {
        if self.kept.len() < Self::KEPT {
            self.kept.push(make());
        } else {
            self.uncounted.add(rule.severity);
        }
    }

    /// Takes all of `other` too.
    pub(crate) fn append(&mut self, other: Self) {
        let kept = other.kept.into_iter();
        for finding in kept {
            if self.kept.len() < Self::KEPT {
                self.kept.push(finding);
            } else {
                self.uncounted.add(finding.severity);
            }
        }
        self.uncounted = self.uncounted.plus(other.uncounted);
    }

    /// Keeps only those for which `keep` holds; what was only counted stays counted.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Finding) -> bool) {
        self.kept.retain(keep);
    }

    /// Whether `comparisons` more may be made; they then count as made.
    pub(crate) const fn spend(&mut self, comparisons: usize) -> bool {
        let allowed = self.comparisons + comparisons <= Self::COMPARISONS;
        if allowed {
            self.comparisons += comparisons;
        }
        allowed
    }

    /// Counts `more` findings of `severity` that nobody made.
    pub const fn add_uncounted(&mut self, severity: Severity, more: u64) {
        self.uncounted.add_many(severity, more);
    }

    /// Takes what several versions have to say, newest first: what more than one of them says of
    /// the same rule at the same place is told once, in the words of the newest, and what not all
    /// of them say names those that do.
    pub(crate) fn extend_by_version(&mut self, by_version: Vec<(Version, Self)>) {
        let asked = by_version.len();
        let mut more = Counts::default();
        let mut told: Vec<(Finding, Vec<Version>)> = Vec::new();
        // One rule can be broken several times at one place: the first of a version is the first of
        // the others, and so on.
        type Place = (Cow<'static, str>, Option<Span>);
        let mut at: HashMap<(Place, usize), usize> = HashMap::default();
        for (version, found) in by_version {
            more = more.max(found.uncounted);
            let mut times: HashMap<Place, usize> = HashMap::default();
            for finding in found.kept {
                let place = (finding.rule.clone(), finding.span);
                let nth = times.entry(place.clone()).or_default();
                let known = at.entry((place, *nth)).or_insert(told.len());
                *nth += 1;
                match told.get_mut(*known) {
                    Some((_, versions)) => versions.push(version),
                    None => told.push((finding, vec![version])),
                }
            }
        }
        for (mut finding, mut versions) in told {
            if versions.len() < asked {
                versions.sort_unstable();
                let names: Vec<&str> = versions.iter().map(|version| version.as_str()).collect();
                let only = format!("for Headscale {}", names.join(" and "));
                finding.help = Some(match finding.help {
                    Some(help) => format!("{only}: {help}"),
                    None => only,
                });
            }
            if self.kept.len() < Self::KEPT {
                self.kept.push(finding);
            } else {
                self.uncounted.add(finding.severity);
            }
        }
        self.uncounted = self.uncounted.plus(more);
    }

    /// Whether there is an error among them.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.uncounted.errors > 0 || self.kept.iter().any(|f| f.severity == Severity::Error)
    }

    /// The findings in document order, and how many were only counted.
    #[must_use]
    pub fn into_sorted(mut self) -> (Vec<Finding>, Counts) {
        self.kept.sort_by(Finding::document_order);
        (self.kept, self.uncounted)
    }
}
