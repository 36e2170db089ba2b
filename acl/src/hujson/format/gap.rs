//! What stands between two tokens: white space and comments.

use std::borrow::Cow;

use crate::hujson::tree::Document;
use crate::hujson::walk::Visit;
use crate::span::Span;

/// What is white space in HuJSON.
pub(super) const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// White space and comments as they stand in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap<'d>(pub(super) &'d str);

impl<'d> Gap<'d> {
    pub(super) const EMPTY: Self = Gap("");

    fn at(doc: &'d Document<'_>, span: Span) -> Self {
        Gap(doc.text().get(span.range()).unwrap_or_default())
    }

    /// What stands before a value.
    pub(super) fn before(doc: &'d Document<'_>, visit: &Visit<'d>) -> Self {
        Self::at(doc, visit.node.gap_before())
    }

    /// What stands between a value and the comma or colon after it. White space alone does not
    /// count, and without a comma it is the gap before the closing bracket.
    pub(super) fn after(doc: &'d Document<'_>, visit: &Visit<'d>) -> Self {
        if visit.punctuated {
            Self::at(doc, visit.node.gap_after()).unless_blank()
        } else {
            Self::EMPTY
        }
    }

    /// What stands before the closing bracket of an object or array. In an empty one white space
    /// alone does not count.
    pub(super) fn closing(doc: &'d Document<'_>, visit: &Visit<'d>) -> Self {
        let span = visit.node.closing_gap().unwrap_or_default();
        let gap = Self::at(doc, span);
        if visit.is_empty() { gap.unless_blank() } else { gap }
    }

    /// What stands after the top-level value.
    pub(super) fn end(doc: &'d Document<'_>) -> Self {
        let span = doc.root().map_or(Span::default(), |root| root.gap_after());
        Self::at(doc, span)
    }

    fn unless_blank(self) -> Self {
        if self.has_comment() { self } else { Self::EMPTY }
    }

    pub(super) fn has_comment(self) -> bool {
        self.0.bytes().any(|byte| !is_blank(byte))
    }

    pub(super) fn has_newline(self) -> bool {
        self.0.as_bytes().contains(&b'\n')
    }

    /// The text with line breaks of other systems as LF, and what is left of CR as a space. The
    /// order decides what CR LF CR is: one line break.
    pub(super) fn with_unix_newlines(self) -> Cow<'d, str> {
        if !self.0.as_bytes().contains(&b'\r') {
            return Cow::Borrowed(self.0);
        }
        let text = self.0.replace("\r\n", "\n").replace("\n\r", "\n");
        Cow::Owned(text.replace('\r', " "))
    }

    /// How much room its comments take on the lines it stands on.
    pub(super) fn lines(self) -> Lines {
        if self.has_newline()
            && let Some((first, _)) = self.0.split_once('\n')
            && let Some((_, last)) = self.0.rsplit_once('\n')
        {
            return Lines { first: comments_len(first), last: comments_len(last), broken: true };
        }
        Lines::single(comments_len(self.0))
    }
}

/// The bytes that something takes on its first and on its last line; where it is not `broken` these
/// are the same line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) broken: bool,
}

impl Lines {
    pub(super) const fn single(len: usize) -> Self {
        Self { first: len, last: len, broken: false }
    }
}

/// The length of the comments in one line of a gap, with a space before each, and one after a
/// closed block comment that ends them. The line can start or end within a block comment: one that
/// it starts in counts as nothing.
fn comments_len(line: &str) -> usize {
    let mut len = 0;
    let mut closed = false;
    for piece in Pieces(line) {
        if let Piece::Comment(comment) = piece {
            len += 1 + comment.len();
            closed = comment.starts_with("/*") && comment.len() >= 4 && comment.ends_with("*/");
        }
    }
    len + usize::from(closed)
}

/// A stretch of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// White space with so many line breaks.
    Blank {
        /// How many LF it holds.
        newlines: usize,
    },
    /// A comment; a line comment without the line break that ends it.
    Comment(&'t str),
}

/// The pieces of a gap. A comment that is not closed goes to the end.
pub(super) struct Pieces<'t>(pub(super) &'t str);

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        let text = self.0;
        let mut newlines = 0;
        let blanks = text.bytes().take_while(|byte| is_blank(*byte));
        let blank = blanks.inspect(|byte| newlines += usize::from(*byte == b'\n')).count();
        if blank > 0 {
            self.0 = text.get(blank..).unwrap_or_default();
            return Some(Piece::Blank { newlines });
        }
        let len = if text.starts_with("//") {
            text.find('\n')
        } else {
            let inner = text.strip_prefix("/*")?;
            inner.find("*/").map(|at| at + 4)
        };
        let (comment, rest) = text.split_at_checked(len.unwrap_or(text.len()))?;
        self.0 = rest;
        Some(Piece::Comment(comment))
    }
}
