//! `gitlab`: Code Quality, which GitLab shows in merge requests.

use std::io;

use headscale_acl::{Finding, Severity};
use serde::Serialize;

use super::fingerprint::Fingerprints;
use super::json::write_json;
use super::source::{Source, repository_path};
use super::{Report, Reporter};

/// Writes GitLab's subset of the Code Climate format.
pub(super) struct Gitlab;

#[derive(Serialize)]
struct Issue<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: String,
    severity: &'static str,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    path: std::borrow::Cow<'a, str>,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<u32>,
}

impl Reporter for Gitlab {
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        let mut fingerprints = Fingerprints::default();
        let mut issues = Vec::new();
        for file in report.files.iter().filter(|file| !file.findings.is_empty()) {
            let source = Source::new(file);
            let path = repository_path(&file.name).unwrap_or((&file.name).into());
            for finding in &file.findings {
                issues.push(Issue {
                    description: description(finding),
                    check_name: &finding.rule,
                    fingerprint: fingerprints.next(&path, &source, finding),
                    severity: match finding.severity {
                        Severity::Error => "critical",
                        Severity::Warning => "minor",
                        Severity::Info => "info",
                    },
                    location: Location { path: path.clone(), lines: lines(&source, finding) },
                });
            }
        }
        write_json(&issues, out)
    }
}

/// The lines of a finding; GitLab asks for one, so the whole file is its first.
fn lines(source: &Source<'_>, finding: &Finding) -> Lines {
    match finding.span.map(|span| source.places(span)) {
        Some((start, end)) => {
            Lines { begin: start.line, end: (end.line > start.line).then_some(end.line) }
        }
        None => Lines { begin: 1, end: None },
    }
}

/// Message and help, for formats that have one text for both.
pub(super) fn description(finding: &Finding) -> String {
    match &finding.help {
        Some(help) => format!("{}\nhelp: {help}", finding.message),
        None => finding.message.clone(),
    }
}
