//! What the reporters write, through the public interface: snapshots of what people read, and
//! properties that must hold for the most hostile of policies.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "the clippy settings for tests leave out helpers, and a panic is how a test fails"
)]

mod bounds;
mod hostile;
mod machines;
mod samples;

use std::borrow::Cow;

use headscale_acl::{Counts, Finding, Severity, Source, Span};
use kubectl_headscale::report::{FileReport, Format, Report, Style, reporter};
use serde_json::Value;

fn report(files: Vec<FileReport>) -> Report {
    Report { files, tool_version: "1.2.3".to_owned(), max_findings: 100, ..Report::default() }
}

fn file(name: &str, text: impl Into<Vec<u8>>, findings: Vec<Finding>) -> FileReport {
    FileReport { name: name.to_owned(), text: text.into(), findings, uncounted: Counts::default() }
}

fn finding(severity: Severity, rule: &str, span: Option<(u32, u32)>, message: &str) -> Finding {
    Finding {
        rule: Cow::Owned(rule.to_owned()),
        severity,
        source: if severity == Severity::Error { Source::Headscale } else { Source::Lint },
        message: message.to_owned(),
        help: None,
        span: span.map(|(start, end)| Span::new(start, end)),
        fix: None,
    }
}

fn bytes(format: Format, style: Style, report: &Report) -> Vec<u8> {
    let mut out = Vec::new();
    reporter(format, style).report(report, &mut out).unwrap();
    out
}

fn written(format: Format, report: &Report) -> String {
    String::from_utf8(bytes(format, Style::default(), report)).unwrap()
}

fn parsed(format: Format, report: &Report) -> Value {
    serde_json::from_str(&written(format, report)).unwrap()
}

/// Where `part` stands in `text`.
fn at(text: &str, part: &str) -> Option<(u32, u32)> {
    let start = text.find(part).unwrap();
    Some((start as u32, (start + part.len()) as u32))
}
