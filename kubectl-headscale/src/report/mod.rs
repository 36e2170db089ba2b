//! Findings for people and machines: one [`Report`] in, one of eight formats out.
//!
//! A reporter writes to the writer it is handed. It reads no file, no environment and no clock, so
//! the same report always gives the same bytes. Texts in a report come from the user's files and
//! are hostile until shown otherwise: each format escapes them in its own way, and those that end
//! on a terminal or in a CI log go through `visible` first.

use std::fmt;
use std::io;
use std::str::FromStr;

use headscale_acl::{Counts, Finding};
use headscale_policy_host::Rule;
use thiserror::Error;

mod concise;
mod excerpt;
mod fingerprint;
mod github;
mod gitlab;
mod json;
mod junit;
pub(crate) mod markdown;
mod sarif;
mod selection;
mod source;
mod summary;
mod text;
mod utf16;
pub(crate) mod visible;

/// What was found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The path as the user gave it, or `<stdin>`.
    pub name: String,
    /// The text that was checked; any bytes. Spans of the findings count in it.
    pub text: Vec<u8>,
    /// The findings that were kept, in document order.
    pub findings: Vec<Finding>,
    /// How many more there were of each severity.
    pub uncounted: Counts,
}

/// What was found in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The files in the order in which they are told; clean ones too.
    pub files: Vec<FileReport>,
    /// The rules of the plugins that ran.
    pub plugin_rules: Vec<Rule>,
    /// Version of this program, as in `0.1.0`.
    pub tool_version: String,
    /// How many findings `text`, `concise`, `markdown` and `github` print in a run; 0 prints all
    /// that were kept. The worst are kept first. The other formats always hold all.
    pub max_findings: usize,
}

/// How many findings of each severity a report has, with those that were only counted.
#[must_use]
pub fn counts(report: &Report) -> Counts {
    let mut counts = Counts::default();
    for file in &report.files {
        counts.errors += file.uncounted.errors;
        counts.warnings += file.uncounted.warnings;
        counts.infos += file.uncounted.infos;
        for finding in &file.findings {
            counts.add(finding.severity);
        }
    }
    counts
}

/// How findings come out, as `-o` takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// The source line with a caret, for people.
    #[default]
    Text,
    /// One line for each finding, for editors and `grep`.
    Concise,
    /// Our own JSON, for scripts.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for test reports.
    Junit,
    /// Workflow commands, which GitHub shows as annotations.
    Github,
    /// GitLab's Code Quality JSON.
    Gitlab,
    /// A comment for a pull request.
    Markdown,
}

impl Format {
    /// Every format, in the order in which help lists them.
    pub const ALL: [Self; 8] = [
        Self::Text,
        Self::Concise,
        Self::Json,
        Self::Sarif,
        Self::Junit,
        Self::Github,
        Self::Gitlab,
        Self::Markdown,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Concise => "concise",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Markdown => "markdown",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no [`Format`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown format {0:?}; expected one of {names}", names = Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// How `text` looks; the other formats have no choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours are written.
    pub color: bool,
    /// Columns of the terminal, where it is one.
    pub width: Option<usize>,
}

/// Writes a [`Report`] in one format.
pub trait Reporter {
    /// Writes all of `report` to `out`, which is best buffered. The output ends with a newline,
    /// unless there is nothing to say.
    ///
    /// # Errors
    ///
    /// What `out` answers; a report itself cannot be wrong.
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()>;
}

/// The reporter for `format`.
#[must_use]
pub fn reporter(format: Format, style: Style) -> Box<dyn Reporter> {
    match format {
        Format::Text => Box::new(text::Text::new(style)),
        Format::Concise => Box::new(concise::Concise),
        Format::Json => Box::new(json::Json),
        Format::Sarif => Box::new(sarif::Sarif),
        Format::Junit => Box::new(junit::Junit),
        Format::Github => Box::new(github::Github),
        Format::Gitlab => Box::new(gitlab::Gitlab),
        Format::Markdown => Box::new(markdown::Markdown),
    }
}

/// Where the rules are documented; `#ID` of a rule follows.
const RULES_URL: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/HEAD/docs/rules.md");
