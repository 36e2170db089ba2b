//! What readers of JSON5 and YAML do not tell: comments, and how numbers were written.

use std::iter::Peekable;
use std::str::CharIndices;

use headscale_acl::LineIndex;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use super::literal::survives;
use crate::place::PlacedError;

/// Whether `text`, which is JSON5, has comments.
///
/// # Errors
///
/// At the first number that would be rounded.
pub(super) fn json5(text: &str) -> Result<bool, PlacedError> {
    let mut comments = false;
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        match c {
            '"' | '\'' => skip_string(&mut chars, c),
            '/' => {
                comments = true;
                skip_comment(&mut chars);
            }
            '+' | '-' | '.' | '0'..='9' => {
                let end = skip_word(&mut chars, text.len());
                let literal = text.get(start..end).unwrap_or_default();
                if !survives(literal) {
                    return Err(rounded(text, start, literal));
                }
            }
            c if in_word(c) => _ = skip_word(&mut chars, text.len()),
            _ => {}
        }
    }
    Ok(comments)
}

/// Whether `text`, which is YAML, has comments.
///
/// # Errors
///
/// At the first number that would be rounded.
pub(super) fn yaml(text: &str) -> Result<bool, PlacedError> {
    let mut comments = false;
    for event in Parser::new_from_str(text) {
        // What the parser refuses was refused before.
        let Ok((event, span)) = event else { break };
        match event {
            Event::Comment(..) => comments = true,
            Event::Scalar(value, ScalarStyle::Plain, ..) => {
                let number = value.trim_start_matches(['+', '-']);
                let decimal = number.starts_with(|c: char| c == '.' || c.is_ascii_digit())
                    && number.parse::<f64>().is_ok();
                if decimal && !survives(&value) {
                    let (line, column) = (span.start.line(), span.start.col());
                    return Err(PlacedError::at(
                        line as u64,
                        column as u64 + 1,
                        would_round(&value),
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(comments)
}

type Chars<'t> = Peekable<CharIndices<'t>>;

fn skip_string(chars: &mut Chars<'_>, quote: char) {
    while let Some((_, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return;
        }
    }
}

/// Skips a comment behind its first slash.
fn skip_comment(chars: &mut Chars<'_>) {
    let block = chars.next().is_some_and(|(_, c)| c == '*');
    while let Some((_, c)) = chars.next() {
        let end = if block {
            c == '*' && chars.next_if(|(_, c)| *c == '/').is_some()
        } else {
            matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
        };
        if end {
            return;
        }
    }
}

/// Skips the rest of a word or number and returns where it ends; `length` is that of the text.
fn skip_word(chars: &mut Chars<'_>, length: usize) -> usize {
    while chars.next_if(|(_, c)| in_word(*c) || matches!(c, '+' | '-' | '.')).is_some() {}
    chars.peek().map_or(length, |(at, _)| *at)
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '\\' | '\u{200c}' | '\u{200d}')
}

fn rounded(text: &str, offset: usize, literal: &str) -> PlacedError {
    let place = LineIndex::new(text.as_bytes()).position(offset as u32);
    PlacedError::at(place.line.into(), place.column.into(), would_round(literal))
}

fn would_round(literal: &str) -> String {
    format!("the number {literal} cannot be kept exactly; write it as text, in quotes")
}
