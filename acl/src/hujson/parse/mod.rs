//! The parser: one pass over the bytes, an explicit stack instead of recursion, and recovery from
//! what people write by habit (JSON5, forgotten commas), so that one mistake hides no other.
//!
//! The first error is the one that the reference implementation (tailscale/hujson) reports, at the
//! same line and column and in its words. Those after it are ours.

mod gap;
mod scalar;

use std::borrow::Cow;

use super::edit::Edit;
use super::error::{Habit, SyntaxError, SyntaxErrorKind};
use super::tree::{Document, Entry, Kind, TRAILING_COMMA, UNQUOTED};
use super::walk::Role;
use crate::span::Span;

/// Headscale's JSON decoder refuses deeper nesting (go-json-experiment/json).
const MAX_DEPTH: usize = 10_000;
/// Syntax errors kept; further ones are counted.
const KEPT_ERRORS: usize = 1_000;

const AT_VALUE: &str = "at start of value";

impl<'t> Document<'t> {
    /// Reads `bytes`. Never fails: what is wrong stands in [`Document::errors`], and the tree holds
    /// what could be read.
    ///
    /// Time and memory are linear in the text. Texts over 4 GiB are cut, which callers prevent by
    /// refusing anything over [`MAX_POLICY_BYTES`](crate::MAX_POLICY_BYTES).
    #[must_use]
    pub fn parse(bytes: &'t [u8]) -> Self {
        let (text, invalid_utf8) = to_utf8(bytes);
        let parser = Parser {
            text: &text,
            bytes: text.as_bytes(),
            source: bytes,
            invalid_utf8: &invalid_utf8,
            pos: 0,
            entries: Vec::with_capacity(text.len() / 12 + 1),
            stack: Vec::new(),
            errors: Vec::new(),
            more_errors: 0,
            standard: true,
        };
        let read = parser.run();
        Self {
            text,
            invalid_utf8,
            entries: read.entries,
            errors: read.errors,
            more_errors: read.more_errors,
            complete: read.complete,
            standard: read.standard,
        }
    }
}

/// The text with each byte that is not UTF-8 replaced by U+007F, and where those bytes were.
fn to_utf8(bytes: &[u8]) -> (Cow<'_, str>, Vec<u32>) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut text = String::with_capacity(bytes.len());
    let mut invalid = Vec::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            invalid.push(text.len() as u32);
            text.push('\u{7f}');
        }
    }
    (Cow::Owned(text), invalid)
}

/// What a [`Parser`] leaves behind, free of the text it borrowed.
struct Read {
    entries: Vec<Entry>,
    errors: Vec<SyntaxError>,
    more_errors: u64,
    complete: bool,
    standard: bool,
}

/// The text cannot be read on from here.
struct Stop;

impl Role {
    /// Where a character stands that follows such a value and may not.
    const fn place_after(self) -> &'static str {
        match self {
            Self::TopLevel => "after top-level value",
            Self::Element => "after array value (expecting ',' or ']')",
            Self::Name => "after object name",
            Self::Value => "after object value (expecting ',' or '}')",
        }
    }

    /// Within what the text ends where it ends after such a value.
    const fn within(self) -> &'static str {
        match self {
            Self::TopLevel => "value",
            Self::Element => "array after value",
            Self::Name => "object after name",
            Self::Value => "object after value",
        }
    }

    /// The bracket that closes what such a value stands in.
    const fn close(self) -> Option<u8> {
        match self {
            Self::TopLevel => None,
            Self::Element => Some(b']'),
            Self::Name | Self::Value => Some(b'}'),
        }
    }
}

/// An object or array that is not closed yet.
struct Frame {
    /// Index of its entry.
    entry: usize,
    /// The role of the value within it that is read now.
    role: Role,
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    /// The text as it was handed in.
    source: &'t [u8],
    invalid_utf8: &'t [u32],
    pos: usize,
    entries: Vec<Entry>,
    stack: Vec<Frame>,
    errors: Vec<SyntaxError>,
    more_errors: u64,
    standard: bool,
}

impl Parser<'_> {
    fn run(mut self) -> Read {
        let complete = self.document().is_ok();
        // What was opened and never closed ends where reading stopped.
        while let Some(frame) = self.stack.pop() {
            self.finish(frame.entry, self.pos);
        }
        Read {
            entries: self.entries,
            errors: self.errors,
            more_errors: self.more_errors,
            complete,
            standard: self.standard,
        }
    }

    fn document(&mut self) -> Result<(), Stop> {
        loop {
            let before = self.pos;
            self.gap(AT_VALUE)?;
            let done = match self.peek() {
                // Closed while a value was due: empty, or after a trailing comma.
                Some(byte) if self.closes_early(byte) => self.close_early(before),
                Some(b',') if matches!(self.role(), Role::Element | Role::Name) => {
                    self.invalid_character(AT_VALUE, Some(Habit::ExtraComma));
                    self.pos += 1;
                    continue;
                }
                _ => match self.value(before)? {
                    Some(entry) => entry,
                    None => continue,
                },
            };
            if self.leave(done)? {
                return Ok(());
            }
        }
    }

    /// After the value at index `entry`: takes the punctuation that follows, and closes what ends
    /// here. Returns whether the text is at its end.
    fn leave(&mut self, mut entry: usize) -> Result<bool, Stop> {
        loop {
            let role = self.role();
            let before_gap = self.errors.len();
            self.gap(role.place_after())?;
            if let Some(value) = self.entries.get_mut(entry) {
                value.after = self.pos as u32;
            }
            if role == Role::Name {
                self.check_name(entry, before_gap)?;
            }
            let next = match (role, self.peek()) {
                (Role::TopLevel, None) => return Ok(true),
                (_, None) => return self.unexpected_end(role.within()),
                (Role::Name, Some(b':')) => {
                    self.pos += 1;
                    Role::Value
                }
                (Role::Name, Some(b'=')) => {
                    self.invalid_character(role.place_after(), Some(Habit::MissingColon));
                    self.pos += 1;
                    Role::Value
                }
                (Role::Element, Some(b',')) => {
                    self.pos += 1;
                    Role::Element
                }
                (Role::Value, Some(b',')) => {
                    self.pos += 1;
                    Role::Name
                }
                (_, byte) if byte == role.close() && role != Role::Name => {
                    let closing = self.entries.get(entry).map_or(self.pos, |e| e.end as usize);
                    entry = self.close(closing);
                    continue;
                }
                (Role::TopLevel, _) => {
                    self.invalid_character(role.place_after(), None);
                    return Err(Stop);
                }
                (_, Some(byte)) => {
                    let readable = starts_value(byte);
                    let (habit, missing) = match role {
                        Role::Name => (Habit::MissingColon, ":"),
                        _ => (Habit::MissingComma, ","),
                    };
                    self.invalid_character(role.place_after(), readable.then_some(habit));
                    if !readable {
                        return Err(Stop);
                    }
                    let end = self.entries.get(entry).map_or(0, |entry| entry.end);
                    if let Some(error) = self.errors.last_mut() {
                        error.elsewhere = Some(Edit::insert(end, missing));
                    }
                    match role {
                        Role::Name => Role::Value,
                        Role::Value => Role::Name,
                        role => role,
                    }
                }
            };
            if let Some(frame) = self.stack.last_mut() {
                frame.role = next;
            }
            return Ok(false);
        }
    }

    /// A name must be a string. A number or word is read as one, with an error. `before_gap` is how
    /// many errors there were before the gap behind the name.
    fn check_name(&mut self, entry: usize, before_gap: usize) -> Result<(), Stop> {
        let Some(name) = self.entries.get_mut(entry) else { return Ok(()) };
        let span = Span::new(name.start, name.end);
        let habit = match name.kind {
            Kind::String => return Ok(()),
            Kind::Broken => None,
            Kind::Object | Kind::Array => Some(None),
            Kind::Number | Kind::Bool | Kind::Null => {
                name.kind = Kind::String;
                name.flags = UNQUOTED;
                Some(Some(Habit::BareName))
            }
        };
        let Some(habit) = habit else { return Ok(()) };
        let found = self.text.get(span.range()).unwrap_or_default();
        let kind = SyntaxErrorKind::InvalidCharacter("at start of object name");
        let mut error = SyntaxError::new(span, kind, found);
        error.habit = habit;
        // The reference looks at the name before it looks at characters behind it that are neither
        // space nor comment, but after it has read the comments.
        let behind = self.errors.get(before_gap).map(|error| error.kind);
        if matches!(behind, Some(SyntaxErrorKind::InvalidCharacter(_))) {
            self.errors.insert(before_gap, error);
        } else {
            self.error(error);
        }
        if habit.is_some() { Ok(()) } else { Err(Stop) }
    }

    /// Reads a scalar and returns its index, or opens an object or array and returns `None`.
    fn value(&mut self, before: usize) -> Result<Option<usize>, Stop> {
        let start = self.pos;
        let (kind, flags) = match self.peek() {
            None => return self.unexpected_end("value"),
            Some(open @ (b'{' | b'[')) => {
                if self.stack.len() >= MAX_DEPTH {
                    let span = Span::new(start as u32, start as u32 + 1);
                    self.error(SyntaxError::new(span, SyntaxErrorKind::TooDeep, ""));
                    return Err(Stop);
                }
                let (kind, role) = match open {
                    b'{' => (Kind::Object, Role::Name),
                    _ => (Kind::Array, Role::Element),
                };
                self.stack.push(Frame { entry: self.entries.len(), role });
                self.pos += 1;
                self.push(kind, 0, before, start);
                return Ok(None);
            }
            Some(b'"') => self.double_quoted()?,
            Some(b'\'') => self.single_quoted()?,
            Some(b',' | b'}') if self.role() == Role::Value => {
                // `{"a":,` and `{"a":}`: the value is missing, the object goes on.
                self.invalid_character(AT_VALUE, None);
                (Kind::Broken, 0)
            }
            Some(_) => self.literal()?,
        };
        self.push(kind, flags, before, start);
        Ok(Some(self.entries.len() - 1))
    }

    fn push(&mut self, kind: Kind, flags: u8, before: usize, start: usize) {
        let end = self.pos as u32;
        let next = self.entries.len() as u32 + 1;
        let (before, start) = (before as u32, start as u32);
        self.entries.push(Entry {
            kind,
            flags,
            start,
            end,
            before,
            after: end,
            closing: end,
            next,
        });
    }

    /// Takes the closing bracket of the innermost object or array and returns its index. `closing`
    /// is where the white space and comments before the bracket start.
    fn close(&mut self, closing: usize) -> usize {
        self.pos += 1;
        let Some(frame) = self.stack.pop() else {
            return 0;
        };
        self.finish(frame.entry, closing);
        frame.entry
    }

    /// The same where a value was due: the object or array is empty or ends with a comma.
    fn close_early(&mut self, closing: usize) -> usize {
        let entry = self.close(closing);
        let next = self.entries.len();
        if let Some(closed) = self.entries.get_mut(entry)
            && next > entry + 1
        {
            closed.flags |= TRAILING_COMMA;
            self.standard = false;
        }
        entry
    }

    fn finish(&mut self, entry: usize, closing: usize) {
        let next = self.entries.len() as u32;
        if let Some(closed) = self.entries.get_mut(entry) {
            closed.end = self.pos as u32;
            closed.after = closed.end;
            closed.closing = closing as u32;
            closed.next = next;
        }
    }

    fn closes_early(&self, byte: u8) -> bool {
        let role = self.role();
        role != Role::Value && role.close() == Some(byte)
    }

    fn role(&self) -> Role {
        self.stack.last().map_or(Role::TopLevel, |frame| frame.role)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn current(&self) -> Option<char> {
        self.text.get(self.pos..)?.chars().next()
    }

    fn char_len(&self) -> usize {
        self.current().map_or(1, char::len_utf8)
    }

    fn error(&mut self, error: SyntaxError) {
        if self.errors.len() < KEPT_ERRORS {
            self.errors.push(error);
        } else {
            self.more_errors += 1;
        }
    }

    fn invalid_character(&mut self, place: &'static str, habit: Option<Habit>) {
        let start = self.pos as u32;
        let span = Span::new(start, start + self.char_len() as u32);
        let found = self.text.get(span.range()).unwrap_or_default();
        let kind = match self.invalid_utf8.binary_search(&start) {
            Ok(_) => {
                let byte = self.source.get(self.pos).copied().unwrap_or_default();
                SyntaxErrorKind::InvalidByte(byte, place)
            }
            Err(_) => SyntaxErrorKind::InvalidCharacter(place),
        };
        let mut error = SyntaxError::new(span, kind, found);
        error.habit = habit;
        self.error(error);
    }

    fn invalid_literal(&mut self, start: usize, habit: Option<Habit>) {
        let span = Span::new(start as u32, self.pos as u32);
        let found = self.text.get(span.range()).unwrap_or_default();
        let mut error = SyntaxError::new(span, SyntaxErrorKind::InvalidLiteral, found);
        error.habit = habit;
        self.error(error);
    }

    fn unexpected_end<T>(&mut self, within: &'static str) -> Result<T, Stop> {
        let at = self.pos as u32;
        let kind = SyntaxErrorKind::UnexpectedEnd(within);
        self.error(SyntaxError::new(Span::new(at, at), kind, ""));
        Err(Stop)
    }
}

/// Whether a value can start with `byte`: then a comma or colon was forgotten before it.
fn starts_value(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'{' | b'[' | b'-') || byte.is_ascii_alphanumeric()
}
