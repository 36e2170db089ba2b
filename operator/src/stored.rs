//! Objects as they are stored, also where parts of them cannot be read.
//!
//! The API server does not look into all parts of a spec, and definitions of kinds differ: that of
//! the Go operator takes more than ours, and so did one that was made stricter since. A list or watch
//! of which one object cannot be read fails as a whole, and nobody of that kind would be looked
//! after.
//!
//! What cannot be read is left out of the object and noted in an annotation of it, which is never
//! stored: the note goes wherever the object goes, and nobody takes what stands in for a member for
//! what was declared.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::object::{HasSpec, HasStatus};
use kube::{Resource, ResourceExt as _};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::conditions::Verdict;
use crate::names::INSTANCE_ANNOTATION;

/// Reason of `Ready`: the spec is no such thing.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// Annotation of an object in memory: places that cannot be read, as JSON.
const UNREADABLE: &str = "headscale.infrado.cloud/unreadable";
/// So much of an error is told: it may quote all of what was written.
const LONGEST_ERROR: usize = 200;

/// A kind whose spec and status are read member by member where they cannot be read as a whole.
/// Their defaults stand in for what is not there.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + DeserializeOwned
    + HasSpec<Spec: Default + Serialize + DeserializeOwned>
    + HasStatus<Status: Default + Serialize + DeserializeOwned>
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + HasSpec<Spec: Default + Serialize + DeserializeOwned>
        + HasStatus<Status: Default + Serialize + DeserializeOwned>
{
}

/// A stored object, without the parts that cannot be read.
#[derive(Clone, Debug)]
pub struct Stored<K>(pub K);

/// What is wrong with each place, such as `spec.username`.
type Wrong = BTreeMap<String, String>;

impl<'de, K: Kind> Deserialize<'de> for Stored<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let (mut object, wrong) = match K::deserialize(&value) {
            Ok(object) => (object, Wrong::new()),
            Err(_) => read_parts::<K>(value).map_err(D::Error::custom)?,
        };
        if wrong.is_empty() {
            // Whoever stores it must not stop the object.
            if let Some(annotations) = &mut object.meta_mut().annotations {
                annotations.remove(UNREADABLE);
            }
        } else {
            object.annotations_mut().insert(UNREADABLE.to_owned(), json!(wrong).to_string());
        }
        Ok(Self(object))
    }
}

/// Reads spec and status member by member.
fn read_parts<K: Kind>(mut object: Value) -> Result<(K, Wrong), serde_json::Error> {
    let mut wrong = Wrong::new();
    let mut spec = read_members::<K::Spec>(object.get("spec"), "spec", &mut wrong);
    // What was made in a Headscale stays one of its objects.
    let annotation = format!("/metadata/annotations/{}", INSTANCE_ANNOTATION.replace('/', "~1"));
    if (wrong.contains_key("spec.headscaleRef") || wrong.contains_key("spec"))
        && let (Some(made_in), Some(spec)) = (object.pointer(&annotation), spec.as_object_mut())
        && let Some(named) = spec.get_mut("headscaleRef")
    {
        named.clone_from(made_in);
    }
    let status = object.get("status");
    let status = status.map(|it| read_members::<K::Status>(Some(it), "status", &mut wrong));
    if let Some(members) = object.as_object_mut() {
        members.insert("spec".to_owned(), spec);
        members.extend(status.map(|status| ("status".to_owned(), status)));
    }
    Ok((K::deserialize(&object)?, wrong))
}

/// The members that can be read, and for all others what is there by default.
fn read_members<T>(stored: Option<&Value>, place: &str, wrong: &mut Wrong) -> Value
where
    T: Default + Serialize + DeserializeOwned,
{
    let nothing = Map::new();
    let members = match stored {
        Some(Value::Object(members)) => members,
        None | Some(Value::Null) => &nothing,
        Some(_) => {
            wrong.insert(place.to_owned(), "cannot be read: expected an object".to_owned());
            &nothing
        }
    };
    let default = json!(T::default());
    let mut readable = default.clone();
    for (name, member) in members {
        let mut with_it = readable.clone();
        if let Some(members) = with_it.as_object_mut() {
            members.insert(name.clone(), member.clone());
        }
        match T::deserialize(&with_it) {
            Ok(_) => readable = with_it,
            Err(error) => {
                let error: String = error.to_string().chars().take(LONGEST_ERROR).collect();
                wrong.insert(format!("{place}.{name}"), format!("cannot be read: {error}"));
            }
        }
    }
    for name in default.as_object().iter().flat_map(|default| default.keys()) {
        let mut without_it = readable.clone();
        if let Some(members) = without_it.as_object_mut() {
            members.remove(name);
        }
        if !members.contains_key(name) && T::deserialize(&without_it).is_err() {
            wrong.insert(format!("{place}.{name}"), "is missing".to_owned());
        }
    }
    readable
}

fn wrong<K: Resource>(object: &K) -> Option<Wrong> {
    // It was written by this process.
    serde_json::from_str(object.annotations().get(UNREADABLE)?).ok()
}

/// What of the spec cannot be read, and why; `None` where all of it can.
#[must_use]
pub fn unreadable<K: Resource>(object: &K) -> Option<String> {
    let wrong = wrong(object)?;
    let wrong = wrong.iter().filter(|(place, _)| place.starts_with("spec"));
    let said: Vec<String> = wrong.map(|(place, why)| format!("{place} {why}")).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Whether this member of the spec cannot be read.
#[must_use]
pub fn is_unreadable<K: Resource>(object: &K, member: &str) -> bool {
    let is_it = |place: &str| place == "spec" || place.strip_prefix("spec.") == Some(member);
    wrong(object).is_some_and(|wrong| wrong.keys().any(|place| is_it(place)))
}

/// What `Ready` says of an object whose spec cannot be read; `None` where it can.
#[must_use]
pub fn verdict<K: Resource>(object: &K) -> Option<Verdict> {
    let what = unreadable(object)?;
    let message = format!("{what}; Headscale keeps what it has until that is mended");
    Some(Verdict::bad(INVALID_SPEC, message))
}

/// Members of the status that cannot be read, none where that is no object at all; `None` where it
/// can be read.
#[must_use]
pub fn unreadable_status<K: Resource>(object: &K) -> Option<Vec<String>> {
    let wrong = wrong(object)?;
    let wrong: Vec<&str> =
        wrong.keys().map(String::as_str).filter(|it| it.starts_with("status")).collect();
    let members = wrong.iter().filter_map(|place| place.strip_prefix("status."));
    (!wrong.is_empty()).then(|| members.map(str::to_owned).collect())
}

impl<K: Resource<DynamicType = ()>> Resource for Stored<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}
