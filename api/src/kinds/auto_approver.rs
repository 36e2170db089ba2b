//! Routes that an instance approves by itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::column::{self, Column};
use super::schema;

/// An IPv4 or IPv6 prefix, roughly.
const PREFIX: &str = r"^(([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}|([0-9a-fA-F]{0,4}:){2,7}([0-9a-fA-F]{0,4})/[0-9]{1,3})$";

/// What is approved.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "headscale.infrado.cloud",
    version = "v1beta1",
    kind = "HeadscaleAutoApprover",
    plural = "headscaleautoapprovers",
    shortname = "hsaa",
    category = "headscale",
    namespaced,
    status = "HeadscaleAutoApproverStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "Routes and exit nodes that a Headscale in the same namespace approves by itself. All \
           approvers of an instance together are the `autoApprovers` of its policy.",
    crates(kube_core = "::kube_core")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
    "(has(self.routes) && size(self.routes) > 0) || \
     (has(self.exitNodeTags) && size(self.exitNodeTags) > 0)",
    "at least one of routes or exitNodeTags must be given",
)])))]
pub struct HeadscaleAutoApproverSpec {
    /// The name of the Headscale in the same namespace.
    #[schemars(regex(pattern = schema::DNS_LABEL))]
    pub headscale_ref: String,

    /// Routes that are approved for nodes with the given tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<ApprovedRoute>,

    /// Tags of nodes that are approved as exit nodes, such as `tag:exit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = schema::TAG)))]
    pub exit_node_tags: Vec<String>,
}

/// A route that is approved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovedRoute {
    /// The prefix that a node announces, such as `10.0.0.0/8`. Narrower ones within it are
    /// approved too.
    #[schemars(regex(pattern = PREFIX))]
    pub cidr: String,

    /// Tags of nodes that it is approved for, such as `tag:router`. The policy must say who owns
    /// them, as `acl_policy.tag_owners` of the instance does.
    #[schemars(length(min = 1), inner(regex(pattern = schema::TAG)))]
    pub tags: Vec<String>,
}

/// What `kubectl get` shows.
pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("Headscale", ".spec.headscaleRef", "The instance."),
        column::ready("Whether the policy that Headscale has holds the approvals."),
        column::age(),
        column::reason("Why the approvals are ready or not."),
    ]
}

/// What became of the approvals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadscaleAutoApproverStatus {
    /// What holds for the approvals: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The `metadata.generation` that the status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
