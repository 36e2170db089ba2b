//! Policies in JSON5 or YAML, turned into JSON without changing a value.

mod literal;
mod scan;
pub(crate) mod value;

use std::fmt::Write as _;

use headscale_acl::hujson::{Document, quote};
use serde_json::Value;

use crate::place::PlacedError;
use crate::yaml;
use value::Exact;

/// A language that people write policies in by habit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// JSON5
    Json5,
    /// YAML
    Yaml,
}

/// A policy as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Converted {
    /// The text, with lines but not in the standard format.
    pub(crate) text: String,
    /// Whether there were comments, which are not in `text`.
    pub(crate) comments_lost: bool,
}

/// Turns `text` into JSON with the same values in the same order. A text that is HuJSON already
/// stays as it is, with its comments.
///
/// # Errors
///
/// When `text` is not of that language; when it has a name twice in one object, or a number that
/// JSON's readers would round.
pub(crate) fn to_json(text: &[u8], language: Language) -> Result<Converted, PlacedError> {
    let text =
        std::str::from_utf8(text).map_err(|_| PlacedError::whole("the file is not UTF-8"))?;
    if text.is_empty() || Document::parse(text.as_bytes()).errors().is_empty() {
        return Ok(Converted { text: text.to_owned(), comments_lost: false });
    }
    let (value, comments_lost) = match language {
        Language::Json5 => (json5(text)?, scan::json5(text)?),
        Language::Yaml => (yaml::read::<Exact>(text)?, scan::yaml(text)?),
    };
    let mut json = String::with_capacity(text.len());
    write(&value.0, 0, &mut json);
    json.push('\n');
    Ok(Converted { text: json, comments_lost })
}

fn json5(text: &str) -> Result<Exact, PlacedError> {
    json5::from_str(text).map_err(|error| {
        let words = error.to_string();
        match error.position() {
            None => PlacedError::whole(words),
            Some(position) => {
                let message = words.strip_suffix(&format!(" at {position}"));
                let message = message.unwrap_or(&words);
                PlacedError::at(position.line as u64 + 1, position.column as u64 + 1, message)
            }
        }
    })
}

/// Objects and arrays less deep than this get a line for each member; the standard format breaks
/// the others only where they are long.
const LINES: usize = 2;

/// Writes `value` at `depth` to `out`.
fn write(value: &Value, depth: usize, out: &mut String) {
    let separator = if depth < LINES { ",\n" } else { ", " };
    let (open, close) = if depth < LINES { ("\n", "\n") } else { ("", "") };
    match value {
        Value::Array(elements) if !elements.is_empty() => {
            out.push('[');
            out.push_str(open);
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { separator } else { "" });
                write(element, depth + 1, out);
            }
            out.push_str(close);
            out.push(']');
        }
        Value::Object(members) if !members.is_empty() => {
            out.push('{');
            out.push_str(open);
            for (index, (name, value)) in members.iter().enumerate() {
                out.push_str(if index > 0 { separator } else { "" });
                out.push_str(&quote(name));
                out.push_str(": ");
                write(value, depth + 1, out);
            }
            out.push_str(close);
            out.push('}');
        }
        Value::String(text) => out.push_str(&quote(text)),
        // Writing to a String cannot fail.
        value => _ = write!(out, "{value}"),
    }
}
