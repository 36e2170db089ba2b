//! A configuration as Headscale looks things up in it.
//!
//! Headscale reads its configuration with viper: names in any case, dots in names are steps, a null
//! is as if nothing stood there, and a value that cannot be converted is the zero of its type.

use std::borrow::Cow;

use headscale_acl::Version;
use headscale_acl::policy::Nanoseconds;
use serde_json::Value;

use super::key::key;

/// A configuration of one version.
#[derive(Clone, Copy)]
pub(super) struct Settings<'c> {
    config: &'c Value,
    pub(super) version: Version,
    /// Keys that the environment sets.
    elsewhere: &'c [&'c str],
}

/// What stands for a value that is not known here, only that there is one.
const ELSEWHERE: &str = "(elsewhere)";

/// A value and its RFC 6901 pointer.
pub(super) struct Found<'c> {
    pub(super) value: &'c Value,
    pub(super) pointer: String,
}

impl<'c> Settings<'c> {
    pub(super) const fn new(config: &'c Value, version: Version, elsewhere: &'c [&'c str]) -> Self {
        Self { config, version, elsewhere }
    }

    /// What stands at `path`; nothing for null.
    pub(super) fn found(&self, path: &str) -> Option<Found<'c>> {
        let steps: Vec<&str> = path.split('.').collect();
        let mut pointer = String::new();
        let value = find(self.config, &steps, &mut pointer)?;
        Some(Found { value, pointer })
    }

    /// The pointer of what stands at `path`, or else of the nearest that it would stand in.
    pub(super) fn pointer(&self, path: &str) -> String {
        let mut path = path;
        loop {
            if let Some(found) = self.found(path) {
                return found.pointer;
            }
            match path.rsplit_once('.') {
                Some((parent, _)) => path = parent,
                None => return String::new(),
            }
        }
    }

    /// Whether the environment sets the key.
    fn is_elsewhere(&self, path: &str) -> bool {
        self.elsewhere.iter().any(|key| key.eq_ignore_ascii_case(path))
    }

    /// Whether the configuration or the environment sets it, whatever its default.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.is_elsewhere(path) || self.found(path).is_some()
    }

    /// Whether viper says that it is set, which it also says of what has a default.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.value(path).is_some()
    }

    /// What counts: what is set, or the default.
    fn value(&self, path: &str) -> Option<Cow<'c, Value>> {
        if self.is_elsewhere(path) {
            return Some(Cow::Owned(Value::String(ELSEWHERE.to_owned())));
        }
        if let Some(found) = self.found(path) {
            return Some(Cow::Borrowed(found.value));
        }
        if self.is_shadowed(path) {
            return None;
        }
        let key = key(path).filter(|key| key.is_in(self.version))?;
        key.default_value().map(Cow::Owned)
    }

    /// Whether something else than an object stands where `path` leads through, which hides its
    /// default too.
    fn is_shadowed(&self, path: &str) -> bool {
        path.match_indices('.').any(|(at, _)| {
            let parent = path.get(..at).and_then(|parent| self.found(parent));
            parent.is_some_and(|parent| !parent.value.is_object())
        })
    }

    /// The value as text; empty where it is none.
    pub(super) fn text(&self, path: &str) -> String {
        self.value(path).and_then(|value| text(&value)).unwrap_or_default()
    }

    /// The value as a truth; false where it is none.
    pub(super) fn truth(&self, path: &str) -> bool {
        self.value(path).and_then(|value| truth(&value)).unwrap_or_default()
    }

    /// The value as a number; 0 where it is none.
    pub(super) fn number(&self, path: &str) -> i64 {
        self.value(path).and_then(|value| number(&value)).unwrap_or_default()
    }

    /// The value as nanoseconds; 0 where it is no duration.
    pub(super) fn duration(&self, path: &str) -> i64 {
        self.value(path).and_then(|value| duration(&value)).unwrap_or_default()
    }

    /// The value as a list of texts; empty where it is none.
    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        self.value(path).and_then(|value| texts(&value)).unwrap_or_default()
    }
}

/// What stands at `steps` below `value`; `pointer` becomes its pointer. Long names first, so that a
/// name with dots counts as the steps that it spells.
fn find<'c>(value: &'c Value, steps: &[&str], pointer: &mut String) -> Option<&'c Value> {
    if steps.is_empty() {
        return (!value.is_null()).then_some(value);
    }
    let object = value.as_object()?;
    for length in (1..=steps.len()).rev() {
        let (name, rest) = steps.split_at_checked(length)?;
        let name = name.join(".");
        let members = object.iter().filter(|(member, _)| member.to_lowercase() == name);
        for (member, value) in members {
            let before = pointer.len();
            push(pointer, member);
            if let Some(found) = find(value, rest, pointer) {
                return Some(found);
            }
            pointer.truncate(before);
        }
    }
    None
}

/// Appends a step to an RFC 6901 pointer.
pub(super) fn push(pointer: &mut String, step: &str) {
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
}

/// A value as text, where it has one.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value as a truth, where it is one.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value as a whole number, where it is one.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(truth) => Some(i64::from(*truth)),
        #[expect(clippy::cast_possible_truncation, reason = "Headscale cuts it off too")]
        Value::Number(number) => number.as_i64().or_else(|| Some(number.as_f64()? as i64)),
        Value::String(text) => {
            let whole = text.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|b| b == b'0'));
            let text = whole.map_or(text.as_str(), |(whole, _)| whole);
            text.is_empty().then_some(0).or_else(|| text.parse().ok())
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value as nanoseconds, where it is a duration. A number is one of nanoseconds.
pub(super) fn duration(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(_) => return number(value),
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let duration = if text.contains(['n', 's', 'u', 'µ', 'm', 'h']) {
        Nanoseconds::parse_go(text)
    } else {
        Nanoseconds::parse_go(&format!("{text}ns"))
    };
    duration.ok().map(|duration| duration.0)
}

/// A value as a list of texts, where it is one. One text is a list of its words.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| if item.is_null() { Some(String::new()) } else { text(item) })
            .collect(),
        Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Value::Bool(_) | Value::Number(_) => text(value).map(|text| vec![text]),
        Value::Null | Value::Object(_) => None,
    }
}
