//! `concise`: one line for each finding, and nothing else, as editors and `grep` like it.

use std::io;

use super::selection::Selection;
use super::source::{Source, location};
use super::visible::{self, folded};
use super::{Report, Reporter};

/// Writes `file:line:column: severity[rule] message (help: …)`.
pub(super) struct Concise;

impl Reporter for Concise {
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        let selection = Selection::new(report);
        for (file, findings) in selection.files() {
            let name = visible::name(&file.name);
            let source = Source::new(file);
            for finding in findings {
                let at = location(&name, &source, finding.span);
                let rule = visible::name(&finding.rule);
                write!(out, "{at}: {}[{rule}] {}", finding.severity, folded(&finding.message))?;
                if let Some(help) = &finding.help {
                    write!(out, " (help: {})", folded(help))?;
                }
                writeln!(out)?;
            }
        }
        match selection.rest(selection.printed().total()) {
            Some(rest) => writeln!(out, "{rest}"),
            None => Ok(()),
        }
    }
}
