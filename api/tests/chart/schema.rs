//! The schema of the values: it knows each of them, and refuses what cannot be meant.

use serde_json::{Value, json};

use crate::helm::{Helm, read};

#[test]
fn wrong_values_are_refused_by_name() {
    let Some(helm) = Helm::new() else { return };
    let cases = [
        (json!({ "replicas": 2 }), "replicas"),
        (json!({ "image": { "name": "op" } }), "name"),
        (json!({ "replicaCount": "two" }), "/replicaCount"),
        (json!({ "replicaCount": -1 }), "/replicaCount"),
        (json!({ "image": { "repository": "op:v1" } }), "/image/repository"),
        (json!({ "image": { "tag": 1 } }), "/image/tag"),
        (json!({ "image": { "pullPolicy": "Sometimes" } }), "/image/pullPolicy"),
        (json!({ "imagePullSecrets": ["registry"] }), "/imagePullSecrets/0"),
        (json!({ "fullnameOverride": "Upper" }), "/fullnameOverride"),
        (json!({ "watchNamespaces": "one,two" }), "/watchNamespaces"),
        (json!({ "watchNamespaces": ["one", "one"] }), "/watchNamespaces"),
        (json!({ "serviceAccount": { "create": "no" } }), "/serviceAccount/create"),
        (json!({ "commonLabels": { "a": 1 } }), "/commonLabels/a"),
        (json!({ "healthProbeBindAddress": "8081" }), "/healthProbeBindAddress"),
        (json!({ "metrics": { "port": 70000 } }), "/metrics/port"),
        (json!({ "metrics": { "serviceMonitor": { "interval": "often" } } }), "/interval"),
        (json!({ "service": { "type": "ExternalName" } }), "/service/type"),
        (json!({ "podDisruptionBudget": { "maxUnavailable": "half" } }), "/maxUnavailable"),
        (json!({ "logLevel": "loud" }), "/logLevel"),
        (json!({ "args": ["resync"] }), "/args/0"),
        (json!({ "volumes": [{ "emptyDir": {} }] }), "/volumes/0"),
    ];
    for (values, named) in cases {
        let said = helm.template(&values).expect_err("it cannot be meant");
        assert!(said.contains("values don't meet the specifications of the schema"), "{said}");
        assert!(said.contains(named), "{values}: {said}");
    }
}

/// Holds the members of `values` against the properties of `schema`, both ways.
fn assert_known(values: &Value, schema: &Value, at: &str) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let members = values.as_object().unwrap_or_else(|| panic!("{at} is no map"));
    for name in members.keys() {
        assert!(properties.contains_key(name), "the schema does not know {at}/{name}");
    }
    for (name, schema) in properties.iter().filter(|(name, _)| *name != "global") {
        assert!(members.contains_key(name), "values.yaml does not have {at}/{name}");
        assert_known(&members[name], schema, &format!("{at}/{name}"));
    }
    assert_eq!(schema["additionalProperties"], false, "{at} may have any member");
}

#[test]
fn the_schema_knows_the_values() {
    let values = serde_saphyr::from_str(&read("values.yaml")).expect("YAML");
    let schema = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    assert_known(&values, &schema, "");
}
