//! A configuration as a list of its keys with their values.

use serde_json::Value;

use super::key::{Key, key, keys};
use super::settings::push;

/// One key that a configuration sets.
pub(super) struct Leaf<'c> {
    /// Its path, with dots, as it is written.
    pub(super) path: String,
    /// Its RFC 6901 pointer.
    pub(super) pointer: String,
    /// What it is set to.
    pub(super) value: &'c Value,
    /// What stands there.
    pub(super) is: Is,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// The value of a key.
    Key(&'static Key),
    /// Something else than an object, where keys are expected.
    Group,
    /// Something that no version knows; also an object, with all that is in it.
    Unknown,
}

/// All that `config` sets, in its order. What is null is not set, as far as it is known.
pub(super) fn leaves(config: &Value) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    walk(config, "", "", &mut leaves);
    leaves
}

fn walk<'c>(group: &'c Value, path: &str, pointer: &str, leaves: &mut Vec<Leaf<'c>>) {
    for (name, value) in group.as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut at = pointer.to_owned();
        push(&mut at, name);
        let is = match key(&path) {
            Some(_) if value.is_null() => continue,
            Some(key) => Is::Key(key),
            None if is_group(&path) => {
                if value.is_object() {
                    walk(value, &path, &at, leaves);
                    continue;
                } else if value.is_null() {
                    continue;
                }
                Is::Group
            }
            None => Is::Unknown,
        };
        leaves.push(Leaf { path, pointer: at, value, is });
    }
}

/// Whether some key stands below `path`.
fn is_group(path: &str) -> bool {
    let path = path.to_lowercase();
    keys().any(|key| key.path.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.')))
}
