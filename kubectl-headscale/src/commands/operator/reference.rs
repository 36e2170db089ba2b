//! An object of any kind by its name.

use headscale_api::operator::NAME;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use crate::kubernetes::Cluster;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Group and version, such as `apps/v1`.
    pub(crate) api_version: String,
    /// Its kind, such as `Deployment`.
    pub(crate) kind: String,
    /// Its namespace, where its kind has some.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
}

impl Reference {
    /// An object with its kind.
    pub(crate) fn new(
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.into(),
        }
    }

    /// The Deployment of the operator of `namespace`.
    pub(crate) fn deployment(namespace: &str) -> Self {
        Self::new("apps/v1", "Deployment", Some(namespace), NAME)
    }

    /// The object of a manifest.
    pub(crate) fn of(manifest: &Value) -> Self {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
        Self::new(
            text("/apiVersion").unwrap_or_default(),
            text("/kind").unwrap_or_default(),
            text("/metadata/namespace"),
            text("/metadata/name").unwrap_or_default(),
        )
    }

    /// What kubectl calls it: `deployment.apps/headscale-operator`.
    pub(crate) fn called(&self) -> String {
        let kind = self.kind.to_lowercase();
        match self.api_version.split_once('/') {
            Some((group, _)) => format!("{kind}.{group}/{}", self.name),
            None => format!("{kind}/{}", self.name),
        }
    }

    /// The same with its namespace, as kubectl's arguments have both.
    pub(crate) fn placed(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} -n {namespace}", self.called()),
            None => self.called(),
        }
    }

    /// The objects of its kind, in its namespace where it has one.
    pub(crate) fn api(&self, cluster: &Cluster) -> Api<DynamicObject> {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", &self.api_version));
        let kind = GroupVersionKind::gvk(group, version, &self.kind);
        let mut resource = ApiResource::from_gvk(&kind);
        // kube forms the plurals of Kubernetes' own kinds.
        if self.kind == "HeadscalePolicy" {
            "headscalepolicies".clone_into(&mut resource.plural);
        }
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, &resource),
            None => Api::all_with(cluster.client.clone(), &resource),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_called_as_kubectl_calls_them() {
        let called = |version: &str, kind: &str| Reference::new(version, kind, None, "a").called();
        assert_eq!(called("v1", "ServiceAccount"), "serviceaccount/a");
        assert_eq!(called("apps/v1", "Deployment"), "deployment.apps/a");
        let placed = Reference::deployment("here").placed();
        assert_eq!(placed, "deployment.apps/headscale-operator -n here");
    }
}
