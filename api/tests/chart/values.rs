//! Each value does what it says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::helm::{Helm, only, read};

const POD: &str = "/spec/template/spec";
const CONTAINER: &str = "/spec/template/spec/containers/0";

/// What a chart may be installed with, by name.
pub(crate) fn sets() -> BTreeMap<String, Value> {
    serde_saphyr::from_str(include_str!("sets.yaml")).expect("sets of values")
}

fn cases() -> Vec<Value> {
    serde_saphyr::from_str(include_str!("values.yaml")).expect("cases")
}

/// The objects' value that a case is about; null where there is none.
fn found<'a>(case: &Value, objects: &'a [Value]) -> &'a Value {
    let starts = [("at", ""), ("pod", POD), ("container", CONTAINER)];
    let pointer = starts
        .into_iter()
        .find_map(|(name, start)| case[name].as_str().map(|rest| format!("{start}{rest}")));
    let pointer = pointer.unwrap_or_else(|| panic!("{case}: no place"));
    let object = only(objects, case["kind"].as_str().unwrap_or("Deployment"));
    object.pointer(&pointer).unwrap_or(&Value::Null)
}

/// The pointers of what is no map with anything in it.
fn leaves(value: &Value) -> BTreeSet<String> {
    match value.as_object().filter(|members| !members.is_empty()) {
        None => [String::new()].into(),
        Some(members) => members
            .iter()
            .flat_map(|(name, value)| {
                leaves(value).into_iter().map(move |rest| format!("/{name}{rest}"))
            })
            .collect(),
    }
}

#[test]
fn values_do_what_they_say() {
    let Some(helm) = Helm::new() else { return };
    for case in cases() {
        let objects = helm.template(&case["set"]).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(found(&case, &objects), &case["is"], "{case}");
    }
}

#[test]
fn no_value_is_without_a_case() {
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).expect("YAML");
    let tried: BTreeSet<String> = cases().iter().flat_map(|case| leaves(&case["set"])).collect();
    for leaf in leaves(&values) {
        let in_it = format!("{leaf}/");
        let has_case = tried.iter().any(|tried| *tried == leaf || tried.starts_with(&in_it));
        assert!(has_case, "{leaf} has no case in api/tests/chart/values.yaml");
    }
}
