//! The syntax tree: values with their spans, in document order, over the text they were read from.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::SyntaxError;
use super::standard::minimize;
use super::string;
use crate::span::Span;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, kept as text.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
    /// Something that is no HuJSON value; a [`SyntaxError`] says so. Nothing more is said of it.
    Broken,
}

impl Kind {
    /// The kind with its article, for messages: `an object`.
    #[must_use]
    pub const fn article(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
            Self::Broken => "something that is not JSON",
        }
    }
}

/// The string holds at least one backslash, so its value differs from its text.
pub(super) const ESCAPED: u8 = 1;
/// The string is written with single quotes or with none (recovered JSON5).
pub(super) const UNQUOTED: u8 = 2;
/// The string holds an escaped surrogate without its other half.
pub(super) const LONE_SURROGATE: u8 = 4;
/// The object or array has a comma after its last element.
pub(super) const TRAILING_COMMA: u8 = 8;

/// One value. An object's names and values alternate after it; an array's elements follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    /// First byte of the value.
    pub(super) start: u32,
    /// After the last byte of the value.
    pub(super) end: u32,
    /// After the token before: what is between is white space and comments.
    pub(super) before: u32,
    /// First byte of the token after.
    pub(super) after: u32,
    /// For an object or array: after the last token before its closing bracket. What is between is
    /// white space and comments.
    pub(super) closing: u32,
    /// Index of the first entry that is not within this value.
    pub(super) next: u32,
}

/// A parsed text: lossless, with every value's span.
///
/// Memory is about 28 bytes for each value on top of the text.
#[derive(Clone, Debug)]
pub struct Document<'t> {
    pub(super) text: Cow<'t, str>,
    /// Offsets of bytes that are not UTF-8; in `text` each is replaced by one U+007F, so that
    /// offsets stay what they are.
    pub(super) invalid_utf8: Vec<u32>,
    pub(super) entries: Vec<Entry>,
    pub(super) errors: Vec<SyntaxError>,
    /// How many errors were found beyond those kept in `errors`.
    pub(super) more_errors: u64,
    pub(super) complete: bool,
    pub(super) standard: bool,
}

impl Document<'_> {
    /// The text. Where the input was not UTF-8, each wrong byte is replaced by U+007F.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same document with a text of its own.
    #[must_use]
    pub fn into_owned(self) -> Document<'static> {
        Document { text: Cow::Owned(self.text.into_owned()), ..self }
    }

    /// What is wrong with the text as HuJSON, in document order, the first at the place where the
    /// reference implementation stops; bounded, see [`Document::more_errors`].
    #[must_use]
    pub fn errors(&self) -> &[SyntaxError] {
        &self.errors
    }

    /// How many syntax errors were counted beyond those in [`Document::errors`].
    #[must_use]
    pub const fn more_errors(&self) -> u64 {
        self.more_errors
    }

    /// Whether the parser reached the end of the text. It does so past mistakes that it can read
    /// across, such as single quotes; where it is false the tree ends early.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The top-level value; `None` where the text has none.
    #[must_use]
    pub fn root(&self) -> Option<Node<'_>> {
        self.node(0)
    }

    /// All values in document order, each before those within it.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        (0..self.entries.len() as u32).filter_map(|index| self.node(index))
    }

    /// Whether the text is plain JSON: no comment and no trailing comma anywhere.
    #[must_use]
    pub const fn is_standard(&self) -> bool {
        self.standard
    }

    /// The spans of the comments, in document order. Linear in the text.
    #[must_use]
    pub fn comments(&self) -> Vec<Span> {
        let bytes = self.text.as_bytes();
        let end = self.text.len() as u32;
        let gaps = self.nodes().flat_map(|node| [node.gap_before(), node.gap_after()]);
        // A closing bracket after a trailing comma ends a gap that no value stands beside.
        let closing = self.nodes().filter_map(Node::closing_gap);
        let whole = self.entries.is_empty().then_some(Span::new(0, end));
        let mut comments: Vec<Span> =
            gaps.chain(closing).chain(whole).flat_map(|gap| comments_in(bytes, gap)).collect();
        comments.sort_unstable();
        comments.dedup();
        comments
    }

    /// The elements of the array at `span` as plain JSON; `None` where no array stands there.
    #[must_use]
    pub fn json_array(&self, span: Span) -> Option<Vec<Box<RawValue>>> {
        let index = self.entries.partition_point(|entry| entry.start < span.start);
        let array = self.node(index as u32).filter(|node| node.kind() == Kind::Array)?;
        let json = |element: Node<'_>| {
            let plain = minimize(&Document::parse(element.raw().as_bytes()));
            RawValue::from_string(plain).ok()
        };
        array.elements().map(json).collect()
    }

    pub(super) fn node(&self, index: u32) -> Option<Node<'_>> {
        let entry = self.entries.get(index as usize)?;
        Some(Node { text: &self.text, entries: &self.entries, index, entry })
    }
}

/// The comments in a stretch of white space and comments.
fn comments_in(bytes: &[u8], gap: Span) -> impl Iterator<Item = Span> {
    let mut at = gap.start as usize;
    let end = gap.end as usize;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..end)?;
        let start = at + rest.iter().position(|b| *b == b'/')?;
        let comment = bytes.get(start..end)?;
        let len = match comment.get(1)? {
            b'/' => comment.iter().position(|b| *b == b'\n').unwrap_or(comment.len()),
            _ => {
                comment.windows(2).skip(2).position(|w| w == b"*/").map_or(comment.len(), |n| n + 4)
            }
        };
        at = start + len;
        Some(Span::new(start as u32, at as u32))
    })
}

/// A value in a [`Document`].
#[derive(Clone, Copy, Debug)]
pub struct Node<'d> {
    text: &'d str,
    entries: &'d [Entry],
    pub(super) index: u32,
    pub(super) entry: &'d Entry,
}

/// A name and its value in an object.
#[derive(Clone, Copy, Debug)]
pub struct Member<'d> {
    /// The name: a string, also where it was written without quotes.
    pub name: Node<'d>,
    /// The value.
    pub value: Node<'d>,
}

impl<'d> Node<'d> {
    /// What it is.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.entry.kind
    }

    /// Where it stands, with its quotes or brackets.
    #[must_use]
    pub const fn span(self) -> Span {
        Span::new(self.entry.start, self.entry.end)
    }

    /// Its text as written, with its quotes or brackets.
    #[must_use]
    pub fn raw(self) -> &'d str {
        self.text.get(self.span().range()).unwrap_or_default()
    }

    /// The value of a string, its escapes decoded; `None` for anything else.
    ///
    /// A lone surrogate becomes U+FFFD; [`strictness`](super::strictness) refuses it.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        if self.entry.kind != Kind::String {
            return None;
        }
        let raw = self.raw();
        if self.entry.flags & (ESCAPED | UNQUOTED) == 0 {
            return Some(Cow::Borrowed(raw.get(1..raw.len() - 1).unwrap_or_default()));
        }
        let inner = match raw.as_bytes().first() {
            Some(b'"' | b'\'') => raw.get(1..raw.len() - 1).unwrap_or_default(),
            _ => raw,
        };
        Some(string::unescape(inner))
    }

    /// Whether a string is written with single quotes or none, as JSON5 allows and HuJSON does not.
    #[must_use]
    pub const fn is_unquoted(self) -> bool {
        self.entry.flags & UNQUOTED != 0
    }

    /// Whether a string holds an escaped surrogate without its other half.
    #[must_use]
    pub const fn has_lone_surrogate(self) -> bool {
        self.entry.flags & LONE_SURROGATE != 0
    }

    /// Whether an object or array has a comma after its last element.
    #[must_use]
    pub const fn has_trailing_comma(self) -> bool {
        self.entry.flags & TRAILING_COMMA != 0
    }

    /// The span of the white space and comments before it, from the token before.
    #[must_use]
    pub const fn gap_before(self) -> Span {
        Span::new(self.entry.before, self.entry.start)
    }

    /// The span of the white space and comments after it, up to the next token.
    #[must_use]
    pub const fn gap_after(self) -> Span {
        Span::new(self.entry.end, self.entry.after)
    }

    /// The span of the white space and comments before the closing bracket of an object or array,
    /// from its last comma or, without a trailing comma, its last value (or its opening bracket).
    #[must_use]
    pub fn closing_gap(self) -> Option<Span> {
        if !matches!(self.entry.kind, Kind::Object | Kind::Array) {
            return None;
        }
        let end = self.entry.end.saturating_sub(1);
        Some(Span::new(self.entry.closing.min(end), end))
    }

    /// Names and values of an object in order, duplicates included; empty for anything else.
    pub fn members(self) -> impl Iterator<Item = Member<'d>> {
        let mut children = self.children_if(Kind::Object);
        std::iter::from_fn(move || Some(Member { name: children.next()?, value: children.next()? }))
    }

    /// Elements of an array in order; empty for anything else.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        self.children_if(Kind::Array)
    }

    /// Everything within an object or array, at any depth, in document order; names included.
    pub fn descendants(self) -> impl Iterator<Item = Self> {
        (self.index + 1..self.entry.next).filter_map(move |index| {
            let entry = self.entries.get(index as usize)?;
            Some(Node { index, entry, ..self })
        })
    }

    /// The value of the first member with exactly this name.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Self> {
        self.members().find(|m| m.name.as_str().is_some_and(|n| n == name)).map(|m| m.value)
    }

    fn children_if(self, kind: Kind) -> Children<'d> {
        let end = if self.entry.kind == kind { self.entry.next } else { self.index + 1 };
        Children { of: self, at: self.index + 1, end }
    }
}

/// Children of a value in order.
#[derive(Clone, Debug)]
struct Children<'d> {
    of: Node<'d>,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Children<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        if self.at >= self.end {
            return None;
        }
        let entry = self.of.entries.get(self.at as usize)?;
        let node = Node { index: self.at, entry, ..self.of };
        self.at = entry.next;
        Some(node)
    }
}
