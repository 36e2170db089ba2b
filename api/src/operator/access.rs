//! Who the operator is and what it may do, and what users may do with the kinds.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::rights::{LEASE_RIGHTS, RIGHTS, Right};
use super::{NAME, Options, manifest_of};
use crate::kinds::{GROUP, crds};

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
/// The Role for the Lease, and that the operator has it.
const LEADER_ELECTION: &str = "headscale-operator-leader-election";

/// The account, with a ClusterRole, or a Role in each namespace that is looked after; and the Role for
/// the Lease.
pub(super) fn objects(options: &Options) -> Vec<Value> {
    let mut objects = vec![manifest_of(&ServiceAccount {
        metadata: options.metadata(NAME),
        ..ServiceAccount::default()
    })];
    if options.watch_namespaces.is_empty() {
        objects.push(manifest_of(&ClusterRole {
            metadata: options.cluster_metadata(NAME),
            rules: Some(rules(RIGHTS)),
            ..ClusterRole::default()
        }));
        objects.push(manifest_of(&ClusterRoleBinding {
            metadata: options.cluster_metadata(NAME),
            role_ref: role_ref("ClusterRole", NAME),
            subjects: Some(vec![subject(options)]),
        }));
    }
    for namespace in &options.watch_namespaces {
        let metadata =
            ObjectMeta { namespace: Some(namespace.clone()), ..options.cluster_metadata(NAME) };
        objects.extend(role(options, &metadata, RIGHTS));
    }
    objects.extend(role(options, &options.metadata(LEADER_ELECTION), LEASE_RIGHTS));
    objects
}

/// A Role, and that the operator has it.
fn role(options: &Options, metadata: &ObjectMeta, rights: &[Right]) -> [Value; 2] {
    let name = metadata.name.clone().unwrap_or_default();
    let role = Role { metadata: metadata.clone(), rules: Some(rules(rights)) };
    let binding = RoleBinding {
        metadata: metadata.clone(),
        role_ref: role_ref("Role", &name),
        subjects: Some(vec![subject(options)]),
    };
    [manifest_of(&role), manifest_of(&binding)]
}

fn rules(rights: &[Right]) -> Vec<PolicyRule> {
    rights.iter().map(Right::rule).collect()
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: RBAC_GROUP.to_owned(), kind: kind.to_owned(), name: name.to_owned() }
}

fn subject(options: &Options) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: NAME.to_owned(),
        namespace: Some(options.namespace.clone()),
        ..Subject::default()
    }
}

/// What the ClusterRoles `view`, `edit` and `admin` of Kubernetes get, so that whoever has one of them
/// in a namespace has it for our kinds too. As with any workload, a secret that stands inline in a
/// spec is seen by whoever may view it.
pub(super) fn user_roles(options: &Options) -> Vec<Value> {
    let read = ["get", "list", "watch"];
    let write = ["create", "delete", "deletecollection", "patch", "update"];
    let plurals: Vec<String> = crds().into_iter().map(|crd| crd.spec.names.plural).collect();
    let statuses = plurals.iter().map(|plural| format!("{plural}/status")).collect();
    let rule = |resources: &Vec<String>, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![GROUP.to_owned()]),
        resources: Some(resources.clone()),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    };
    let viewing = vec![rule(&plurals, &read), rule(&statuses, &["get"])];
    let editing = vec![rule(&plurals, &[&read[..], &write].concat()), rule(&statuses, &["get"])];
    // Finalizers are for who clears away behind an operator that is gone.
    let finalizers = plurals.iter().map(|plural| format!("{plural}/finalizers")).collect();
    let administering = [editing.clone(), vec![rule(&finalizers, &["update"])]].concat();
    [("view", "viewer", viewing), ("edit", "editor", editing), ("admin", "admin", administering)]
        .into_iter()
        .map(|(whole, suffix, rules)| {
            let mut metadata = options.cluster_metadata(&format!("headscale-{suffix}"));
            let label = format!("{RBAC_GROUP}/aggregate-to-{whole}");
            metadata.labels.get_or_insert_default().insert(label, "true".to_owned());
            manifest_of(&ClusterRole { metadata, rules: Some(rules), ..ClusterRole::default() })
        })
        .collect()
}
