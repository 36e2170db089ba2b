//! Whether an object is as it was applied.

use serde_json::Value;

/// Maps that the API server keeps as a whole: what stands in one of them beside ours makes it
/// another.
const WHOLE: [&str; 2] = ["nodeSelector", "selector"];

/// Whether `actual` has all that `wanted` has. It may have more fields, which are those that the API
/// server fills in, but no more items in a list: those may be somebody's whose work is to be undone.
#[must_use]
pub fn has_all(actual: &Value, wanted: &Value) -> bool {
    match (actual, wanted) {
        (Value::Object(actual), Value::Object(wanted)) => wanted.iter().all(|(name, wanted)| {
            match actual.get(name) {
                Some(actual) if WHOLE.contains(&name.as_str()) => actual == wanted,
                Some(actual) => has_all(actual, wanted),
                // The API server leaves out what is nothing.
                None => is_nothing(wanted),
            }
        }),
        (Value::Array(actual), Value::Array(wanted)) => {
            actual.len() == wanted.len()
                && wanted.iter().all(|wanted| actual.iter().any(|actual| has_all(actual, wanted)))
        }
        (actual, wanted) => actual == wanted,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) => false,
    }
}
