//! Arguments stand once, and none says another thing than a value does.

use serde_json::{Value, json};

use crate::helm::{Helm, only};

fn arguments(objects: &[Value]) -> Vec<&str> {
    let pod = &only(objects, "Deployment")["spec"]["template"]["spec"];
    let arguments = pod["containers"][0]["args"].as_array().expect("arguments");
    arguments.iter().map(|argument| argument.as_str().expect("text")).collect()
}

#[test]
fn an_argument_that_a_value_stands_for_stands_once() {
    let Some(helm) = Helm::new() else { return };
    let own =
        ["--leader-elect", "--health-probe-bind-address=:8081", "--metrics-bind-address=:8443"];
    let given = ["--leader-elect=true", own[1], own[2], "--zap-log-level=info"];
    let values = json!({ "metrics": { "port": 8443 }, "args": given });
    let objects = helm.template(&values).expect("objects");
    assert_eq!(arguments(&objects), [own[0], own[1], own[2], given[3]]);
}

#[test]
fn an_argument_that_contradicts_a_value_is_refused() {
    let Some(helm) = Helm::new() else { return };
    let cases = [
        ("--leader-elect=false", "set leaderElection.enabled instead"),
        ("--health-probe-bind-address=:9000", "set healthProbeBindAddress instead"),
        ("--metrics-bind-address=:8443", "set metrics.enabled and metrics.port instead"),
        ("--metrics-bind-address=0", "set metrics.enabled and metrics.port instead"),
        ("--namespace=one", "set watchNamespaces instead"),
        ("--namespace", "set watchNamespaces instead"),
        ("--log-level=debug", "set logLevel instead"),
        ("--sidecar-image=other", "set sidecar.image instead"),
    ];
    for (argument, expected) in cases {
        let said = helm.template(&json!({ "args": [argument] })).expect_err(argument);
        assert!(said.contains(expected), "{argument}: {said}");
    }
}

#[test]
fn several_operators_at_work_at_once_are_refused() {
    let Some(helm) = Helm::new() else { return };
    let values = json!({ "replicaCount": 2, "leaderElection": { "enabled": false } });
    let said = helm.template(&values).expect_err("both would work");
    assert!(said.contains("replicaCount: more than one operator needs leaderElection"), "{said}");
}

/// The values that the chart of the Go operator does not have either, as `helm upgrade
/// --reuse-values` leaves them out.
fn without_new_values() -> Value {
    json!({
        "env": null,
        "logLevel": null,
        "metrics": { "serviceMonitor": null },
        "podDisruptionBudget": null,
        "priorityClassName": null,
        "rbac": { "userRoles": null },
        "replicaCount": 2,
        "sidecar": null,
        "terminationGracePeriodSeconds": null,
        "topologySpreadConstraints": null,
        "watchNamespaces": null,
    })
}

#[test]
fn values_that_the_go_operator_does_not_have_may_be_missing() {
    let Some(helm) = Helm::new() else { return };
    let objects = helm.template(&without_new_values()).expect("objects");
    assert_eq!(only(&objects, "Deployment")["spec"]["replicas"], 2);
}

#[test]
fn the_image_of_the_go_operator_is_refused() {
    let Some(helm) = Helm::new() else { return };
    for mut values in [json!({}), without_new_values()] {
        values["image"] = json!({ "repository": "ghcr.io/infradohq/headscale-operator" });
        let said = helm.template(&values).expect_err("it is another program");
        assert!(said.contains("image.repository: this is the image of the Go operator"), "{said}");
    }
}
