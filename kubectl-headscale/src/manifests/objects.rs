//! Which scalars of Kubernetes objects are policies.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::tree::{Node, Scalar};
use crate::place::PlacedError;

/// The API group of Headscale's objects.
pub(super) const GROUP: &str = "headscale.infrado.cloud/";

/// Lists in lists are none of Kubernetes.
const MAX_LISTS: usize = 4;

/// The name of an object, and of its namespace where it says one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectName {
    namespace: Option<String>,
    name: Option<String>,
}

impl ObjectName {
    fn of(object: &Node) -> Self {
        let metadata = |key| object.get("metadata").and_then(|metadata| metadata.get(key)?.text());
        Self {
            namespace: metadata("namespace").map(str::to_owned),
            name: metadata("name").or_else(|| metadata("generateName")).map(str::to_owned),
        }
    }

    /// `KIND NAMESPACE/NAME`, without what is not known.
    fn with_kind(&self, kind: &str) -> String {
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
            (None, Some(name)) => format!("{kind} {name}"),
            (_, None) => kind.to_owned(),
        }
    }
}

/// A key of a ConfigMap that a HeadscalePolicy names.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    namespace: Option<String>,
    name: String,
    key: String,
}

/// Keys of ConfigMaps: the namespaces by name and key.
#[derive(Debug, Default)]
pub(crate) struct References(HashMap<String, HashMap<String, HashSet<Option<String>>>>);

impl<'r> FromIterator<&'r Reference> for References {
    fn from_iter<I: IntoIterator<Item = &'r Reference>>(references: I) -> Self {
        let mut all = Self::default();
        for Reference { namespace, name, key } in references {
            let keys = all.0.entry(name.clone()).or_default();
            keys.entry(key.clone()).or_default().insert(namespace.clone());
        }
        all
    }
}

impl References {
    fn have(&self, map: &ObjectName, key: &str) -> bool {
        let Some(name) = &map.name else { return false };
        let namespaces = self.0.get(name).and_then(|keys| keys.get(key));
        namespaces.is_some_and(|namespaces| {
            // An object without one may be applied to any.
            map.namespace.is_none()
                || namespaces.contains(&None)
                || namespaces.contains(&map.namespace)
        })
    }
}

/// What may be a policy.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The object: `HeadscalePolicy default/main`.
    pub(super) object: String,
    /// Where it stands in the object: `spec.inline`.
    pub(super) field: String,
    /// The text.
    pub(super) scalar: Rc<Scalar>,
    /// For a key of a ConfigMap the map and the key: it may be referred to.
    key: Option<(ObjectName, String)>,
    /// Whether it is one in any case.
    is_policy: bool,
}

impl Candidate {
    /// Whether this is a policy where these are the references.
    pub(super) fn is_policy(&self, references: &References) -> bool {
        self.is_policy || self.key.as_ref().is_some_and(|(map, key)| references.have(map, key))
    }
}

/// What the objects of a text hold.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// What may be a policy, in order.
    pub(super) candidates: Vec<Candidate>,
    /// The keys of ConfigMaps that are.
    pub(super) references: Vec<Reference>,
    /// Whether there is any object.
    pub(super) any: bool,
    /// The first place where there may be a policy that is not known.
    pub(super) unknown: Option<PlacedError>,
}

impl Objects {
    /// Those of these documents. `has_section` says whether a text has a section of a policy.
    pub(super) fn of(documents: &[Node], has_section: impl Fn(&str) -> bool) -> Self {
        let mut objects = Self::default();
        documents.iter().for_each(|document| objects.add(document, &has_section, 0));
        objects
    }

    fn add(&mut self, object: &Node, has_section: &impl Fn(&str) -> bool, lists: usize) {
        let text = |key| object.get(key).and_then(Node::text);
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else { return };
        self.any = true;
        let is_ours = version.starts_with(GROUP);
        if kind.ends_with("List") && lists < MAX_LISTS {
            let items = object.get("items").map(Node::elements).unwrap_or_default();
            items.iter().for_each(|item| self.add(item, has_section, lists + 1));
            return;
        }
        let name = ObjectName::of(object);
        let spec = object.get("spec");
        if is_ours && self.unknown.is_none() {
            let keys = ["acl_policy", "configMapRef"].into_iter();
            let below = keys.filter_map(|key| spec?.get(key));
            self.unknown = spec.into_iter().chain(below).find_map(Node::unfollowed);
        }
        match (is_ours, version, kind) {
            (true, _, "HeadscalePolicy") => {
                let inline = spec.and_then(|spec| spec.get("inline"));
                self.inline(name.with_kind(kind), "spec.inline", inline);
                let map = spec.and_then(|spec| spec.get("configMapRef"));
                let part = |key| map.and_then(|map| map.get(key)?.text()).map(str::to_owned);
                if let (Some(map), Some(key)) = (part("name"), part("key")) {
                    self.references.push(Reference { namespace: name.namespace, name: map, key });
                }
            }
            (true, _, "Headscale") => {
                let inline = spec.and_then(|spec| spec.get("acl_policy")?.get("inline"));
                self.inline(name.with_kind(kind), "spec.acl_policy.inline", inline);
            }
            (false, "v1", "ConfigMap") => {
                let data = object.get("data").map(Node::entries).unwrap_or_default();
                for (key, value) in data {
                    let (Some(key), Some(scalar)) = (key.text(), value.scalar()) else { continue };
                    let is_policy = key.ends_with(".hujson")
                        || (matches!(key, "policy.json" | "acl.json") && has_section(&scalar.text));
                    self.candidates.push(Candidate {
                        object: name.with_kind(kind),
                        field: format!("data[{key:?}]"),
                        scalar: Rc::clone(scalar),
                        key: Some((name.clone(), key.to_owned())),
                        is_policy,
                    });
                }
            }
            _ => {}
        }
    }

    fn inline(&mut self, object: String, field: &str, value: Option<&Node>) {
        let Some(scalar) = value.and_then(Node::scalar) else { return };
        // The API server takes it, and Headscale gets none.
        if scalar.text.trim().is_empty() {
            return;
        }
        self.candidates.push(Candidate {
            object,
            field: field.to_owned(),
            scalar: Rc::clone(scalar),
            key: None,
            is_policy: true,
        });
    }
}
