//! A user of an instance.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::column::{self, Column};
use super::schema;

/// What the user should be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "headscale.infrado.cloud",
    version = "v1beta1",
    kind = "HeadscaleUser",
    plural = "headscaleusers",
    shortname = "hsuser",
    category = "headscale",
    namespaced,
    status = "HeadscaleUserStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A user of a Headscale in the same namespace.",
    crates(kube_core = "::kube_core")
)]
#[serde(rename_all = "camelCase")]
pub struct HeadscaleUserSpec {
    /// The name of the Headscale in the same namespace.
    pub headscale_ref: String,

    /// The name of the user in Headscale: lower-case letters, digits and hyphens. It never changes.
    #[schemars(
        length(max = 63),
        regex(pattern = schema::DNS_LABEL),
        extend("x-kubernetes-validations" = immutable("username"))
    )]
    pub username: String,

    /// The name that people see. It never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 255),
        extend("x-kubernetes-validations" = immutable("displayName"))
    )]
    pub display_name: Option<String>,

    /// The email address. It never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 320),
        regex(pattern = r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$"),
        extend("x-kubernetes-validations" = immutable("email"))
    )]
    pub email: Option<String>,

    /// The URL of a picture, `http` or `https`. It never changes.
    #[serde(rename = "pictureURL", skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 2048),
        regex(pattern = "^https?://.*$"),
        extend("x-kubernetes-validations" = immutable("pictureURL"))
    )]
    pub picture_url: Option<String>,
}

/// The rule that a field, once given, keeps its value. As in the Go operator it can be given and
/// taken away later: refusing that would refuse updates of stored objects.
fn immutable(field: &str) -> serde_json::Value {
    schema::rules(&[("self == oldSelf", &format!("{field} is immutable"))])
}

/// What `kubectl get` shows.
pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("Headscale", ".spec.headscaleRef", "The instance."),
        column::text("Username", ".spec.username", "The name in Headscale."),
        column::ready("Whether the user is there."),
        column::age(),
        column::text("UserID", ".status.userId", "The id in Headscale.").wide(),
        column::text("Email", ".spec.email", "The email address.").wide(),
        column::reason("Why the user is ready or not."),
    ]
}

/// What the user is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadscaleUserStatus {
    /// The id in Headscale, in decimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,

    /// When Headscale made the user, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,

    /// What holds for the user: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The `metadata.generation` that the status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
