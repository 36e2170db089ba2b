//! Who the sidecar is, and what it may do.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::plan::Plan;

const GROUP: &str = "rbac.authorization.k8s.io";

/// The account of the pod, whose token only the sidecar gets.
pub(super) fn service_account(plan: &Plan<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: plan.metadata(&plan.names.main),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// What the sidecar may do: the same as `sidecar/manifests/rbac.yaml` gives it.
pub(super) fn role(plan: &Plan<'_>) -> Role {
    let rules = vec![
        rule("secrets", Some(plan.api_key_secret()), &["get", "update"]),
        // Kubernetes cannot restrict this by name.
        rule("secrets", None, &["create"]),
        rule("events", None, &["create"]),
    ];
    Role { metadata: plan.metadata(&plan.names.main), rules: Some(rules) }
}

fn rule(resource: &str, name: Option<&str>, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: name.map(|name| vec![name.to_owned()]),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    }
}

/// That the sidecar may do it.
pub(super) fn role_binding(plan: &Plan<'_>) -> RoleBinding {
    let name = &plan.names.main;
    let subject = Subject {
        kind: "ServiceAccount".to_owned(),
        name: name.clone(),
        namespace: plan.headscale.metadata.namespace.clone(),
        ..Subject::default()
    };
    RoleBinding {
        metadata: plan.metadata(name),
        role_ref: RoleRef {
            api_group: GROUP.to_owned(),
            kind: "Role".to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![subject]),
    }
}
