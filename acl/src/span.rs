//! Where something stands in a text: byte spans, and lines and columns for people.

use std::ops::Range;

use serde::Serialize;

/// A half-open range of byte offsets in a policy text.
///
/// Offsets count from 0 and fit 32 bits because a policy larger than
/// [`MAX_POLICY_BYTES`](crate::MAX_POLICY_BYTES) is refused unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` up to, not including, `end`.
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The span as a range to slice a text with.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether `other` lies within this span; a span contains itself.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A place in a text as people and editors count it.
///
/// Lines and columns count from 1, columns and offsets in UTF-8 bytes. Only LF ends a line, as in
/// the HuJSON reference implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
    /// Byte offset, from 0.
    pub offset: u32,
}

/// Finds lines and columns of byte offsets: built once for a text, in time linear in it; each
/// question then costs a binary search over the lines.
#[derive(Clone, Debug)]
pub struct LineIndex {
    /// Offset of the first byte of each line; the first is 0.
    starts: Vec<u32>,
}

impl LineIndex {
    /// Indexes the lines of `text`.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let mut starts = vec![0];
        starts.extend(
            text.iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n')
                .map(|(at, _)| at as u32 + 1),
        );
        Self { starts }
    }

    /// Line and column of `offset`; an offset past the end of the text counts on in its last line.
    #[must_use]
    pub fn position(&self, offset: u32) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.wrapping_sub(1)).copied().unwrap_or(0);
        Position {
            line: line as u32,
            column: offset.saturating_sub(start).saturating_add(1),
            offset,
        }
    }

    /// The bytes of the line with number `line` (from 1), without its LF; `None` where there is no
    /// such line. `text` is the text that the index was made from.
    #[must_use]
    pub fn line<'t>(&self, text: &'t [u8], line: u32) -> Option<&'t [u8]> {
        let start = *self.starts.get((line as usize).checked_sub(1)?)? as usize;
        let end = self.starts.get(line as usize).map_or(text.len(), |next| *next as usize - 1);
        text.get(start..end)
    }

    /// How many lines the text has; a text that ends in LF has an empty last one.
    #[must_use]
    pub fn lines(&self) -> u32 {
        self.starts.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_bytes() {
        let text = "ab\né,\n".as_bytes();
        let index = LineIndex::new(text);
        assert_eq!(index.position(0), Position { line: 1, column: 1, offset: 0 });
        assert_eq!(index.position(5), Position { line: 2, column: 3, offset: 5 });
        assert_eq!(index.position(7), Position { line: 3, column: 1, offset: 7 });
        assert_eq!(index.line(text, 2), Some("é,".as_bytes()));
        assert_eq!(index.line(text, 4), None);
    }
}
