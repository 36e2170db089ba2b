//! The objects that the operator itself is made of, and what it may do.
//!
//! [`desired`] is pure: `render operator` prints what it gives and `install operator` applies it. The
//! Helm chart has the same rights, made from [`RIGHTS`] and [`LEASE_RIGHTS`].

mod access;
mod deployment;
mod manifest;
mod rights;

pub use manifest::rbac_yaml;
pub use rights::{LEASE_RIGHTS, RIGHTS, Right};

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::kinds::names::{PART_OF, PART_OF_LABEL};

/// The image of the operator of this release.
pub const DEFAULT_OPERATOR_IMAGE: &str =
    concat!("ghcr.io/infradohq/kubectl-headscale/operator:v", env!("CARGO_PKG_VERSION"));

/// Where the operator is installed unless told otherwise: where the Go operator's manifests install
/// theirs, so that both find the same Lease.
pub const DEFAULT_NAMESPACE: &str = "headscale-operator-system";

/// What its objects are called, or begin with.
pub const NAME: &str = "headscale-operator";

/// The Lease of the operator that is at work, which the Go operator has too: only one of all
/// operators of a namespace works.
pub const LEASE: &str = "a4b8d1f0.infrado.cloud";

/// The port of `/healthz` and `/readyz`.
pub const HEALTH_PORT: u16 = 8081;

/// The port of `/metrics`, which is served without TLS.
pub const METRICS_PORT: u16 = 8080;

/// The version of the operator of this release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is up to whoever installs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it runs.
    pub namespace: String,
    /// Whether that namespace is among the objects.
    pub with_namespace: bool,
    /// Its image.
    pub image: String,
    /// How many wait for their turn or work. From two on a budget keeps one of them up.
    pub replicas: u16,
    /// The namespaces that it looks after: all where there are none here.
    pub watch_namespaces: Vec<String>,
    /// The least that it logs, where not its default.
    pub log_level: Option<String>,
    /// The image of the sidecars, where not its default.
    pub sidecar_image: Option<String>,
    /// More arguments, after all others.
    pub extra_args: Vec<String>,
    /// Whether `view`, `edit` and `admin` of the cluster learn of the kinds.
    pub with_user_roles: bool,
    /// What manages the objects, as their label says.
    pub managed_by: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            with_namespace: true,
            image: DEFAULT_OPERATOR_IMAGE.to_owned(),
            replicas: 1,
            watch_namespaces: Vec::new(),
            log_level: None,
            sidecar_image: None,
            extra_args: Vec::new(),
            with_user_roles: true,
            managed_by: "kubectl-headscale".to_owned(),
        }
    }
}

impl Options {
    /// The labels of all objects: those that Helm recommends.
    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = selector();
        labels.extend(
            [
                ("app.kubernetes.io/version", VERSION),
                ("app.kubernetes.io/managed-by", &self.managed_by),
                (PART_OF_LABEL, PART_OF),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        labels
    }

    /// Metadata of an object of the operator's namespace.
    fn metadata(&self, name: &str) -> ObjectMeta {
        ObjectMeta { namespace: Some(self.namespace.clone()), ..self.cluster_metadata(name) }
    }

    /// Metadata of an object of no namespace.
    fn cluster_metadata(&self, name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(self.labels()),
            ..ObjectMeta::default()
        }
    }
}

/// The labels that its pods are found by, which never change.
#[must_use]
pub fn selector() -> BTreeMap<String, String> {
    [("app.kubernetes.io/name", NAME), ("app.kubernetes.io/instance", NAME)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The objects that the operator is made of, as manifests, in an order in which they can be applied;
/// without the definitions of the kinds, which [`crds`](crate::kinds::crds()) has.
///
/// Total and deterministic: the same options give the same objects. What is wrong in them is for the
/// API server to say.
#[must_use]
pub fn desired(options: &Options) -> Vec<Value> {
    let mut objects = Vec::new();
    if options.with_namespace {
        objects.push(manifest_of(&Namespace {
            metadata: options.cluster_metadata(&options.namespace),
            ..Namespace::default()
        }));
    }
    objects.extend(access::objects(options));
    if options.with_user_roles {
        objects.extend(access::user_roles(options));
    }
    objects.push(manifest_of(&deployment::metrics_service(options)));
    objects.push(manifest_of(&deployment::deployment(options)));
    objects.extend(deployment::budget(options).as_ref().map(manifest_of));
    objects
}

/// The object as a manifest: `apiVersion`, `kind` and `metadata` come first.
fn manifest_of<T: Serialize>(object: &T) -> Value {
    // Kubernetes' types are text, numbers, lists and maps with text for keys, so they can always be
    // written.
    let value = serde_json::to_value(object).unwrap_or_default();
    let Value::Object(mut members) = value else { return value };
    let mut ordered = Map::new();
    for name in ["apiVersion", "kind", "metadata"] {
        ordered.extend(members.remove(name).map(|member| (name.to_owned(), member)));
    }
    ordered.extend(members);
    Value::Object(ordered)
}
