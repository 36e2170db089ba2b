//! The rights.

use std::collections::BTreeSet;

use headscale_api::desired::{Inputs, Object, desired_state};
use headscale_api::kinds::{Headscale, crds};
use headscale_api::operator::{LEASE_RIGHTS, Options, RIGHTS, Right, rbac_yaml};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

use crate::only;

/// Whether one of the rights covers a verb on a resource of a group, whatever the object is called.
fn has(group: &str, resource: &str, verb: &str) -> bool {
    RIGHTS.iter().any(|right| {
        right.group == group
            && right.names.is_empty()
            && right.resources.contains(&resource)
            && right.verbs.contains(&verb)
    })
}

/// Kubernetes lets nobody give a right away that they do not have.
#[test]
fn the_operator_has_all_that_it_gives_to_sidecars() {
    let config = json!({ "server_url": "https://vpn.example.com" });
    let spec = json!({ "version": "0.29.2", "replicas": 1, "config": config });
    let object = json!({ "apiVersion": "headscale.infrado.cloud/v1beta1", "kind": "Headscale",
        "metadata": { "name": "vpn", "namespace": "vpn" }, "spec": spec });
    let headscale: Headscale = serde_json::from_value(object).expect("an instance");
    let objects = desired_state(&headscale, &Inputs::default());
    let role = objects.into_iter().find_map(|object| match object {
        Object::Role(role) => Some(role),
        _ => None,
    });
    let rules: Vec<PolicyRule> = role.expect("a sidecar").rules.expect("rules");
    assert!(!rules.is_empty());
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    assert!(has(group, resource, verb), "{verb} {resource} of {group:?}");
                }
            }
        }
    }
}

#[test]
fn every_kind_is_watched_and_has_its_status_written() {
    let group = "headscale.infrado.cloud";
    for crd in crds() {
        let plural = crd.spec.names.plural;
        for verb in ["get", "list", "watch", "patch"] {
            assert!(has(group, &plural, verb), "{verb} {plural}");
        }
        assert!(has(group, &format!("{plural}/status"), "patch"), "{plural}");
        assert!(!has(group, &plural, "delete"), "what is declared is the user's");
    }
}

#[test]
fn no_right_is_for_everything_and_each_says_why() {
    let mut seen = BTreeSet::new();
    for Right { group, resources, names, verbs, why } in RIGHTS.iter().chain(LEASE_RIGHTS) {
        assert!(!group.contains('*') && !resources.contains(&"*") && !verbs.contains(&"*"));
        assert!(verbs.is_sorted(), "{verbs:?}");
        assert!(!why.is_empty() && why.iter().all(|line| line.len() < 90), "{why:?}");
        for resource in *resources {
            assert!(seen.insert((*group, *resource, *names)), "{resource} stands twice");
        }
    }
    for (group, resource) in [("", "nodes"), ("", "namespaces"), ("", "pods/exec")] {
        assert!(!has(group, resource, "get"), "{resource}");
    }
}

#[test]
fn the_manifest_with_reasons_has_the_same_rules() {
    let text = rbac_yaml();
    let rules = |name: &str| -> Value {
        let documents = text.split("---\n").filter(|it| it.contains("\nkind: Role\n"));
        let mut documents = documents
            .map(|document| serde_saphyr::from_str::<Value>(document).expect("a manifest"));
        let role = documents.find(|role| role["metadata"]["name"] == name);
        role.expect("the role")["rules"].clone()
    };
    let options = Options::default();
    assert_eq!(rules("headscale-operator"), only_rules(&options, "ClusterRole"));
    let lease = rules("headscale-operator-leader-election");
    assert_eq!(lease, only(&options, "Role")["rules"]);
}

/// The rules of the operator's own role of a kind.
fn only_rules(options: &Options, kind: &str) -> Value {
    let options = Options { with_user_roles: false, ..options.clone() };
    only(&options, kind)["rules"].clone()
}
