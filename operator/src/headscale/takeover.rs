//! What others own of an object becomes ours, where it would be in the way.
//!
//! The Go operator updates objects, and so owns each field that it ever set. Applied beside that, fields that are
//! no longer wanted would stay, such as delays of probes. What is done here is what client-go's
//! `csaupgrade` does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value, json};

use crate::names::FIELD_MANAGER;

/// Under which names the Go operator writes: that of its program, and that of its image.
const MANAGERS: [&str; 2] = ["manager", FIELD_MANAGER];

/// The managed fields with what is taken over as our own; `None` where there is nothing of it: all
/// that the Go operator's updates own, and the items of lists of specs that anybody else added, such
/// as a port of a Service. Applied beside those, they would stay.
#[must_use]
pub fn taken_over(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let is_of = |entry: &ManagedFieldsEntry, operation: &str| {
        entry.operation.as_deref() == Some(operation)
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    };
    let mut fields = Value::Object(Map::new());
    let mut others = Vec::new();
    let mut first: Option<&ManagedFieldsEntry> = None;
    let mut is_changed = false;
    for entry in entries {
        let manager = entry.manager.as_deref().unwrap_or_default();
        let Some(FieldsV1(theirs)) = &entry.fields_v1 else {
            others.push(entry.clone());
            continue;
        };
        if is_of(entry, "Apply") && manager == FIELD_MANAGER {
            first = Some(entry);
            join(&mut fields, theirs);
        } else if is_of(entry, "Update") && MANAGERS.contains(&manager) {
            first = first.or(Some(entry));
            is_changed = true;
            join(&mut fields, theirs);
        } else if is_of(entry, "Update")
            && let mut rest = theirs.clone()
            && let Some(items) = rest.get_mut("f:spec").and_then(take_items)
        {
            first = first.or(Some(entry));
            is_changed = true;
            join(&mut fields, &json!({ "f:spec": items }));
            others.push(ManagedFieldsEntry { fields_v1: Some(FieldsV1(rest)), ..entry.clone() });
        } else {
            others.push(entry.clone());
        }
    }
    let mut ours = first.filter(|_| is_changed)?.clone();
    ours.manager = Some(FIELD_MANAGER.to_owned());
    ours.operation = Some("Apply".to_owned());
    ours.fields_v1 = Some(FieldsV1(fields));
    Some(std::iter::once(ours).chain(others).collect())
}

/// Takes the items of lists, which have keys, out of a set of fields; `None` where there are none.
fn take_items(fields: &mut Value) -> Option<Value> {
    let members = fields.as_object_mut()?;
    let mut taken = Map::new();
    let names: Vec<String> = members.keys().cloned().collect();
    for name in names {
        if name.starts_with("k:") {
            taken.extend(members.remove(&name).map(|item| (name, item)));
        } else if let Some(items) = members.get_mut(&name).and_then(take_items) {
            taken.insert(name, items);
        }
    }
    (!taken.is_empty()).then_some(Value::Object(taken))
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
