//! One object of an instance.

use std::fmt;

use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

use super::hash;

/// An object that an instance is made of.
///
/// Its `Debug` is its kind and name alone, because a Secret must not be shown.
#[derive(Clone, PartialEq)]
pub enum Object {
    /// Who the pod is.
    ServiceAccount(Box<ServiceAccount>),
    /// What the sidecar may do.
    Role(Box<Role>),
    /// That the sidecar may do it.
    RoleBinding(Box<RoleBinding>),
    /// Secrets that stand in the spec, where nobody should write them.
    Secret(Box<Secret>),
    /// The configuration, and the policy where it is a file.
    ConfigMap(Box<ConfigMap>),
    /// How Headscale, or its metrics, are reached.
    Service(Box<Service>),
    /// The server.
    StatefulSet(Box<StatefulSet>),
    /// How clients outside of the cluster reach Headscale.
    Ingress(Box<Ingress>),
}

/// Does the same with the object, of whatever kind it is.
macro_rules! each {
    ($object:expr, $inner:ident => $body:expr) => {
        match $object {
            Object::ServiceAccount($inner) => $body,
            Object::Role($inner) => $body,
            Object::RoleBinding($inner) => $body,
            Object::Secret($inner) => $body,
            Object::ConfigMap($inner) => $body,
            Object::Service($inner) => $body,
            Object::StatefulSet($inner) => $body,
            Object::Ingress($inner) => $body,
        }
    };
}

const fn kind_of<R: Resource>(_: &R) -> &'static str {
    R::KIND
}

const fn api_version_of<R: Resource>(_: &R) -> &'static str {
    R::API_VERSION
}

impl Object {
    /// Its kind, such as `ConfigMap`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        each!(self, inner => kind_of(&**inner))
    }

    /// The group and version of its kind, such as `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> &'static str {
        each!(self, inner => api_version_of(&**inner))
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        each!(self, inner => &inner.metadata)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// The object as a manifest: `apiVersion`, `kind` and `metadata` come first.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // Kubernetes' types are text, numbers, lists and maps with text for keys, so they can always
        // be written.
        let value = each!(self, inner => serde_json::to_value(inner).unwrap_or_default());
        let Value::Object(mut members) = value else { return value };
        let first = ["apiVersion", "kind", "metadata"];
        let mut ordered = Map::new();
        for name in first {
            ordered.extend(members.remove(name).map(|member| (name.to_owned(), member)));
        }
        ordered.extend(members);
        Value::Object(ordered)
    }

    /// 16 hex digits that change with the manifest.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hash::hash([self.to_value().to_string().as_str()])
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name())
    }
}
