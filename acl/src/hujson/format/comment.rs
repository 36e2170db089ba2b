//! Printing white space and comments.

use super::gap::{BLANK, Gap, Piece, Pieces};

/// How a gap is printed, which depends on the tokens around it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    /// Tabs before comments that start a line.
    pub(super) depth: usize,
    /// Tabs before the token after the gap where that starts a line.
    pub(super) end_depth: usize,
    /// Starts with a line break where the gap has none.
    pub(super) break_before: bool,
    /// Ends with a line break.
    pub(super) break_after: bool,
    /// No blank line at the start.
    pub(super) tight_start: bool,
    /// No blank line at the end.
    pub(super) tight_end: bool,
    /// A gap of nothing is a space.
    pub(super) spaced: bool,
}

/// Appends `gap` to `out`.
pub(super) fn print_gap(out: &mut String, gap: Gap<'_>, style: &Style) {
    let text = gap.with_unix_newlines();
    let base = out.len();
    let ends_line = |out: &String| out.len() > base && out.ends_with('\n');
    if style.break_before && !text.as_bytes().contains(&b'\n') {
        out.push('\n');
    }
    let mut pieces = Pieces(&text).peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Blank { newlines } => {
                let tight = (style.tight_start && out.len() == base)
                    || (style.tight_end && pieces.peek().is_none());
                let kept = newlines.min(if tight { 1 } else { 2 });
                out.extend(std::iter::repeat_n('\n', kept));
            }
            Piece::Comment(comment) => {
                if ends_line(out) {
                    indent(out, style.depth);
                } else {
                    out.push(' ');
                }
                print_comment(out, comment, style.depth);
            }
        }
    }
    if style.break_after && !ends_line(out) {
        out.push('\n');
    }
    if ends_line(out) {
        indent(out, style.end_depth);
    } else if out.len() > base || style.spaced {
        out.push(' ');
    }
}

/// Appends `comment`. One over several lines loses the indentation that its lines share and gets
/// `depth` tabs instead; one with a column of stars keeps that a space further in.
fn print_comment(out: &mut String, comment: &str, depth: usize) {
    let mut lines = comment.split('\n').map(str::trim_end);
    out.push_str(lines.next().unwrap_or_default());
    let shared = Shared::of(&lines);
    for line in lines {
        out.push('\n');
        if line.is_empty() {
            continue;
        }
        indent(out, depth);
        if shared.stars {
            out.push(' ');
        }
        if line.trim_start_matches(BLANK) == "*/" {
            out.push_str("*/");
        } else {
            out.push_str(line.get(shared.indent.len()..).unwrap_or_default());
        }
    }
}

/// What the lines of a block comment after the first have in common.
struct Shared<'t> {
    indent: &'t str,
    stars: bool,
}

impl<'t> Shared<'t> {
    fn of(lines: &(impl Iterator<Item = &'t str> + Clone)) -> Self {
        // A closing `*/` on its own stands anywhere, unless there is nothing else to go by.
        let filled = lines.clone().filter(|line| !line.is_empty());
        let weighed = || {
            let closing =
                |(at, line): &(usize, &str)| *at > 0 && line.trim_start_matches(BLANK) == "*/";
            filled.clone().enumerate().filter(move |line| !closing(line)).map(|(_, line)| line)
        };
        let indent = weighed()
            .map(|line| {
                let text = line.trim_start_matches(BLANK);
                line.get(..line.len() - text.len()).unwrap_or_default()
            })
            .reduce(common_prefix)
            .unwrap_or_default();
        let starred = |line: &str| line.get(indent.len()..).is_some_and(|l| l.starts_with('*'));
        let stars = weighed().all(starred) && !lines.clone().any(str::is_empty);
        Self { indent, stars }
    }
}

/// What two texts of blanks start with.
fn common_prefix<'t>(a: &'t str, b: &str) -> &'t str {
    let len = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    a.get(..len).unwrap_or_default()
}

/// Appends `depth` tabs.
fn indent(out: &mut String, depth: usize) {
    const TABS: &str = "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t";
    let mut left = depth;
    while let Some(rest) = left.checked_sub(TABS.len()) {
        out.push_str(TABS);
        left = rest;
    }
    out.push_str(TABS.get(..left).unwrap_or_default());
}
