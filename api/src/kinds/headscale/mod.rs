//! An instance of Headscale.

mod api_key;
mod exposure;
mod secrets;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, ResourceRequirements, Toleration, TopologySpreadConstraint, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use api_key::{ApiKeySpec, CamelApiKeySpec};
pub use exposure::{IngressSpec, ServiceSpec, ServiceType};
pub use secrets::{SecretKeyRef, SecretsSpec, TlsSecretRef};

use super::column::{self, Column};
use super::{OpenObject, Quantity, schema, tolerant};

/// What the instance should be.
#[derive(CustomResource, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "headscale.infrado.cloud",
    version = "v1beta1",
    kind = "Headscale",
    plural = "headscales",
    shortname = "hs",
    category = "headscale",
    namespaced,
    status = "HeadscaleStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "An instance of Headscale: a server in a StatefulSet, with its configuration, services, \
           volume and API key.",
    crates(kube_core = "::kube_core")
)]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    (
        "!(has(self.api_key) && has(self.apiKey))",
        "api_key and apiKey, its older spelling, cannot both be given: keep api_key",
    ),
])))]
pub struct HeadscaleSpec {
    /// The version of Headscale to run, such as `0.29.2`. It is also the tag of the image.
    #[schemars(regex(pattern = r"^v?(\d+\.)?(\d+\.)?(\*|\d+)(-.+)?$"))]
    pub version: String,

    /// The image without its tag, `headscale/headscale` where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub image: Option<String>,

    /// How many servers to run: 0 or 1. Headscale keeps its state in memory, so more than one is
    /// accepted but one runs, which the condition `SingleActive` says.
    #[schemars(range(min = 0))]
    pub replicas: i32,

    /// Headscale's own configuration, with the keys of its `config.yaml`. Unknown and removed keys
    /// are findings in the status and of `kubectl headscale config check`, never refused here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::open_object")]
    pub config: Option<OpenObject>,

    /// The volume that the database and the keys are on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<PersistentVolumeClaimSpec>,

    /// The API key that is made, kept in a Secret and replaced before it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKeySpec>,

    /// Deprecated, use `api_key`. The same under the names that an earlier documentation had.
    #[serde(rename = "apiKey", skip_serializing_if = "Option::is_none")]
    pub deprecated_api_key: Option<CamelApiKeySpec>,

    /// Names of Secrets in the namespace that images are pulled with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<String>,

    /// Environment variables to add to Headscale's container, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "tolerant::list")]
    #[schemars(schema_with = "schema::variables")]
    pub extra_env: Vec<EnvVar>,

    /// Volumes to add to the pod, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "tolerant::list")]
    #[schemars(schema_with = "schema::volumes")]
    pub extra_volumes: Vec<Volume>,

    /// Volumes to mount in Headscale's container, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "tolerant::list")]
    #[schemars(schema_with = "schema::mounts")]
    pub extra_volume_mounts: Vec<VolumeMount>,

    /// The policy, or a part of it, in this object. A HeadscalePolicy of the instance is the other
    /// place for one, and `inline` here together with it is a conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl_policy: Option<AclPolicySpec>,

    /// Secrets in the namespace that hold what must not stand in `config`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretsSpec>,

    /// The Service that clients and the Ingress reach Headscale by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,

    /// An Ingress to the Service. There is none unless this is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressSpec>,

    /// What Headscale's container may use and is sure to get.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "tolerant::optional"
    )]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,

    /// Labels that a node must have to run the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that the pod tolerates, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "tolerant::list")]
    #[schemars(schema_with = "schema::open_objects")]
    pub tolerations: Vec<Toleration>,

    /// Which nodes the pod prefers or must have, as in a Pod.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "tolerant::optional"
    )]
    #[schemars(schema_with = "schema::open_object")]
    pub affinity: Option<Affinity>,

    /// How pods are spread over zones and nodes, as in a Pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "tolerant::list")]
    #[schemars(schema_with = "schema::open_objects")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,

    /// The name of the PriorityClass of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = schema::DNS_NAME))]
    pub priority_class_name: Option<String>,

    /// Annotations to add to the pod. A change replaces the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,

    /// Labels to add to the pod. A change replaces the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,

    /// Consent to steps that cannot be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeSpec>,
}

// Many have secrets in their configuration and variables.
impl fmt::Debug for HeadscaleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadscaleSpec").field("version", &self.version).finish_non_exhaustive()
    }
}

impl HeadscaleSpec {
    /// What is said about the API key, in whichever of the two spellings; the default where nothing
    /// is said. The API server refuses both at once, so `api_key` wins only in files.
    #[must_use]
    pub fn api_key(&self) -> ApiKeySpec {
        self.api_key
            .clone()
            .or_else(|| self.deprecated_api_key.clone().map(ApiKeySpec::from))
            .unwrap_or_default()
    }
}

/// The volume of an instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PersistentVolumeClaimSpec {
    /// How large the volume is, `128Mi` where nothing is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,

    /// The StorageClass of the volume, the cluster's default where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

/// A policy that stands in the instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AclPolicySpec {
    /// Who may give a tag to a node, by tag: users and groups. They replace the policy's own
    /// `tagOwners`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tag_owners: BTreeMap<String, Vec<String>>,

    /// The policy as HuJSON text, without `tagOwners` and `autoApprovers` where those come from
    /// elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
}

/// Consent to steps that cannot be taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpgradeSpec {
    /// The minor version, such as `0.30`, that an instance on PostgreSQL may step to because its
    /// database has a backup. One on SQLite is copied before each step and needs no consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^v?[0-9]+\.[0-9]+$"))]
    pub backup_confirmed: Option<String>,
}

/// What `kubectl get` shows.
pub(in crate::kinds) fn columns() -> Vec<Column> {
    vec![
        column::text("Version", ".spec.version", "The version that was asked for."),
        column::ready("Whether the instance works."),
        column::text("URL", ".status.url", "Where clients connect to."),
        column::age(),
        column::text("Running", ".status.version", "The version that runs.").wide(),
        column::reason("Why the instance is ready or not."),
    ]
}

/// What the instance is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadscaleStatus {
    /// What holds for the instance: `Ready`, `Progressing`, `Degraded`, `ConfigValid`,
    /// `PolicyValid`, `APIKeyReady`, `SingleActive`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The `metadata.generation` that the status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The version that runs, which trails the spec's while the instance steps through versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// Where clients connect to, from `config.server_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// How many pods there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// How many pods are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
}
