//! What the operator looks after: the objects of the kinds, and what stays of instances.

use std::collections::BTreeSet;

use headscale_api::kinds::{API_VERSION, crds};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::Reference;
use crate::error::CommandError;
use crate::kubernetes::{Cluster, RESOURCES};

/// The labels of what an instance leaves behind: its claims are a StatefulSet's, and the Secret of its
/// API key the sidecar's. An instance that was rendered and runs without an operator has the same, so
/// that what has them is not enough to be deleted.
const CLAIM_LABELS: &str =
    "app.kubernetes.io/managed-by=headscale-operator,app.kubernetes.io/name=headscale";
const KEY_LABELS: &str =
    "app.kubernetes.io/managed-by=headscale-operator,app.kubernetes.io/component=api-key";

const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// What the name of the Secret of an API key ends in, unless the spec names it.
const KEY_SUFFIX: &str = "-api-key";

/// Which namespaces are meant: all where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope(pub(crate) Vec<String>);

/// An object of the kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Which one.
    pub(crate) reference: Reference,
    /// Which of those that have had the name.
    pub(crate) uid: String,
    /// Whether something holds it back when it is deleted.
    pub(crate) is_held: bool,
}

/// What an instance leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Which object.
    pub(crate) reference: Reference,
    /// Of which instance of its namespace, as far as can be told.
    instance: String,
}

/// All that is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    /// The definitions of the kinds.
    pub(crate) definitions: Vec<Reference>,
    /// The objects, in the order in which they can be deleted: an instance goes last, because what is
    /// in it is cleared away there.
    pub(crate) objects: Vec<Declared>,
    /// The claims of the volumes of instances.
    pub(crate) claims: Vec<Left>,
    /// The Secrets of API keys.
    pub(crate) keys: Vec<Left>,
}

impl Data {
    /// What there is in a cluster.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub(crate) async fn of(cluster: &Cluster) -> Result<Self, CommandError> {
        let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
        let mut data = Self::default();
        for crd in crds() {
            let name = crd.name_any();
            if api.get_opt(&name).await.map_err(|error| cluster.error(error))?.is_some() {
                let version = "apiextensions.k8s.io/v1";
                data.definitions.push(Reference::new(
                    version,
                    "CustomResourceDefinition",
                    None,
                    name,
                ));
            }
        }
        for resource in RESOURCES.iter().rev() {
            let start = format!("{}.", resource.plural);
            if !data.definitions.iter().any(|it| it.name.starts_with(&start)) {
                continue;
            }
            let all = Reference::new(API_VERSION, resource.kind, None, "");
            let listed = all.api(cluster).list_metadata(&ListParams::default()).await;
            let listed = listed.map_err(|error| cluster.resource_error(error, resource))?;
            data.objects.extend(listed.items.into_iter().map(|it| Declared {
                is_held: !it.finalizers().is_empty(),
                uid: it.uid().unwrap_or_default(),
                reference: Reference {
                    namespace: it.namespace(),
                    name: it.name_any(),
                    ..all.clone()
                },
            }));
        }
        data.claims = listed(cluster, "PersistentVolumeClaim", CLAIM_LABELS).await?;
        data.keys = listed(cluster, "Secret", KEY_LABELS).await?;
        Ok(data)
    }

    /// What of it is in these namespaces.
    pub(crate) fn within(&self, scope: &Scope) -> Self {
        let is_meant = |reference: &Reference| {
            scope.0.is_empty()
                || reference.namespace.as_ref().is_some_and(|it| scope.0.contains(it))
        };
        let kept =
            |all: &[Left]| all.iter().filter(|it| is_meant(&it.reference)).cloned().collect();
        let objects = self.objects.iter().filter(|it| is_meant(&it.reference));
        Self {
            definitions: self.definitions.clone(),
            objects: objects.cloned().collect(),
            claims: kept(&self.claims),
            keys: kept(&self.keys),
        }
    }

    /// What instances leave behind that are declared here, and what is left of others, such as those
    /// that run without an operator.
    pub(crate) fn left(&self) -> (Vec<Reference>, Self) {
        let is_declared = |left: &Left| {
            self.of_kind("Headscale").any(|it| {
                it.reference.namespace == left.reference.namespace
                    && it.reference.name == left.instance
            })
        };
        let all = self.claims.iter().chain(&self.keys).filter(|left| is_declared(left));
        let others = |all: &[Left]| all.iter().filter(|it| !is_declared(it)).cloned().collect();
        let rest =
            Self { claims: others(&self.claims), keys: others(&self.keys), ..Self::default() };
        (all.map(|left| left.reference.clone()).collect(), rest)
    }

    /// Whether anything is there that somebody declared or stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.claims.is_empty() && self.keys.is_empty()
    }

    /// The objects of a kind.
    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Declared> {
        self.objects.iter().filter(move |it| it.reference.kind == kind)
    }

    /// How much there is of what, such as `2 instances, 1 user, 2 volume claims`.
    pub(crate) fn counted(&self) -> String {
        let kinds = RESOURCES
            .iter()
            .map(|resource| (self.of_kind(resource.kind).count(), resource.noun, resource.nouns));
        let rest = [
            (self.claims.len(), "volume claim", "volume claims"),
            (self.keys.len(), "API key", "API keys"),
        ];
        let there = kinds.chain(rest).filter(|(count, ..)| *count > 0);
        let words: Vec<String> = there
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect();
        words.join(", ")
    }

    /// The instances, as `NAMESPACE/NAME`.
    pub(crate) fn instances(&self) -> Vec<String> {
        let instances = self.of_kind("Headscale").map(|it| {
            let namespace = it.reference.namespace.clone().unwrap_or_default();
            format!("{namespace}/{}", it.reference.name)
        });
        instances.collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// Whether an operator must run for the objects to go.
    pub(crate) fn is_held(&self) -> bool {
        self.objects.iter().any(|it| it.is_held)
    }
}

/// What has these labels anywhere. A claim has its instance in a label, a Secret in its name.
async fn listed(cluster: &Cluster, kind: &str, labels: &str) -> Result<Vec<Left>, CommandError> {
    let all = Reference::new("v1", kind, None, "");
    let listed = all.api(cluster).list_metadata(&ListParams::default().labels(labels)).await;
    let listed = listed.map_err(|error| cluster.error(error))?;
    let left = |it: kube::core::PartialObjectMeta<_>| {
        let name = it.name_any();
        let instance = match it.labels().get(INSTANCE_LABEL) {
            Some(instance) => instance.as_str(),
            None => name.strip_suffix(KEY_SUFFIX).unwrap_or_default(),
        };
        let instance = instance.to_owned();
        Left { instance, reference: Reference { namespace: it.namespace(), name, ..all.clone() } }
    };
    Ok(listed.items.into_iter().map(left).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(kind: &str, namespace: &str, name: &str) -> Declared {
        let reference = Reference::new(API_VERSION, kind, Some(namespace), name);
        Declared { reference, uid: String::new(), is_held: kind == "HeadscaleUser" }
    }

    #[test]
    fn what_there_is_is_counted_and_instances_are_named() {
        let left = |kind, namespace, instance: &str| Left {
            reference: Reference::new("v1", kind, Some(namespace), format!("{instance}-left")),
            instance: instance.to_owned(),
        };
        let claim = |namespace, instance| left("PersistentVolumeClaim", namespace, instance);
        let data = Data {
            objects: vec![
                declared("HeadscaleUser", "a", "alice"),
                declared("Headscale", "b", "two"),
                declared("Headscale", "a", "one"),
            ],
            claims: vec![claim("a", "one"), claim("b", "two"), claim("b", "rendered")],
            keys: vec![left("Secret", "a", "two")],
            ..Data::default()
        };
        assert_eq!(data.counted(), "2 instances, 1 user, 3 volume claims, 1 API key");
        assert_eq!(data.instances(), ["a/one", "b/two"]);
        let within = data.within(&Scope(vec!["b".to_owned()]));
        assert_eq!(within.counted(), "1 instance, 2 volume claims");
        let (going, stays) = within.left();
        assert_eq!(going.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["two-left"]);
        assert_eq!(stays.counted(), "1 volume claim");
        assert_eq!(data.left().1.counted(), "1 volume claim, 1 API key");
        assert_eq!((data.is_held(), within.is_held()), (true, false));
        assert!(Data::default().is_empty() && !data.is_empty());
    }
}
