//! What was looked at, and how it is.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::report::visible::visible;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warning,
    /// Broken.
    Error,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What it belongs to, such as `rights`, or the instance it is about.
    category: String,
    /// Its name, which never changes.
    id: &'static str,
    /// How it is.
    state: State,
    /// What was seen.
    message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

/// All that was looked at, in that order.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    checks: Vec<Check>,
    /// What the next checks belong to.
    #[serde(skip)]
    category: String,
}

impl Report {
    /// The next checks belong to `category`.
    pub(super) fn begin(&mut self, category: impl Into<String>) {
        self.category = category.into();
    }

    /// Something is as it should be.
    pub(super) fn ok(&mut self, id: &'static str, message: impl Into<String>) {
        self.add(id, State::Ok, message, Vec::new());
    }

    /// Something is worth a look.
    pub(super) fn warning(
        &mut self,
        id: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(id, State::Warning, message, vec![hint.into()]);
    }

    /// Something is broken.
    pub(super) fn error(
        &mut self,
        id: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(id, State::Error, message, vec![hint.into()]);
    }

    /// The same with any number of hints.
    pub(super) fn add(
        &mut self,
        id: &'static str,
        state: State,
        message: impl Into<String>,
        hints: Vec<String>,
    ) {
        let (category, message) = (self.category.clone(), message.into());
        self.checks.push(Check { category, id, state, message, hints });
    }

    /// Whether something is broken.
    pub(super) fn is_broken(&self) -> bool {
        self.count(State::Error) > 0
    }

    fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }

    /// The report for people: with `symbols` beyond ASCII and with colour where the terminal has them.
    pub(super) fn text(&self, symbols: bool, color: bool) -> String {
        let mut out = String::new();
        let mut category = "";
        for check in &self.checks {
            if check.category != category {
                let gap = if category.is_empty() { "" } else { "\n" };
                category = &check.category;
                _ = writeln!(out, "{gap}{category}");
            }
            let (symbol, ascii, hue) = match check.state {
                State::Ok => ("✓", "ok", AnsiColor::Green),
                State::Warning => ("!", "!!", AnsiColor::Yellow),
                State::Error => ("✗", "XX", AnsiColor::Red),
            };
            let symbol = if symbols { symbol } else { ascii };
            let style = match color {
                true => Style::new().bold().fg_color(Some(hue.into())),
                false => Style::new(),
            };
            let message = visible(&check.message);
            let (first, rest) = message.split_once('\n').unwrap_or((&message, ""));
            _ = writeln!(out, "  {style}{symbol}{style:#} {first} [{}]", check.id);
            for line in rest.lines() {
                _ = writeln!(out, "     {line}");
            }
            for hint in &check.hints {
                _ = writeln!(out, "     hint: {}", visible(hint));
            }
        }
        let (errors, warnings) = (self.count(State::Error), self.count(State::Warning));
        _ = match (errors, warnings) {
            (0, 0) => writeln!(out, "\nAll is well."),
            (0, _) => writeln!(out, "\nNothing is broken; {} worth a look.", are(warnings)),
            _ => writeln!(out, "\n{} broken, {} worth a look.", are(errors), are(warnings)),
        };
        out
    }
}

fn are(count: usize) -> String {
    match count {
        1 => "1 thing is".to_owned(),
        0 => "nothing is".to_owned(),
        count => format!("{count} things are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.begin("cluster");
        report.ok("reachable", "it answers");
        report.begin("keys");
        report.warning("used", "two:\na\nb", "look");
        report.error("gone", "a key\u{1b}[2J", "make one");
        report
    }

    #[test]
    fn a_terminal_gets_symbols_and_others_ascii() {
        assert_eq!(
            report().text(true, false),
            "cluster\n  ✓ it answers [reachable]\n\nkeys\n  ! two: [used]\n     a\n     b\n     hint: \
             look\n  ✗ a key\\u{1b}[2J [gone]\n     hint: make one\n\n1 thing is broken, 1 thing is \
             worth a look.\n"
        );
        assert!(report().text(false, false).is_ascii());
        assert!(report().text(true, true).contains("\u{1b}["));
    }

    #[test]
    fn it_ends_with_how_it_is_as_a_whole() {
        let mut report = Report::default();
        assert!(report.text(false, false).ends_with("\nAll is well.\n"));
        report.warning("a", "a", "a");
        assert!(
            report.text(false, false).ends_with("Nothing is broken; 1 thing is worth a look.\n")
        );
        assert!(!report.is_broken());
        report.error("b", "b", "b");
        assert!(report.is_broken());
    }
}
