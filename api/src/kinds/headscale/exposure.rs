//! How an instance is reached.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// How a Service is reached from outside the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceType {
    /// Not at all.
    #[default]
    ClusterIP,
    /// By a port of every node.
    NodePort,
    /// By an address of the cluster's load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// The word that Kubernetes has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

impl fmt::Display for ServiceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The Service of an instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSpec {
    /// How the Service is reached from outside the cluster, `ClusterIP` for not at all, which it is
    /// unless given.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "Option<String>",
        extend("enum" = ["ClusterIP", "NodePort", "LoadBalancer"])
    )]
    pub type_: Option<ServiceType>,

    /// Annotations to add to the Service, such as those of a cloud's load balancer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// The class of the load balancer, where `type` is `LoadBalancer`. Kubernetes never lets it
    /// change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub load_balancer_class: Option<String>,
}

/// The Ingress of an instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IngressSpec {
    /// The IngressClass, the cluster's default where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = schema::DNS_NAME))]
    pub class_name: Option<String>,

    /// The host that is asked for, that of `config.server_url` where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = schema::DNS_NAME))]
    pub host: Option<String>,

    /// Annotations to add to the Ingress, such as those of its controller.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// The Secret with the certificate that the Ingress shows. It shows none of its own unless
    /// this is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = schema::DNS_NAME))]
    pub tls_secret_name: Option<String>,
}
