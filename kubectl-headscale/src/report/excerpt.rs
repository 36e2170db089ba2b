//! The part of a source line that is worth showing.

use std::fmt::Write as _;
use std::ops::Range;

use super::visible;

/// How many bytes are kept before and after what is marked.
const AROUND: usize = 160;

/// How many bytes of what is marked are kept.
const MARKED: usize = 240;

/// Part of a source line, safe to show.
pub(super) struct Excerpt {
    /// The text, without a line end; `…` stands where it was cut.
    pub(super) text: String,
    /// The marked bytes of `text`.
    pub(super) mark: Range<usize>,
}

/// What of `line` stands in and around `span`, bytes of the line; a span past its end marks the
/// end. Costs no more for a long line than for a short one.
pub(super) fn excerpt(line: &[u8], span: Range<usize>) -> Excerpt {
    let start = span.start.min(line.len());
    let end = span.end.clamp(start, line.len()).min(start + MARKED);
    let from = boundary(line, start.saturating_sub(AROUND));
    let to = boundary(line, end.saturating_add(AROUND).min(line.len()));
    let mut walk = Walk { text: String::new(), at: from, span: start..end, mark: None..None };
    if from > 0 {
        walk.text.push('…');
    }
    for chunk in line.get(from..to).unwrap_or_default().utf8_chunks() {
        let valid = chunk.valid();
        for (at, c) in valid.char_indices() {
            let rest = valid.get(at..).unwrap_or_default();
            walk.step(c.len_utf8(), |text| {
                // A source line never stands at the start of a line of output.
                if visible::must_escape(c, rest, false) {
                    visible::push_escaped(text, c);
                } else {
                    text.push(c);
                }
            });
        }
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            walk.step(1, |text| _ = write!(text, "\\x{byte:02x}"));
        }
    }
    let shown = walk.text.len();
    if to < line.len() {
        walk.text.push('…');
    }
    let mark_start = walk.mark.start.unwrap_or(shown);
    Excerpt { text: walk.text, mark: mark_start..walk.mark.end.unwrap_or(shown) }
}

/// The text as it grows, and where in it the span starts and ends.
struct Walk {
    text: String,
    at: usize,
    span: Range<usize>,
    mark: Range<Option<usize>>,
}

impl Walk {
    /// Takes the next `bytes` of the line, which `push` shows.
    fn step(&mut self, bytes: usize, push: impl FnOnce(&mut String)) {
        if self.at >= self.span.start {
            self.mark.start.get_or_insert(self.text.len());
        }
        if self.at >= self.span.end {
            self.mark.end.get_or_insert(self.text.len());
        }
        push(&mut self.text);
        self.at += bytes;
    }
}

/// The first place at or after `at` where a character starts.
fn boundary(line: &[u8], at: usize) -> usize {
    let rest = line.get(at..).unwrap_or_default();
    let inside = rest.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    at + inside
}
