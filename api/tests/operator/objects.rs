//! What the objects are, and what the options change.

use headscale_api::operator::{Options, VERSION, desired, selector};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{all, only, told};

fn yaml(objects: &[Value]) -> String {
    let text = |object| serde_saphyr::to_string(object).expect("YAML");
    // A release changes nothing else.
    objects.iter().map(text).collect::<Vec<_>>().join("---\n").replace(VERSION, "[VERSION]")
}

#[test]
fn the_objects_of_an_operator_for_a_whole_cluster() {
    assert_snapshot!(yaml(&desired(&Options::default())));
}

#[test]
fn the_objects_of_two_operators_for_two_namespaces() {
    assert_snapshot!(yaml(&desired(&all())));
}

#[test]
fn one_operator_has_no_budget_and_two_have_one_and_are_kept_apart() {
    let two = Options { replicas: 2, ..Options::default() };
    assert!(!told(&Options::default()).iter().any(|it| it.starts_with("PodDisruptionBudget")));
    assert_eq!(only(&two, "PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    let spread = only(&two, "Deployment");
    let spread = &spread["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway");
}

#[test]
fn an_operator_for_some_namespaces_has_no_rights_in_others() {
    let told = told(&all());
    assert!(!told.iter().any(|it| it.starts_with("Cluster")), "{told:?}");
    let roles: Vec<&String> = told.iter().filter(|it| it.starts_with("Role ")).collect();
    let expected = [
        "Role lab/headscale-operator",
        "Role vpn/headscale-operator",
        "Role ops/headscale-operator-leader-election",
    ];
    assert_eq!(roles, expected);
}

#[test]
fn what_finds_the_pods_never_changes_and_is_part_of_their_labels() {
    for options in [Options::default(), all()] {
        let deployment = only(&options, "Deployment");
        assert_eq!(deployment["spec"]["selector"]["matchLabels"], json!(selector()));
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        for (key, value) in selector() {
            assert_eq!(labels[&key], value);
        }
        assert_eq!(only(&options, "Service")["spec"]["selector"], json!(selector()));
    }
}

#[test]
fn arguments_of_the_user_come_last_so_that_they_count() {
    let deployment = only(&all(), "Deployment");
    let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    let expected = json!([
        "--leader-elect",
        "--health-probe-bind-address=:8081",
        "--metrics-bind-address=:8080",
        "--namespace=lab",
        "--namespace=vpn",
        "--log-level=debug",
        "--sidecar-image=mirror.example/sidecar:v9",
        "--resync=5m",
    ]);
    assert_eq!(*arguments, expected);
}
