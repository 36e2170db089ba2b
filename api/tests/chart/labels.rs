//! Labels and names: pods are found, and no name is too long.

use serde_json::{Value, json};

use crate::helm::{Helm, NAMESPACE, only};

/// Whatever labels are chosen, pods have those that they are found by.
fn assert_pods_are_found(objects: &[Value], values: &Value) {
    let deployment = only(objects, "Deployment");
    let pod = &deployment["spec"]["template"]["metadata"]["labels"];
    let finders = [
        &deployment["spec"]["selector"]["matchLabels"],
        &only(objects, "Service")["spec"]["selector"],
        &only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ];
    for finder in finders {
        for (key, value) in finder.as_object().expect("labels") {
            assert_eq!(&pod[key], value, "{values}: {key}");
        }
    }
}

#[test]
fn pods_are_found_whatever_labels_are_chosen() {
    let Some(helm) = Helm::new() else { return };
    let theirs = json!({
        "app.kubernetes.io/name": "theirs",
        "app.kubernetes.io/instance": "theirs",
        "app.kubernetes.io/managed-by": "theirs",
        "app.kubernetes.io/version": "theirs",
        "helm.sh/chart": "theirs",
        "team": "network",
    });
    for name in ["", "op"] {
        let values = json!({
            "replicaCount": 2,
            "nameOverride": name,
            "podLabels": theirs,
            "commonLabels": theirs,
        });
        let objects = helm.template(&values).expect("objects");
        assert_pods_are_found(&objects, &values);
        for object in &objects {
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{object}");
            assert_eq!(labels["team"], "network", "{object}");
        }
    }
}

#[test]
fn a_pod_label_goes_before_a_common_one() {
    let Some(helm) = Helm::new() else { return };
    let values = json!({ "podLabels": { "team": "pod" }, "commonLabels": { "team": "common" } });
    let objects = helm.template(&values).expect("objects");
    let deployment = only(&objects, "Deployment");
    assert_eq!(deployment["metadata"]["labels"]["team"], "common");
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"]["team"], "pod");
}

#[test]
fn names_are_short_enough_for_the_longest_release() {
    let Some(helm) = Helm::new() else { return };
    // The longest that Helm takes.
    let release = "r".repeat(53);
    let values = json!({ "replicaCount": 2, "service": { "name": "metrics-service" } });
    let objects = helm.template_as(&release, NAMESPACE, &values).expect("objects");
    assert_pods_are_found(&objects, &values);
    for object in &objects {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let limit = if object["kind"] == "Service" { 63 } else { 253 };
        assert!(name.len() <= limit && !name.ends_with('-'), "{name}");
    }
}

#[test]
fn a_release_of_another_name_has_it_in_all_names_of_its_own() {
    let Some(helm) = Helm::new() else { return };
    let objects = helm.template_as("staging", NAMESPACE, &json!({})).expect("objects");
    for object in &objects {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let of_users = object["metadata"]["labels"]
            .as_object()
            .expect("labels")
            .keys()
            .any(|key| key.contains("/aggregate-to-"));
        assert!(of_users || name.starts_with("staging-headscale-operator"), "{name}");
    }
}
