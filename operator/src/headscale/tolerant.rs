//! A `Headscale` as it is stored, also where parts of its spec cannot be read.
//!
//! The API server does not look into all parts of the spec, such as `tolerations`. A list of objects
//! of which one cannot be read fails as a whole, and so would whatever follows them.

use std::borrow::Cow;

use headscale_api::kinds::{Headscale, HeadscaleSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// A stored object.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object, without the parts that cannot be read.
    pub headscale: Headscale,
    /// Which those are, and why.
    pub unreadable: Option<String>,
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match serde_json::from_value(value.clone()) {
            Ok(headscale) => Ok(Self { headscale, unreadable: None }),
            Err(_) => read_parts(value).map_err(serde::de::Error::custom),
        }
    }
}

/// Reads the members of the spec one by one.
fn read_parts(mut object: Value) -> Result<Stored, serde_json::Error> {
    let mut complaints = Vec::new();
    let mut readable = json!({ "version": "", "replicas": 0 });
    let spec = object.get_mut("spec").and_then(Value::as_object_mut).map(std::mem::take);
    for (name, member) in spec.unwrap_or_default() {
        let mut with_it = readable.clone();
        if let Some(members) = with_it.as_object_mut() {
            members.insert(name.clone(), member);
        }
        match serde_json::from_value::<HeadscaleSpec>(with_it.clone()) {
            Ok(_) => readable = with_it,
            Err(error) => complaints.push(format!("spec.{name} cannot be read: {error}")),
        }
    }
    if let Some(members) = object.as_object_mut() {
        members.insert("spec".to_owned(), readable);
    }
    let read = serde_json::from_value(object.clone());
    let headscale = match read {
        Ok(headscale) => headscale,
        // Then it is the status, which is made anew.
        Err(error) => {
            complaints.push(format!("the status cannot be read: {error}"));
            if let Some(members) = object.as_object_mut() {
                members.remove("status");
            }
            serde_json::from_value(object)?
        }
    };
    let unreadable = (!complaints.is_empty()).then(|| complaints.join("; "));
    Ok(Stored { headscale, unreadable })
}

impl Resource for Stored {
    type DynamicType = ();
    type Scope = <Headscale as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        Headscale::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Headscale::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Headscale::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Headscale::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.headscale.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.headscale.meta_mut()
    }
}
