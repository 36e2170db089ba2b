//! `operator/manifests/rbac.yaml`, which tests run the operator under.

use std::fmt::Write as _;

use super::NAME;
use super::rights::{LEASE_RIGHTS, RIGHTS, Right};

const HEADER: &str = "\
# Made by `cargo xtask generate` from api/src/operator; do not edit.
#
# What `headscale-operator --namespace=NAME --leader-elect` needs in the namespace NAME where it runs
# itself, and no more. `kubectl headscale render operator` has the same for whole clusters.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: headscale-operator
";

/// The account of an operator that looks after its own namespace, with its Roles and their bindings,
/// as YAML: with the reason of each right, and without a namespace.
#[must_use]
pub fn rbac_yaml() -> String {
    let mut text = HEADER.to_owned();
    let roles = [(NAME.to_owned(), RIGHTS), (format!("{NAME}-leader-election"), LEASE_RIGHTS)];
    for (name, rights) in roles {
        let rules: String = rights.iter().map(|right: &Right| right.yaml(2)).collect();
        // Writing to a text does not fail.
        write!(
            text,
            "---\n\
             apiVersion: rbac.authorization.k8s.io/v1\n\
             kind: Role\n\
             metadata:\n  name: {name}\n\
             rules:\n{rules}\
             ---\n\
             apiVersion: rbac.authorization.k8s.io/v1\n\
             kind: RoleBinding\n\
             metadata:\n  name: {name}\n\
             roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: Role\n  name: {name}\n\
             subjects:\n  - kind: ServiceAccount\n    name: {NAME}\n"
        )
        .ok();
    }
    text
}
