//! A pre-auth key of an instance.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::column::{self, Column};
use super::schema;

/// What the pre-auth key should be.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "headscale.infrado.cloud",
    version = "v1beta1",
    kind = "HeadscalePreAuthKey",
    plural = "headscalepreauthkeys",
    shortname = "hspak",
    shortname = "hspre",
    category = "headscale",
    namespaced,
    status = "HeadscalePreAuthKeyStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A key that nodes join a Headscale in the same namespace with, kept in a Secret.",
    crates(kube_core = "::kube_core")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[
    (
        "!(has(self.headscaleUserRef) && has(self.userId))",
        "headscaleUserRef and userId cannot both be given",
    ),
    (
        "has(self.headscaleUserRef) || has(self.userId) || \
         (has(self.tags) && size(self.tags) > 0)",
        "one of headscaleUserRef, userId or tags must be given",
    ),
])))]
pub struct HeadscalePreAuthKeySpec {
    /// The name of the Headscale in the same namespace.
    pub headscale_ref: String,

    /// The name of the HeadscaleUser in the same namespace whose nodes join with the key. A key
    /// names a user here or by `userId`, or has tags alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DNS_LABEL))]
    pub headscale_user_ref: Option<String>,

    /// The id in Headscale of the user whose nodes join with the key, for users that no
    /// HeadscaleUser stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub user_id: Option<i64>,

    /// How long the key is good for, in hours, minutes and seconds such as `1h30m`. It is `1h`
    /// where nothing is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION))]
    pub expiration: Option<String>,

    /// Whether more than one node may join with the key. One may unless this is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reusable: Option<bool>,

    /// Whether Headscale removes nodes that joined with the key when they are gone for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<bool>,

    /// Tags of nodes that join with the key, such as `tag:ci`. A node with tags belongs to them,
    /// not to a user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = schema::TAG)))]
    pub tags: Vec<String>,

    /// The Secret that the key is kept in, with the name of this object where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,

    /// Whether a new key takes the place of this one before it expires. It does not unless this is
    /// `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate: Option<bool>,
}

/// What `kubectl get` shows.
pub(super) fn columns() -> Vec<Column> {
    vec![
        column::text("Headscale", ".spec.headscaleRef", "The instance."),
        column::text(
            "HeadscaleUser",
            ".spec.headscaleUserRef",
            "The HeadscaleUser whose nodes join with the key.",
        ),
        column::integer(
            "UserID",
            ".spec.userId",
            "The id in Headscale of the user whose nodes join with the key.",
        ),
        column::text("Tags", ".spec.tags", "The tags of nodes that join with the key."),
        column::boolean(
            "Reusable",
            ".spec.reusable",
            "Whether more than one node may join with the key.",
        ),
        column::boolean(
            "Ephemeral",
            ".spec.ephemeral",
            "Whether nodes that join with the key are removed when they are gone.",
        ),
        column::ready("Whether the Secret has a key that works."),
        column::age(),
        column::text("KeyID", ".status.keyId", "The id of the key in Headscale.").wide(),
        column::text("Expires", ".status.expiration", "When the key expires.").wide(),
        column::boolean("Used", ".status.used", "Whether a node joined with the key.").wide(),
        column::reason("Why the key is ready or not."),
    ]
}

/// What the pre-auth key is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeadscalePreAuthKeyStatus {
    /// The id of the key in Headscale, in decimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,

    /// When the key expires, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,

    /// Whether a node joined with the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<bool>,

    /// What holds for the key: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The `metadata.generation` that the status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
