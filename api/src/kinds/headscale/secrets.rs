//! Secrets that an instance uses, by reference.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Secrets in the namespace of an instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretsSpec {
    /// The password of the PostgreSQL database, instead of `config.database.postgres.pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_password: Option<SecretKeyRef>,

    /// The secret of the OIDC client, instead of `config.oidc.client_secret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_client_secret: Option<SecretKeyRef>,

    /// The certificate and key that Headscale serves TLS with itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSecretRef>,

    /// Certificates in PEM that clients in the cluster, such as the operator, check the server's
    /// by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKeyRef>,
}

/// One key of a Secret in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(length(max = 253), regex(pattern = schema::DNS_NAME))]
    pub name: String,

    /// The key of its `data`.
    #[schemars(length(max = 253), regex(pattern = schema::DATA_KEY))]
    pub key: String,
}

/// A Secret of the type `kubernetes.io/tls` in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsSecretRef {
    /// The name of the Secret, whose keys are `tls.crt` and `tls.key`.
    #[schemars(length(max = 253), regex(pattern = schema::DNS_NAME))]
    pub name: String,
}
