//! The text of a configuration.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use serde_saphyr::Error;

/// Reads a configuration as Headscale does: only `true` and `false` are truths, `0770` is the
/// number 504, and an empty text is a configuration without keys.
///
/// # Errors
///
/// Where the text is not YAML, or has a key twice; with its place.
pub fn from_yaml(text: &str) -> Result<Value, Error> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        legacy_octal_numbers: true,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// Writes a configuration: members sorted, and quotes around each text that some YAML would read as
/// something else (`"0770"`, `"yes"`). [`from_yaml`] reads the same.
#[must_use]
pub fn to_yaml(config: &Map<String, Value>) -> String {
    let mut text = String::new();
    if config.is_empty() {
        text.push_str("{}\n");
    }
    object(config, 0, &mut text);
    text
}

fn object(object: &Map<String, Value>, indentation: usize, text: &mut String) {
    let mut members: Vec<(&String, &Value)> = object.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in members {
        indent(indentation, text);
        text.push_str(&scalar(name));
        text.push(':');
        member(value, indentation, text);
    }
}

/// The value of a member or an item, up to the end of its last line.
fn member(value: &Value, indentation: usize, text: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            text.push('\n');
            object(members, indentation + 1, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            for item in items {
                indent(indentation + 1, text);
                text.push('-');
                member(item, indentation + 1, text);
            }
        }
        Value::String(value) => {
            text.push(' ');
            text.push_str(&scalar(value));
            text.push('\n');
        }
        // JSON has the same form for all that is left.
        value => {
            text.push(' ');
            text.push_str(&value.to_string());
            text.push('\n');
        }
    }
}

fn indent(indentation: usize, text: &mut String) {
    (0..indentation).for_each(|_| text.push_str("  "));
}

/// A text, in quotes unless every YAML reads it as text.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@');
    if starts && !is_word && text.chars().all(is_plain) && !text.ends_with(':') {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // What some YAML takes for a break of lines or refuses.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _: Result<(), std::fmt::Error> = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
