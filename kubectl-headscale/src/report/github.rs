//! `github`: workflow commands, which GitHub Actions shows as annotations of the changed files.

use std::io;

use headscale_acl::{Finding, Severity};

use super::selection::Selection;
use super::source::{Source, repository_path};
use super::summary::summary;
use super::visible::{self, visible};
use super::{FileReport, Report, Reporter};

/// How many annotations of each level GitHub shows for a step.
const SHOWN: u64 = 10;

/// Writes `::error file=…,line=…,title=…::message`.
pub(super) struct Github;

impl Reporter for Github {
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        let selection = Selection::new(report);
        for (file, findings) in selection.files() {
            let source = Source::new(file);
            for finding in findings {
                writeln!(out, "{}", command(file, &source, finding))?;
            }
        }
        let printed = selection.printed();
        if let Some(rest) = selection.rest(printed.total()) {
            writeln!(out, "{rest}")?;
        }
        write!(out, "{}", summary(report))?;
        if printed.errors.max(printed.warnings).max(printed.infos) > SHOWN {
            write!(out, " (GitHub shows {SHOWN} annotations of each level for a step)")?;
        }
        writeln!(out)
    }
}

fn command(file: &FileReport, source: &Source<'_>, finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let mut properties = Vec::new();
    let path = repository_path(&file.name);
    if let Some(path) = &path {
        properties.push(format!("file={}", property(&visible::name(path))));
        if let Some(span) = finding.span {
            let (start, end) = source.places(span);
            properties.push(format!("line={}", start.line));
            // GitHub takes columns only where start and end stand on one line.
            if start.line == end.line {
                properties.push(format!("col={}", start.column));
                properties.push(format!("endLine={}", end.line));
                properties.push(format!("endColumn={}", end.column));
            } else {
                properties.push(format!("endLine={}", end.line));
            }
        }
    }
    properties.push(format!("title={}", property(&visible::name(&finding.rule))));
    let mut message = visible(&finding.message);
    if let Some(help) = &finding.help {
        message.push_str("\nhelp: ");
        message.push_str(&visible(help));
    }
    if path.is_none() {
        let at = super::source::location(&file.name, source, finding.span);
        message = format!("{at}: {message}");
    }
    format!("::{level} {}::{}", properties.join(","), data(&message))
}

/// What follows `::`, escaped as the runner reads it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value, escaped as the runner reads it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
