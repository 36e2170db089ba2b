//! The policy of an instance.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::column::{self, Column};
use super::{OpenObject, schema};

/// What the policy should be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "headscale.infrado.cloud",
    version = "v1beta1",
    kind = "HeadscalePolicy",
    plural = "headscalepolicies",
    shortname = "hspolicy",
    category = "headscale",
    namespaced,
    status = "HeadscalePolicyStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "The policy of a Headscale in the same namespace, which has at most one.",
    crates(kube_core = "::kube_core")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
    "(has(self.inline) ? 1 : 0) + (has(self.configMapRef) ? 1 : 0) + \
     (has(self.render) ? 1 : 0) == 1",
    "exactly one of inline, configMapRef or render must be given",
)])))]
pub struct HeadscalePolicySpec {
    /// The name of the Headscale in the same namespace.
    #[schemars(length(max = 253), regex(pattern = schema::DNS_NAME))]
    pub headscale_ref: String,

    /// The policy as HuJSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub inline: Option<String>,

    /// The key of a ConfigMap that has the policy as HuJSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKeyRef>,

    /// A plugin that makes the policy out of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub render: Option<RenderSpec>,

    /// Plugins that the policy is checked by before Headscale gets it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PluginRef>,
}

/// One key of a ConfigMap in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapKeyRef {
    /// The name of the ConfigMap.
    #[schemars(length(max = 253), regex(pattern = schema::DNS_NAME))]
    pub name: String,

    /// The key of its `data`.
    #[schemars(length(max = 253), regex(pattern = schema::DATA_KEY))]
    pub key: String,
}

/// A policy that a plugin makes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RenderSpec {
    /// The plugin: the name of a built-in one, or where it is in a registry.
    #[schemars(length(min = 1))]
    pub plugin: String,

    /// What the plugin makes the policy out of. The plugin says which values it knows.
    #[serde(default, skip_serializing_if = "OpenObject::is_empty")]
    #[schemars(schema_with = "schema::open_object")]
    pub values: OpenObject,
}

/// A plugin that checks a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginRef {
    /// The plugin: the name of a built-in one, or where it is in a registry.
    #[serde(rename = "ref")]
    #[schemars(length(min = 1))]
    pub reference: String,

    /// Parameters of the plugin. The plugin says which it knows.
    #[serde(default, skip_serializing_if = "OpenObject::is_empty")]
    #[schemars(schema_with = "schema::open_object")]
    pub params: OpenObject,
}

/// What `kubectl get` shows.
pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("Headscale", ".spec.headscaleRef", "The instance."),
        column::ready("Whether Headscale has the policy."),
        column::age(),
        column::text(
            "Reachability",
            ".status.reachability.verdict",
            "What the last change of the policy made of who reaches what.",
        )
        .wide(),
        column::text("Hash", ".status.hash", "The hash of the policy that Headscale has.").wide(),
        column::reason("Why the policy is ready or not."),
    ]
}

/// What became of the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadscalePolicyStatus {
    /// What holds for the policy: `Ready`, `PolicyValid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The `metadata.generation` that the status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// What is wrong or doubtful in the policy: the first 20 findings, errors first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub findings: Vec<PolicyFinding>,

    /// What the last change of the policy made of who reaches what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachability: Option<ReachabilityDiff>,

    /// The hash of the policy that Headscale has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// One thing that is wrong or doubtful in a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyFinding {
    /// The id of the rule that is broken, such as `host-undefined`.
    pub rule: String,

    /// How bad it is: `error` for what Headscale refuses, `warning` or `info`.
    #[schemars(extend("enum" = ["error", "warning", "info"]))]
    pub severity: String,

    /// What is wrong.
    pub message: String,

    /// The line in the policy, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub line: Option<i32>,

    /// The column in the line, in characters from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub column: Option<i32>,
}

/// What a change of the policy makes of who reaches what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReachabilityDiff {
    /// What the change comes to: `same`, `grows`, `shrinks` or `changes`.
    #[schemars(extend("enum" = ["same", "grows", "shrinks", "changes"]))]
    pub verdict: String,

    /// The first 20 things that become possible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub added: Vec<ReachabilityRow>,

    /// The first 20 things that end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub removed: Vec<ReachabilityRow>,
}

/// One thing that becomes possible or ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReachabilityRow {
    /// What the row is about: `net` for connections, `app`, `ssh`, `route` or `approval`.
    pub kind: String,

    /// Who, as names with commas between.
    pub src: String,

    /// Whom or what, as names with commas between.
    pub dst: String,

    /// The protocols with commas between. None stand for what clients take by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<String>,

    /// The ports with commas between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,

    /// Login users of SSH with commas between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<String>,
}
