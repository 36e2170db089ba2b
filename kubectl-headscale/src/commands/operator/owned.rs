//! The objects that an operator is made of, as the cluster has them.

use headscale_api::operator::{NAME, selector};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, Subject};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::{Reference, Survey};
use crate::error::CommandError;
use crate::kubernetes::{Cluster, FIELD_MANAGER};

const RBAC: &str = "rbac.authorization.k8s.io/v1";
/// Kinds of the operator's namespace, in the order in which they are deleted: what works goes before
/// its rights.
const IN_NAMESPACE: [(&str, &str); 3] =
    [("apps/v1", "Deployment"), ("policy/v1", "PodDisruptionBudget"), ("v1", "Service")];

/// The objects of the operator of the namespace of `survey` that this program made, in the order in
/// which they can be deleted. What other operators of the cluster need too is not among them.
///
/// # Errors
///
/// What the server says.
pub(crate) async fn owned(
    cluster: &Cluster,
    survey: &Survey,
) -> Result<Vec<Reference>, CommandError> {
    let namespace = survey.namespace.as_str();
    let mut labels: Vec<String> =
        selector().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    // That of `render operator` is the same; Helm's is another.
    labels.push(format!("app.kubernetes.io/managed-by={FIELD_MANAGER}"));
    let params = ListParams::default().labels(&labels.join(","));
    let names = async |api_version: &str, kind: &str, namespace: Option<&str>| {
        let any = Reference::new(api_version, kind, namespace, "");
        let listed = any.api(cluster).list_metadata(&params).await;
        let listed = listed.map_err(|error| cluster.error(error))?;
        let found =
            listed.items.into_iter().map(|it| Reference { name: it.name_any(), ..any.clone() });
        Ok::<Vec<Reference>, CommandError>(found.collect())
    };
    let mut found = Vec::new();
    for (api_version, kind) in IN_NAMESPACE {
        found.extend(names(api_version, kind, Some(namespace)).await?);
    }
    let api: Api<RoleBinding> = Api::all(cluster.client.clone());
    let bindings = api.list(&params).await.map_err(|error| cluster.error(error))?;
    for binding in bindings.items {
        if !is_for(binding.subjects.as_deref(), namespace) {
            continue;
        }
        let place = binding.namespace();
        for kind in ["RoleBinding", "Role"] {
            found.push(Reference::new(RBAC, kind, place.as_deref(), binding.name_any()));
        }
    }
    let api: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
    let bindings = api.list(&params).await.map_err(|error| cluster.error(error))?;
    let is_ours = |binding: &ClusterRoleBinding| is_for(binding.subjects.as_deref(), namespace);
    let has_others = bindings.items.iter().any(|binding| !is_ours(binding));
    let ours = bindings.items.iter().filter(|binding| is_ours(binding));
    found.extend(ours.map(|it| Reference::new(RBAC, "ClusterRoleBinding", None, it.name_any())));
    for role in names(RBAC, "ClusterRole", None).await? {
        let is_shared = if role.name == NAME { has_others } else { survey.is_shared() };
        if !is_shared {
            found.push(role);
        }
    }
    found.extend(names("v1", "ServiceAccount", Some(namespace)).await?);
    Ok(found)
}

/// Whether rights are given to the operator of a namespace.
fn is_for(subjects: Option<&[Subject]>, namespace: &str) -> bool {
    let mut subjects = subjects.unwrap_or_default().iter();
    subjects.any(|it| it.name == NAME && it.namespace.as_deref() == Some(namespace))
}
