//! Severities as the user sets them: of rules, and of a failing run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use clap::ValueEnum;
use headscale_acl::{Counts, Finding, Severity, Source, rules};
use schemars::JsonSchema;
use serde::Deserialize;
use thiserror::Error;

use crate::suggest::did_you_mean;

/// What a run fails on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FailOn {
    /// Errors.
    Error,
    /// Warnings and errors.
    Warning,
    /// Any finding.
    Info,
    /// No finding.
    Never,
}

impl FailOn {
    /// Whether findings, counted by severity, fail the run.
    pub(crate) const fn fails(self, counts: Counts) -> bool {
        match self {
            Self::Error => counts.errors > 0,
            Self::Warning => counts.errors > 0 || counts.warnings > 0,
            Self::Info => counts.total() > 0,
            Self::Never => false,
        }
    }
}

/// What a rule's findings become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// They are not told.
    Off,
    /// Infos.
    Info,
    /// Warnings.
    Warning,
    /// Errors.
    Error,
}

impl Level {
    const fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Info => Some(Severity::Info),
            Self::Warning => Some(Severity::Warning),
            Self::Error => Some(Severity::Error),
        }
    }
}

/// Why a rule cannot be given a level.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RuleError {
    /// There is none with that id.
    #[error("unknown rule {id:?}{}", .hint.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
    Unknown {
        /// The id.
        id: String,
        /// What was meant.
        hint: Option<String>,
    },
    /// Headscale's verdict is not ours to change.
    #[error("rule {0:?} is Headscale's own and cannot be changed: Headscale refuses the policy")]
    Headscale(&'static str),
    /// Not `ID=LEVEL`.
    #[error("expected ID=LEVEL with one of the levels off, info, warning and error")]
    Form,
}

/// The rule with the id `id`.
pub(crate) fn rule(id: &str) -> Result<&'static rules::Rule, RuleError> {
    rules::by_id(id).ok_or_else(|| RuleError::Unknown {
        id: id.to_owned(),
        hint: did_you_mean(id, rules::all().map(|rule| rule.id)),
    })
}

/// The rule with the id `id`, if its findings can be given another severity.
pub(crate) fn changeable_rule(id: &str) -> Result<&'static rules::Rule, RuleError> {
    let rule = rule(id)?;
    match rule.source {
        Source::Headscale => Err(RuleError::Headscale(rule.id)),
        Source::Lint | Source::Suite | Source::Plugin(_) => Ok(rule),
    }
}

/// The id of a rule whose findings can be given another severity: one of ours, or `PLUGIN/ID`, which
/// only that plugin knows.
pub(crate) fn changeable_id(id: &str) -> Result<Cow<'static, str>, RuleError> {
    if id.contains('/') {
        return Ok(Cow::Owned(id.to_owned()));
    }
    changeable_rule(id).map(|rule| Cow::Borrowed(rule.id))
}

/// `--rule ID=LEVEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleLevel {
    /// The rule's id.
    pub(crate) id: Cow<'static, str>,
    /// What its findings become.
    pub(crate) level: Level,
}

impl FromStr for RuleLevel {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (id, level) = text.split_once('=').ok_or(RuleError::Form)?;
        let level = Level::from_str(level, false).map_err(|_| RuleError::Form)?;
        let id = changeable_id(id)?;
        Ok(Self { id, level })
    }
}

/// The levels of all rules that have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels(BTreeMap<Cow<'static, str>, Level>);

impl Levels {
    /// Sets the level of a rule; the last one counts.
    pub(crate) fn set(&mut self, rule: RuleLevel) {
        self.0.insert(rule.id, rule.level);
    }

    /// Severity of the findings of `rule` as set; `None` where it is off. What Headscale says stays.
    fn severity(&self, rule: &str, source: &Source, severity: Severity) -> Option<Severity> {
        match self.0.get(rule) {
            Some(level) if *source != Source::Headscale => level.severity(),
            _ => Some(severity),
        }
    }

    /// How many findings of each severity those are that were only counted, by rule.
    pub(crate) fn counts(&self, uncounted: &[(&'static rules::Rule, u64)]) -> Counts {
        let mut counts = Counts::default();
        for (rule, count) in uncounted {
            if let Some(severity) = self.severity(rule.id, &rule.source, rule.severity) {
                counts.add_many(severity, *count);
            }
        }
        counts
    }

    /// `findings` with their severities as set, without those of rules that are off. What
    /// Headscale says stays.
    pub(crate) fn apply(&self, findings: Vec<Finding>) -> Vec<Finding> {
        if self.0.is_empty() {
            return findings;
        }
        let level = |mut finding: Finding| {
            finding.severity = self.severity(&finding.rule, &finding.source, finding.severity)?;
            Some(finding)
        };
        findings.into_iter().filter_map(level).collect()
    }
}
