//! What the Go operator owns of an object becomes ours.
//!
//! It updates objects, and so owns each field that it ever set. Applied beside that, fields that are
//! no longer wanted would stay, such as delays of probes. What is done here is what client-go's
//! `csaupgrade` does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value};

use crate::names::FIELD_MANAGER;

/// Under which names the Go operator writes: that of its program, and that of its image.
const MANAGERS: [&str; 2] = ["manager", FIELD_MANAGER];

/// The managed fields with what the Go operator's updates own as our own; `None` where there is
/// nothing of it.
#[must_use]
pub fn taken_over(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let is_theirs = |entry: &ManagedFieldsEntry| {
        entry.operation.as_deref() == Some("Update")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && entry.manager.as_deref().is_some_and(|manager| MANAGERS.contains(&manager))
    };
    let is_ours = |entry: &ManagedFieldsEntry| {
        entry.operation.as_deref() == Some("Apply")
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && entry.manager.as_deref() == Some(FIELD_MANAGER)
    };
    let first = entries.iter().find(|entry| is_theirs(entry))?;
    let mut ours = entries.iter().find(|entry| is_ours(entry)).unwrap_or(first).clone();
    ours.manager = Some(FIELD_MANAGER.to_owned());
    ours.operation = Some("Apply".to_owned());
    let mut fields = Value::Object(Map::new());
    for entry in entries.iter().filter(|entry| is_theirs(entry) || is_ours(entry)) {
        if let Some(FieldsV1(more)) = &entry.fields_v1 {
            join(&mut fields, more);
        }
    }
    ours.fields_v1 = Some(FieldsV1(fields));
    let others = entries.iter().filter(|entry| !is_theirs(entry) && !is_ours(entry)).cloned();
    Some(std::iter::once(ours).chain(others).collect())
}

/// Adds the fields of one set to another.
fn join(fields: &mut Value, more: &Value) {
    let (Value::Object(fields), Value::Object(more)) = (fields, more) else { return };
    for (name, more) in more {
        match fields.get_mut(name) {
            Some(same) => join(same, more),
            None => {
                fields.insert(name.clone(), more.clone());
            }
        }
    }
}
