//! White space and comments between tokens.

use super::{Parser, Stop};
use crate::hujson::error::{Habit, SyntaxError, SyntaxErrorKind};
use crate::span::Span;

impl Parser<'_> {
    /// Skips white space and comments. `place` is where a character stands that may not stand here.
    pub(super) fn gap(&mut self, place: &'static str) -> Result<(), Stop> {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.pos += 1,
                b'/' => match self.bytes.get(self.pos + 1) {
                    Some(b'/') => self.line_comment(),
                    Some(b'*') => self.block_comment()?,
                    _ => return Ok(()),
                },
                b'#' => {
                    self.invalid_character(place, Some(Habit::HashComment));
                    self.pos += self.to_line_end();
                }
                0x80.. => {
                    let Some(habit) = self.odd_space() else {
                        return Ok(());
                    };
                    self.invalid_character(place, Some(habit));
                    self.pos += self.char_len();
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn line_comment(&mut self) {
        let start = self.pos;
        self.pos += self.to_line_end();
        if self.pos == self.bytes.len() {
            let span = Span::new(start as u32, self.pos as u32);
            let kind = SyntaxErrorKind::UnexpectedEnd("comment");
            self.error(SyntaxError::new(span, kind, "").habit(Habit::CommentAtEnd));
        } else {
            self.pos += 1;
        }
        self.check_comment(start);
    }

    fn block_comment(&mut self) -> Result<(), Stop> {
        let start = self.pos;
        let Some(len) = self.text.get(start + 2..).and_then(|rest| rest.find("*/")) else {
            let span = Span::new(start as u32, start as u32 + 2);
            self.error(SyntaxError::new(span, SyntaxErrorKind::UnexpectedEnd("comment"), ""));
            return Err(Stop);
        };
        self.pos = start + 2 + len + 2;
        self.check_comment(start);
        Ok(())
    }

    /// The comment from `start` to here makes the text HuJSON, and must be UTF-8.
    fn check_comment(&mut self, start: usize) {
        self.standard = false;
        let from = self.invalid_utf8.partition_point(|at| (*at as usize) < start);
        if self.invalid_utf8.get(from).is_some_and(|at| (*at as usize) < self.pos) {
            let span = Span::new(start as u32, self.pos as u32);
            self.error(SyntaxError::new(span, SyntaxErrorKind::InvalidUtf8InComment, ""));
        }
    }

    fn to_line_end(&self) -> usize {
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
    }

    fn odd_space(&self) -> Option<Habit> {
        match self.current()? {
            '\u{feff}' => Some(Habit::ByteOrderMark),
            '\u{200b}' => Some(Habit::OddSpace),
            c if c.is_whitespace() => Some(Habit::OddSpace),
            _ => None,
        }
    }
}
