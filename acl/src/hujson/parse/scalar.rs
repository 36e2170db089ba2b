//! Strings, numbers and words.

use super::{AT_VALUE, Parser, Stop};
use crate::hujson::edit::Edit;
use crate::hujson::error::Habit;
use crate::hujson::string;
use crate::hujson::tree::{ESCAPED, Kind, LONE_SURROGATE, UNQUOTED};
use crate::hujson::walk::Role;
use crate::span::Span;

impl Parser<'_> {
    pub(super) fn double_quoted(&mut self) -> Result<(Kind, u8), Stop> {
        let start = self.pos;
        let mut odd = false;
        let mut at = start + 1;
        loop {
            match self.bytes.get(at) {
                None => {
                    self.pos = self.bytes.len();
                    return self.unexpected_end("string");
                }
                Some(b'"') => break,
                Some(b'\\') => {
                    odd = true;
                    at += 1;
                }
                Some(byte) => odd |= *byte < 0x20,
            }
            at += 1;
        }
        self.pos = at + 1;
        if !odd {
            return Ok((Kind::String, 0));
        }
        let inner = self.text.get(start + 1..at).unwrap_or_default();
        match string::validate(inner) {
            Ok(lone) => Ok((Kind::String, ESCAPED | if lone { LONE_SURROGATE } else { 0 })),
            Err(()) => {
                self.invalid_literal(start, None);
                // A line break means that the closing quote is missing: what was read as the
                // string is no longer what was meant.
                if inner.contains('\n') { Err(Stop) } else { Ok((Kind::Broken, 0)) }
            }
        }
    }

    pub(super) fn single_quoted(&mut self) -> Result<(Kind, u8), Stop> {
        self.invalid_character(AT_VALUE, Some(Habit::SingleQuotes));
        let mut at = self.pos + 1;
        loop {
            match self.bytes.get(at) {
                None | Some(b'\n') => return Err(Stop),
                Some(b'\'') => break,
                Some(b'\\') => at += 1,
                Some(_) => {}
            }
            at += 1;
        }
        let inner = self.text.get(self.pos + 1..at).unwrap_or_default();
        let span = Span::new(self.pos as u32, at as u32 + 1);
        if let Some(error) = self.errors.last_mut().filter(|error| error.span.start == span.start) {
            error.elsewhere = Some(Edit::replace(span, string::quote(&string::unescape(inner))));
        }
        self.pos = at + 1;
        Ok((Kind::String, UNQUOTED | ESCAPED))
    }

    /// Numbers, `true`, `false`, `null`, and words that are none of them.
    pub(super) fn literal(&mut self) -> Result<(Kind, u8), Stop> {
        let start = self.pos;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let in_word = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.');
        let len = rest.iter().take_while(in_word).count();
        if len == 0 {
            self.invalid_character(AT_VALUE, None);
            return Err(Stop);
        }
        self.pos += len;
        let kind = match rest.get(..len).unwrap_or_default() {
            b"true" | b"false" => Kind::Bool,
            b"null" => Kind::Null,
            word if is_number(word) => Kind::Number,
            _ if self.role() == Role::Name => {
                self.invalid_literal(start, Some(Habit::BareName));
                return Ok((Kind::String, UNQUOTED));
            }
            word if self.role() == Role::TopLevel && is_yaml(word, rest) => {
                self.invalid_literal(start, Some(Habit::Yaml));
                return Err(Stop);
            }
            _ => {
                self.invalid_literal(start, Some(Habit::ForeignLiteral));
                return Ok((Kind::Broken, 0));
            }
        };
        Ok((kind, 0))
    }
}

/// Whether a YAML document starts with `word`, the first of `rest`: `---`, or a name and a colon.
fn is_yaml(word: &[u8], rest: &[u8]) -> bool {
    let after = rest.get(word.len()..).unwrap_or_default();
    word == b"---" || after.trim_ascii_start().starts_with(b":")
}

/// Whether `word` is a number as RFC 8259 writes it.
fn is_number(word: &[u8]) -> bool {
    fn digits(word: &[u8]) -> (usize, &[u8]) {
        let len = word.iter().take_while(|b| b.is_ascii_digit()).count();
        (len, word.get(len..).unwrap_or_default())
    }
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let (whole, mut rest) = digits(word);
    if whole == 0 || (whole > 1 && word.first() == Some(&b'0')) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let (len, left) = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = left;
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let unsigned = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-"));
        let (len, left) = digits(unsigned.unwrap_or(exponent));
        return len > 0 && left.is_empty();
    }
    rest.is_empty()
}
