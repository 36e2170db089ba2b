//! Whether an object fits the definition of its kind, before anyone is asked.
//!
//! The server has the last word. What is found here is what people mistype: names of fields, types
//! and words of a list, and what is missing.

use headscale_api::kinds;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use crate::suggest::did_you_mean;

/// Fields of an object that no definition names.
const OF_EVERY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Fields of `metadata` that a user may write.
pub(super) const OF_METADATA: [&str; 6] =
    ["annotations", "finalizers", "labels", "name", "namespace", "ownerReferences"];

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where: an RFC 6901 pointer into the object.
    pub(super) pointer: String,
    /// What is wrong, beginning with the field.
    pub(super) message: String,
    /// What was meant, perhaps.
    pub(super) hint: Option<String>,
}

/// The definition of the objects of `kind`.
pub(super) fn of_kind(kind: &str) -> Option<JSONSchemaProps> {
    let crd = kinds::crds().into_iter().find(|crd| crd.spec.names.kind == kind)?;
    crd.spec.versions.into_iter().next()?.schema?.open_api_v3_schema
}

/// What of `object` does not fit `schema`, in the order of the object; what is missing only where
/// it `is_whole`.
pub(super) fn problems(object: &Value, schema: &JSONSchemaProps, is_whole: bool) -> Vec<Problem> {
    let mut found = Vec::new();
    let Some(members) = object.as_object() else { return found };
    for (name, value) in members {
        let child = schema.properties.as_ref().and_then(|properties| properties.get(name));
        let pointer = child_pointer("", name);
        match child {
            Some(child) => {
                Walk { is_whole, found: &mut found }.value(value, child, &pointer, name);
            }
            None if OF_EVERY_OBJECT.contains(&name.as_str()) => {}
            None => {
                let known = ["apiVersion", "kind", "metadata", "spec"];
                found.push(unknown(&pointer, name, name, known.into_iter()));
            }
        }
    }
    for name in metadata_names(object) {
        if !OF_METADATA.contains(&name) {
            let path = format!("metadata.{name}");
            let pointer = child_pointer("/metadata", name);
            found.push(unknown(&pointer, &path, name, OF_METADATA.into_iter()));
        }
    }
    found
}

fn metadata_names(object: &Value) -> impl Iterator<Item = &str> {
    let metadata = object.get("metadata").and_then(Value::as_object);
    metadata.into_iter().flat_map(|metadata| metadata.keys().map(String::as_str))
}

/// The field `path` is none of `known`.
pub(super) fn unknown<'n>(
    pointer: &str,
    path: &str,
    name: &str,
    known: impl Iterator<Item = &'n str>,
) -> Problem {
    Problem {
        pointer: pointer.to_owned(),
        message: format!("unknown field {path:?}"),
        hint: did_you_mean(name, known),
    }
}

/// What a value may have below it.
pub(super) enum Below<'s> {
    /// A field with this definition.
    Known(&'s JSONSchemaProps),
    /// Anything: nobody looks into it.
    Open,
    /// No such field, but these.
    Unknown(Vec<&'s str>),
}

/// What is at the member `name` of what `schema` defines.
pub(super) fn member<'s>(schema: &'s JSONSchemaProps, name: &str) -> Below<'s> {
    let properties = schema.properties.as_ref();
    if let Some(known) = properties.and_then(|properties| properties.get(name)) {
        return Below::Known(known);
    }
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(schema)) => return Below::Known(schema),
        Some(JSONSchemaPropsOrBool::Bool(true)) => return Below::Open,
        Some(JSONSchemaPropsOrBool::Bool(false)) | None => {}
    }
    if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
        return Below::Open;
    }
    let names = properties.into_iter().flat_map(|properties| properties.keys());
    Below::Unknown(names.map(String::as_str).collect())
}

/// What the elements are of what `schema` defines.
pub(super) fn element(schema: &JSONSchemaProps) -> Below<'_> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Below::Known(items),
        _ => Below::Open,
    }
}

struct Walk<'f> {
    is_whole: bool,
    found: &'f mut Vec<Problem>,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, schema: &JSONSchemaProps, pointer: &str, path: &str) {
        if !self.has_type(value, schema, pointer, path) {
            return;
        }
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let child = child_pointer(pointer, name);
                    let child_path = format!("{path}.{name}");
                    match member(schema, name) {
                        Below::Known(known) => self.value(value, known, &child, &child_path),
                        Below::Open => {}
                        Below::Unknown(known) => {
                            let known = known.into_iter();
                            self.found.push(unknown(&child, &child_path, name, known));
                        }
                    }
                }
                let required = schema.required.iter().flatten().filter(|_| self.is_whole);
                for name in required.filter(|name| !members.contains_key(*name)) {
                    self.found.push(Problem {
                        pointer: pointer.to_owned(),
                        message: format!("{path}.{name} is missing"),
                        hint: None,
                    });
                }
            }
            Value::Array(elements) => {
                let Below::Known(items) = element(schema) else { return };
                for (index, value) in elements.iter().enumerate() {
                    let child = format!("{pointer}/{index}");
                    self.value(value, items, &child, &format!("{path}[{index}]"));
                }
            }
            scalar => self.one_of(scalar, schema, pointer, path),
        }
    }

    fn has_type(
        &mut self,
        value: &Value,
        schema: &JSONSchemaProps,
        pointer: &str,
        path: &str,
    ) -> bool {
        let is_either = schema.x_kubernetes_int_or_string == Some(true);
        let expected = match schema.type_.as_deref() {
            _ if is_either => "a number or a text",
            Some("string") => "a text",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("boolean") => "true or false",
            Some("array") => "a list",
            Some("object") => "keys and values",
            _ => return true,
        };
        let fits = match (schema.type_.as_deref(), value) {
            (_, Value::String(_)) if is_either => true,
            (_, Value::Number(number)) if is_either => number.is_i64(),
            (Some("integer"), Value::Number(number)) => number.is_i64(),
            (Some("string"), Value::String(_))
            | (Some("number"), Value::Number(_))
            | (Some("boolean"), Value::Bool(_))
            | (Some("array"), Value::Array(_))
            | (Some("object"), Value::Object(_)) => true,
            _ => false,
        };
        if !fits {
            let quote = matches!(value, Value::Bool(_) | Value::Number(_))
                && schema.type_.as_deref() == Some("string");
            self.found.push(Problem {
                pointer: pointer.to_owned(),
                message: format!("{path} must be {expected}, not {}", what(value)),
                hint: quote.then(|| "put it in quotes".to_owned()),
            });
        }
        fits
    }

    fn one_of(&mut self, value: &Value, schema: &JSONSchemaProps, pointer: &str, path: &str) {
        let Some(words) = &schema.enum_ else { return };
        if words.iter().any(|word| word.0 == *value) {
            return;
        }
        let all: Vec<String> = words.iter().map(|word| word.0.to_string()).collect();
        let word = value.as_str().unwrap_or_default();
        self.found.push(Problem {
            pointer: pointer.to_owned(),
            message: format!("{path} must be one of {}, not {value}", all.join(", ")),
            hint: did_you_mean(word, words.iter().filter_map(|word| word.0.as_str())),
        });
    }
}

fn what(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "keys and values".to_owned(),
    }
}

/// The pointer to the member `name` of what `pointer` leads to.
pub(super) fn child_pointer(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
