//! `markdown`: a comment for a pull request.

use std::io;

use headscale_acl::{Finding, rules};

use super::selection::Selection;
use super::source::{Source, location};
use super::summary::summary;
use super::visible::{self, visible};
use super::{RULES_URL, Report, Reporter};

/// GitHub refuses comments of more than 65,536 characters. Rows stop at this many bytes, which
/// leaves room for what the caller puts around them.
const ROWS: usize = 60_000;

/// Writes a heading with the verdict and a table of findings.
pub(super) struct Markdown;

impl Reporter for Markdown {
    fn report(&self, report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(out, "### Headscale policy: {}", heading(report))?;
        let selection = Selection::new(report);
        let mut left = ROWS;
        let mut printed = 0;
        'rows: for (file, findings) in selection.files() {
            let source = Source::new(file);
            for finding in findings {
                let row = row(&file.name, &source, finding);
                let Some(rest) = left.checked_sub(row.len()) else {
                    break 'rows;
                };
                left = rest;
                if printed == 0 {
                    writeln!(
                        out,
                        "\n| Severity | Where | Rule | Message |\n| --- | --- | --- | --- |"
                    )?;
                }
                printed += 1;
                out.write_all(row.as_bytes())?;
            }
        }
        match selection.rest(printed) {
            Some(rest) => writeln!(out, "\n{rest}"),
            None => Ok(()),
        }
    }
}

/// The summary; it names a file only where the report is about one clean file.
fn heading(report: &Report) -> String {
    match report.files.as_slice() {
        [file] if super::counts(report).total() == 0 => {
            format!("{} ok", code(&visible::name(&file.name)))
        }
        _ => summary(report),
    }
}

fn row(name: &str, source: &Source<'_>, finding: &Finding) -> String {
    let at = location(&visible::name(name), source, finding.span);
    let rule = match rules::by_id(&finding.rule) {
        Some(rule) => format!("[{0}]({RULES_URL}#{0})", rule.id),
        None => code(&visible::name(&finding.rule)),
    };
    let mut message = code_lines(&visible(&finding.message));
    if let Some(help) = &finding.help {
        message.push_str("<br>help: ");
        message.push_str(&code_lines(&visible(help)));
    }
    format!("| {} | {} | {rule} | {message} |\n", finding.severity, code(&at))
}

/// Lines of text as code spans in a table cell.
fn code_lines(text: &str) -> String {
    text.lines().filter(|line| !line.trim().is_empty()).map(code).collect::<Vec<_>>().join("<br>")
}

/// One line of text as a code span in a table cell: there it is neither HTML nor Markdown and
/// mentions nobody. A pipe must be escaped even there.
pub(crate) fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    // A space at both ends is taken off again; one is needed beside a backtick, where the text has
    // such spaces itself, and because nothing between backticks is no code span.
    let pad = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{}{pad}{fence}", text.replace('|', "\\|"))
}

/// How many backticks stand together in `text` at most.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
