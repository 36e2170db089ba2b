//! The definitions as YAML text.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Number, Value};

use super::crds;

const HEADER: &str = "# Made by `cargo xtask generate` from api/src/kinds; do not edit.\n";

/// All definitions as one YAML text, a document each, sorted by name.
#[must_use]
pub fn crds_yaml() -> String {
    let documents: String = crds().iter().map(|crd| format!("---\n{}", document(crd))).collect();
    format!("{HEADER}{documents}")
}

/// The definitions as files below `api/crds`: the name, such as `headscales.yaml`, and the text.
#[must_use]
pub fn crd_files() -> Vec<(String, String)> {
    crds()
        .iter()
        .map(|crd| {
            (format!("{}.yaml", crd.spec.names.plural), format!("{HEADER}{}", document(crd)))
        })
        .collect()
}

fn document(crd: &CustomResourceDefinition) -> String {
    // A definition is text, numbers, lists and maps with text for keys: neither can fail.
    let mut value = serde_json::to_value(crd).unwrap_or_default();
    write_whole_numbers_as_such(&mut value);
    serde_saphyr::to_string(&value).unwrap_or_default()
}

/// Bounds are floating in Kubernetes' types, and `minimum: 1.0` is not how anybody writes them.
fn write_whole_numbers_as_such(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers_as_such),
        Value::Object(members) => members.values_mut().for_each(write_whole_numbers_as_such),
        Value::Number(number) if number.is_f64() => {
            let text = number.to_string();
            if let Some(Ok(whole)) = text.strip_suffix(".0").map(str::parse::<i64>) {
                *number = Number::from(whole);
            }
        }
        _ => {}
    }
}
