//! User text made safe to show to people, on terminals and in CI logs.
//!
//! Nothing is dropped: a character that a reader would not see, or that would do something instead
//! of being shown, becomes `\u{..}`. That is control characters (terminal escapes among them),
//! characters that reorder or hide text, and the first character of what a CI runner would take for
//! a command of its own (`::error` at the start of a line, `##[` or `##vso[` anywhere in it).

use std::borrow::Cow;
use std::fmt::Write as _;

/// How many characters of a message are shown; messages quote the user's file, whose names can be
/// as long as the file.
const SHOWN: usize = 2_000;

/// How many characters of a file name or rule id are shown.
const SHOWN_NAME: usize = 500;

/// `text` for formats of several lines: line feeds stay, CRLF becomes one. At most [`SHOWN`]
/// characters are shown.
pub(crate) fn visible(text: &str) -> String {
    joined(text, SHOWN, "\n")
}

/// `text` for formats of one line: line feeds become spaces. At most [`SHOWN`] characters are shown.
pub(crate) fn folded(text: &str) -> String {
    joined(text, SHOWN, " ")
}

/// A file name or rule id on one line, where a line feed is no ordinary thing and becomes
/// `\u{a}`. At most [`SHOWN_NAME`] characters are shown.
pub(crate) fn name(text: &str) -> String {
    let (text, cut) = capped(text, SHOWN_NAME);
    let mut out = String::with_capacity(text.len());
    push_line(&mut out, text);
    out.push_str(cut);
    out
}

/// A cell of a table, with escape characters as kubectl shows them, and nothing of what else would
/// not be shown as it is.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) || c == '\t') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{1b}' => out.push_str("^["),
            '\r' => out.push_str("\\r"),
            c if is_hidden(c) || c == '\t' => push_escaped(&mut out, c),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Whether `c`, with `rest` starting at it and `first` saying that only white space stands before
/// it on its line, must not be shown as it is.
pub(super) fn must_escape(c: char, rest: &str, first: bool) -> bool {
    is_hidden(c) || starts_command(rest, first)
}

/// Writes `c` as `\u{..}`.
pub(super) fn push_escaped(out: &mut String, c: char) {
    // Writing to a String cannot fail.
    _ = write!(out, "\\u{{{:x}}}", u32::from(c));
}

fn joined(text: &str, shown: usize, separator: &str) -> String {
    let (text, cut) = capped(text, shown);
    let mut out = String::with_capacity(text.len());
    for (at, line) in text.lines().enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        push_line(&mut out, line);
    }
    out.push_str(cut);
    out
}

/// The first `shown` characters of `text`, and an ellipsis where there are more.
pub(super) fn capped(text: &str, shown: usize) -> (&str, &'static str) {
    match text.char_indices().nth(shown) {
        Some((end, _)) => (text.get(..end).unwrap_or(text), "…"),
        None => (text, ""),
    }
}

fn push_line(out: &mut String, line: &str) {
    let mut first = true;
    for (at, c) in line.char_indices() {
        if must_escape(c, line.get(at..).unwrap_or_default(), first) {
            push_escaped(out, c);
        } else {
            out.push(c);
        }
        first &= c.is_whitespace();
    }
}

/// Control characters, and those that change or hide what stands around them. Joiners are not
/// among them: scripts and emoji need them.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether `rest` is what a CI runner reads as a command.
fn starts_command(rest: &str, first: bool) -> bool {
    (first && rest.starts_with("::"))
        || rest.strip_prefix("##").is_some_and(|rest| {
            rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('[')
        })
}
