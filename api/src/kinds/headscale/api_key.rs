//! The API key of an instance, in both of its spellings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// How the API key of an instance is looked after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
    "!has(self.rotation_buffer) || duration(self.rotation_buffer) < \
     duration(has(self.expiration) ? self.expiration : '2160h')",
    "api_key.rotation_buffer must be less than api_key.expiration, which is 2160h unless given",
)])))]
pub struct ApiKeySpec {
    /// Whether an API key is made and replaced before it expires. It is unless this is `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_manage: Option<bool>,

    /// The Secret that the API key is kept in, `NAME-api-key` of the instance where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DNS_LABEL))]
    pub secret_name: Option<String>,

    /// How long an API key is good for, in hours, minutes and seconds: `2160h`, 90 days, where
    /// nothing is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION))]
    pub expiration: Option<String>,

    /// How long before its end an API key is replaced, in hours, minutes and seconds. It must be
    /// less than `expiration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION))]
    pub rotation_buffer: Option<String>,

    /// The image of the container that looks after the API key, that of this release where none is
    /// given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager_image: Option<String>,
}

/// The same with the names that an earlier documentation had. It is read and never written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::rules(&[(
    "!has(self.rotationBuffer) || duration(self.rotationBuffer) < \
     duration(has(self.expiration) ? self.expiration : '2160h')",
    "apiKey.rotationBuffer must be less than apiKey.expiration, which is 2160h unless given",
)])))]
pub struct CamelApiKeySpec {
    /// Deprecated, use `api_key.auto_manage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_manage: Option<bool>,

    /// Deprecated, use `api_key.secret_name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DNS_LABEL))]
    pub secret_name: Option<String>,

    /// Deprecated, use `api_key.expiration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION))]
    pub expiration: Option<String>,

    /// Deprecated, use `api_key.rotation_buffer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::DURATION))]
    pub rotation_buffer: Option<String>,

    /// Deprecated, use `api_key.manager_image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager_image: Option<String>,
}

impl From<CamelApiKeySpec> for ApiKeySpec {
    fn from(camel: CamelApiKeySpec) -> Self {
        Self {
            auto_manage: camel.auto_manage,
            secret_name: camel.secret_name,
            expiration: camel.expiration,
            rotation_buffer: camel.rotation_buffer,
            manager_image: camel.manager_image,
        }
    }
}
