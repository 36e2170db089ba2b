//! `--set path.to.field=value`

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Map, Value};

use super::schema::{self, Below, OF_METADATA, Problem};
use crate::error::CommandError;
use crate::yaml;

/// No list that someone writes by hand is longer.
const MOST_ELEMENTS: usize = 1_000;

/// A field and its value, as `--set` takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    steps: Vec<Step>,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

/// Reads `path.to.field=value`. A dot in a name is written `\.`, an element of a list `[0]`.
pub(super) fn assignment(text: &str) -> Result<Assignment, String> {
    let (path, value) =
        text.split_once('=').ok_or_else(|| "expected FIELD=VALUE, as in a.b=1".to_owned())?;
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut chars = path.chars();
    // Whether a name must follow, as after a dot.
    let mut wants_name = true;
    while let Some(c) = chars.next() {
        match c {
            '\\' => name.extend(chars.next()),
            '.' => {
                end_name(&mut name, wants_name, &mut steps)?;
                wants_name = true;
            }
            '[' => {
                end_name(&mut name, wants_name, &mut steps)?;
                wants_name = false;
                let digits: String = chars.by_ref().take_while(|c| *c != ']').collect();
                let index = digits.parse().ok().filter(|index| *index < MOST_ELEMENTS);
                let index = index.ok_or_else(|| format!("[{digits}] is no place in a list"))?;
                steps.push(Step::Element(index));
            }
            c if !wants_name => return Err(format!("expected a dot before {c:?}")),
            c => name.push(c),
        }
    }
    end_name(&mut name, wants_name, &mut steps)?;
    // What belongs to the kind stands in `spec`; so `spec.` may be left out.
    let first = steps
        .first()
        .map(|step| matches!(step, Step::Member(name) if name == "spec" || name == "metadata"));
    if first != Some(true) {
        steps.insert(0, Step::Member("spec".to_owned()));
    }
    Ok(Assignment { steps, value: value.to_owned() })
}

fn end_name(name: &mut String, wanted: bool, steps: &mut Vec<Step>) -> Result<(), String> {
    match (name.is_empty(), wanted) {
        (true, true) => Err("a name is missing".to_owned()),
        (true, false) => Ok(()),
        (false, _) => {
            steps.push(Step::Member(std::mem::take(name)));
            Ok(())
        }
    }
}

impl Assignment {
    /// Sets the field in `object`, whose definition is `schema`. A text is taken as it is where the
    /// definition wants one, so that `version=0.30` is no number; elsewhere the value is YAML. `null`
    /// takes the field away.
    ///
    /// # Errors
    ///
    /// When the kind has no such field, or the value is no YAML.
    pub(super) fn set(
        &self,
        object: &mut Value,
        schema: &JSONSchemaProps,
    ) -> Result<(), CommandError> {
        let schema = self.schema(schema)?;
        let value = self.value(schema)?;
        put(object, &self.steps, value).map_err(|message| self.error(&message))
    }

    /// The definition of the field; `None` where nobody looks into what it is in.
    fn schema<'s>(
        &self,
        schema: &'s JSONSchemaProps,
    ) -> Result<Option<&'s JSONSchemaProps>, CommandError> {
        let mut steps = self.steps.iter();
        let mut path = String::new();
        if self.is_metadata() {
            return match self.steps.get(1) {
                Some(Step::Member(name)) if !OF_METADATA.contains(&name.as_str()) => {
                    let path = format!("metadata.{name}");
                    let known = OF_METADATA.into_iter();
                    Err(told(schema::unknown("", &path, name, known)))
                }
                _ => Ok(None),
            };
        }
        let mut at = schema;
        for step in steps.by_ref() {
            let below = match step {
                Step::Member(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                    schema::member(at, name)
                }
                Step::Element(index) => {
                    path = format!("{path}[{index}]");
                    schema::element(at)
                }
            };
            at = match below {
                Below::Known(known) => known,
                Below::Open => return Ok(None),
                Below::Unknown(known) => {
                    let name = path.rsplit('.').next().unwrap_or_default();
                    return Err(told(schema::unknown("", &path, name, known.into_iter())));
                }
            };
        }
        Ok(Some(at))
    }

    /// Whether it is a part of the metadata, which is text wherever it is written by hand.
    fn is_metadata(&self) -> bool {
        matches!(self.steps.first(), Some(Step::Member(first)) if first == "metadata")
    }

    fn value(&self, schema: Option<&JSONSchemaProps>) -> Result<Value, CommandError> {
        let wants_text = self.is_metadata()
            || schema.is_some_and(|schema| schema.type_.as_deref() == Some("string"));
        if self.value == "null" {
            return Ok(Value::Null);
        }
        if self.value.is_empty() {
            return Ok(Value::String(String::new()));
        }
        match yaml::read::<Value>(&self.value) {
            // Quotes are YAML's.
            Ok(Value::String(text)) => Ok(Value::String(text)),
            Ok(_) | Err(_) if wants_text => Ok(Value::String(self.value.clone())),
            Ok(value) => Ok(value),
            Err(error) => Err(self.error(&error.to_string())),
        }
    }

    fn error(&self, message: &str) -> CommandError {
        let path: String = self.steps.iter().fold(String::new(), |path, step| match step {
            Step::Member(name) if path.is_empty() => name.clone(),
            Step::Member(name) => format!("{path}.{name}"),
            Step::Element(index) => format!("{path}[{index}]"),
        });
        CommandError::usage(format!("--set {path}: {message}"))
    }
}

fn told(problem: Problem) -> CommandError {
    let error = CommandError::usage(format!("--set: {}", problem.message));
    match problem.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Puts `value` where `steps` lead, and makes what is on the way. `null` takes away.
pub(super) fn put_member(object: &mut Value, path: &str, value: Value) {
    let steps: Vec<Step> = path.split('.').map(|name| Step::Member(name.to_owned())).collect();
    // Only elements of lists can be out of reach, and what is no object on the way is replaced.
    put(object, &steps, value).ok();
}

fn put(target: &mut Value, steps: &[Step], value: Value) -> Result<(), String> {
    let Some((first, rest)) = steps.split_first() else {
        *target = value;
        return Ok(());
    };
    match first {
        Step::Member(name) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Some(members) = target.as_object_mut() else { return Ok(()) };
            if rest.is_empty() && value.is_null() {
                members.remove(name);
                return Ok(());
            }
            put(members.entry(name).or_insert(Value::Null), rest, value)
        }
        Step::Element(index) => {
            if !target.is_array() {
                *target = Value::Array(Vec::new());
            }
            let Some(elements) = target.as_array_mut() else { return Ok(()) };
            if elements.len() == *index {
                elements.push(Value::Null);
            }
            match elements.get_mut(*index) {
                Some(element) => put(element, rest, value),
                None => Err(format!("the list has no more than {} elements", elements.len())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(kind: &str, texts: &[&str]) -> Result<Value, String> {
        let schema = schema::of_kind(kind).expect("a kind");
        let mut object = json!({});
        for text in texts {
            let assignment = assignment(text)?;
            assignment
                .set(&mut object, &schema)
                .map_err(|error| [vec![error.message], error.hints].concat().join(" | "))?;
        }
        Ok(object)
    }

    #[test]
    fn values_have_the_type_that_the_field_wants() {
        let set = |texts: &[&str]| set("Headscale", texts).expect("set");
        assert_eq!(set(&["version=0.30"]), json!({ "spec": { "version": "0.30" } }));
        assert_eq!(set(&["replicas=1"]), json!({ "spec": { "replicas": 1 } }));
        assert_eq!(
            set(&["config.dns.magic_dns=false", "spec.config.dns.nameservers.global=[1.1.1.1]"]),
            json!({ "spec": { "config": { "dns": {
                "magic_dns": false, "nameservers": { "global": ["1.1.1.1"] } } } } })
        );
        assert_eq!(
            set(&["config.unix_socket_permission=0770"]),
            json!({ "spec": { "config": { "unix_socket_permission": "0770" } } })
        );
        assert_eq!(
            set(&[r"metadata.labels.example\.com/team=net", "config.derp=null", "config.a=x=y"]),
            json!({ "metadata": { "labels": { "example.com/team": "net" } },
                "spec": { "config": { "a": "x=y" } } })
        );
    }

    #[test]
    fn elements_of_lists_are_set_one_after_another() {
        assert_eq!(
            set("HeadscaleAutoApprover", &["routes[0].cidr=10.0.0.0/8", "routes[0].tags[0]=tag:a"]),
            Ok(json!({ "spec": { "routes": [{ "cidr": "10.0.0.0/8", "tags": ["tag:a"] }] } }))
        );
        assert_eq!(
            set("HeadscaleAutoApprover", &["routes[1].cidr=10.0.0.0/8"]),
            Err("--set spec.routes[1].cidr: the list has no more than 0 elements".to_owned())
        );
    }

    #[test]
    fn unknown_fields_are_told_with_what_was_meant() {
        let message = |kind: &str, text: &str| set(kind, &[text]).expect_err("an error");
        assert_eq!(
            message("HeadscaleUser", "displayname=A"),
            "--set: unknown field \"spec.displayname\" | did you mean \"displayName\"?"
        );
        assert_eq!(
            message("Headscale", "metadata.label.a=b"),
            "--set: unknown field \"metadata.label\" | did you mean \"labels\"?"
        );
        assert_eq!(message("Headscale", "config"), "expected FIELD=VALUE, as in a.b=1");
        assert_eq!(message("Headscale", "a..b=1"), "a name is missing");
        assert_eq!(message("Headscale", "a[x]=1"), "[x] is no place in a list");
    }
}
