//! Objects as kubectl prints them: members in order, JSON as Go writes it, YAML as kubectl's
//! library does.

mod scalar;
mod yaml;

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) use yaml::yaml;

/// `value` as JSON with four spaces, members in order, and a newline at the end.
pub(crate) fn json(value: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // A value of JSON can be written, and a vector takes all of it.
    sorted(value).serialize(&mut serializer).ok();
    let text = String::from_utf8(bytes).unwrap_or_default();
    // Go writes these so, lest a page that the text is put into takes them for its own.
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

/// `object` without the record of who owns which field.
pub(crate) fn without_managed_fields(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// `items` as one `List`.
pub(crate) fn list(items: &[Value]) -> Value {
    serde_json::json!({
        "apiVersion": "v1",
        "items": items,
        "kind": "List",
        "metadata": { "resourceVersion": "" },
    })
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let sorted = members.into_iter().map(|(name, value)| (name.clone(), sorted(value)));
            Value::Object(sorted.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}
