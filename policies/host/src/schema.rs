//! JSON Schemas of plugins, which are no more to be trusted than their code.

use std::collections::HashMap;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::error::Problem;

/// Bytes of a schema.
const MOST_BYTES: usize = 256 << 10;

/// How many schemas there are in one when every reference is replaced by what it refers to: a value
/// is held against each of them at most.
const MOST_EXPANDED: u64 = 100_000;

/// How many references may lead from one to the next.
const MOST_REFERENCES: usize = 50;

/// How many problems are told.
const TOLD: usize = 20;

/// A schema that a value can be held against in bounded time.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
}

impl Schema {
    /// Reads a schema of draft 2020-12.
    ///
    /// It stands by itself: references lead to `#/…` within it, and none leads back to where it
    /// stands. Patterns are matched in linear time.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<(Self, Value), String> {
        if text.len() > MOST_BYTES {
            return Err(format!("is larger than {MOST_BYTES} bytes"));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
        if !value.is_object() && !value.is_boolean() {
            return Err("is no JSON Schema: expected an object".to_owned());
        }
        Expansion { root: &value, known: HashMap::new(), open: 0 }.of("", &value)?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .build(&value)
            .map_err(|error| format!("is no JSON Schema of draft 2020-12: {error}"))?;
        Ok((Self { validator }, value))
    }

    /// What is wrong with `value`, at most 20 problems.
    pub(crate) fn problems(&self, value: &Value) -> Vec<Problem> {
        let problem = |error: jsonschema::ValidationError<'_>| Problem {
            pointer: error.instance_path().to_string(),
            message: crate::text::line(&error.to_string(), 500),
        };
        self.validator.iter_errors(value).take(TOLD).map(problem).collect()
    }
}

/// Counts schemas as if references were replaced by what they refer to.
struct Expansion<'s> {
    root: &'s Value,
    /// What each target of a reference counts for; `None` while it is being counted.
    known: HashMap<String, Option<u64>>,
    /// How many references are being followed.
    open: usize,
}

impl Expansion<'_> {
    fn of(&mut self, place: &str, value: &Value) -> Result<u64, String> {
        let mut count = 1_u64;
        match value {
            Value::Array(items) => {
                for item in items {
                    count = count.saturating_add(self.of("/", item)?);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let more = match (name.as_str(), member) {
                        ("$ref", Value::String(target)) => self.target(target)?,
                        ("$dynamicRef" | "$recursiveRef" | "$dynamicAnchor", Value::String(_)) => {
                            return Err(format!(
                                "has `{name}`, which is not supported: use `$ref`"
                            ));
                        }
                        ("$id", Value::String(_)) if !place.is_empty() => {
                            return Err("has `$id` within it, which is not supported".to_owned());
                        }
                        _ => self.of("/", member)?,
                    };
                    count = count.saturating_add(more);
                }
            }
            _ => {}
        }
        if count > MOST_EXPANDED {
            return Err(format!("stands for more than {MOST_EXPANDED} schemas"));
        }
        Ok(count)
    }

    fn target(&mut self, target: &str) -> Result<u64, String> {
        let shown = crate::text::line(target, 100);
        let pointer = target.strip_prefix('#').filter(|pointer| pointer.starts_with('/'));
        let Some(value) = pointer.and_then(|pointer| self.root.pointer(pointer)) else {
            return Err(format!("refers to `{shown}`, and `#/…` within itself is all that it can"));
        };
        match self.known.get(target) {
            Some(Some(count)) => return Ok(*count),
            Some(None) => return Err(format!("refers to `{shown}` from within it")),
            None => {}
        }
        if self.open == MOST_REFERENCES {
            return Err(format!("refers {MOST_REFERENCES} times from one reference to the next"));
        }
        self.known.insert(target.to_owned(), None);
        self.open += 1;
        let count = self.of("/", value)?;
        self.open -= 1;
        self.known.insert(target.to_owned(), Some(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_would_not_end_are_refused() {
        let doubling: Vec<String> = (0..40)
            .map(|at| {
                let next = at + 1;
                format!(r##""d{at}": {{"allOf": [{{"$ref": "#/$defs/d{next}"}}, {{"$ref": "#/$defs/d{next}"}}]}}"##)
            })
            .collect();
        let doubling = format!(
            r##"{{"$ref": "#/$defs/d0", "$defs": {{{}, "d40": {{}}}}}}"##,
            doubling.join(",")
        );
        for (text, why) in [
            (r##"{"$ref": "#"}"##, "refers to `#`"),
            (
                r##"{"$ref": "#/a", "a": {"$ref": "#/b"}, "b": {"not": {"$ref": "#/a"}}}"##,
                "from within it",
            ),
            (r##"{"$ref": "https://example.com/x"}"##, "within itself is all"),
            (r##"{"$dynamicRef": "#a"}"##, "`$dynamicRef`"),
            (r##"{"properties": {"a": {"$id": "x"}}}"##, "`$id`"),
            (&doubling, "more than 100000 schemas"),
            ("[]", "no JSON Schema"),
            ("{", "not JSON"),
            (r#"{"type": 3}"#, "draft 2020-12"),
            (r#"{"pattern": "(a"}"#, "draft 2020-12"),
        ] {
            let error = Schema::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn problems_say_where() {
        let text = r##"{"type": "object", "properties": {"ports": {"items": {"$ref": "#/$defs/port"}}},
            "$defs": {"port": {"type": "integer", "maximum": 65535}}, "additionalProperties": false}"##;
        let (schema, _) = Schema::parse(text).unwrap();
        assert!(schema.problems(&serde_json::json!({"ports": [22]})).is_empty());
        let problems = schema.problems(&serde_json::json!({"ports": [22, 70000], "x": 1}));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems.iter().any(|p| p.to_string().starts_with("/ports/1: 70000 is greater")),
            "{problems:?}"
        );
    }
}
