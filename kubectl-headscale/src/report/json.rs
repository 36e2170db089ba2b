//! `json`: our own format, for scripts. Members are only ever added to it within a version.

use std::io;

use headscale_acl::{Counts, Position, Severity, Source as Said};
use serde::Serialize;

use super::source::Source;
use super::{Report, Reporter, counts};

/// Writes the JSON of `-o json`.
pub(super) struct Json;

#[derive(Serialize)]
struct Output<'a> {
    version: u32,
    findings: Vec<Row<'a>>,
    summary: Counts,
    /// Findings that were only counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<u64>,
}

#[derive(Serialize)]
struct Row<'a> {
    rule: &'a str,
    severity: Severity,
    message: &'a str,
    help: Option<&'a str>,
    source: &'a Said,
    file: &'a str,
    span: Option<Places>,
}

#[derive(Serialize)]
struct Places {
    start: Position,
    end: Position,
}

impl Reporter for Json {
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        let mut findings = Vec::new();
        for file in report.files.iter().filter(|file| !file.findings.is_empty()) {
            let source = Source::new(file);
            findings.extend(file.findings.iter().map(|finding| Row {
                rule: &finding.rule,
                severity: finding.severity,
                message: &finding.message,
                help: finding.help.as_deref(),
                source: &finding.source,
                file: &file.name,
                span: finding.span.map(|span| {
                    let (start, end) = source.places(span);
                    Places { start, end }
                }),
            }));
        }
        let summary = counts(report);
        let omitted = summary.total() - findings.len() as u64;
        let output =
            Output { version: 1, findings, summary, omitted: (omitted > 0).then_some(omitted) };
        write_json(&output, out)
    }
}

/// Writes `value` with an indent of two spaces and a newline at the end.
pub(super) fn write_json(value: &impl Serialize, mut out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}
