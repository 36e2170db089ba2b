//! What changes in an object, in few words.

use serde_json::{Map, Value};

/// The most places of one object that are told.
const SHOWN: usize = 8;
/// The most characters of a value that are told.
const WIDTH: usize = 60;
/// What the server keeps about an object, and nobody applies.
const KEPT_BY_SERVER: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// A place that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    path: String,
    old: Option<Value>,
    new: Option<Value>,
}

/// What differs between two versions of an object, status and what the server keeps aside: a line for
/// each place, at most so many. Empty where nothing does.
pub(super) fn lines(old: &Value, new: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare("", Some(&declared(old)), Some(&declared(new)), &mut all);
    let more = all.len().saturating_sub(SHOWN);
    let mut lines: Vec<String> = all.iter().take(SHOWN).map(Difference::line).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// The object as somebody declares it.
fn declared(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in KEPT_BY_SERVER {
            metadata.remove(name);
        }
    }
    object
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, all: &mut Vec<Difference>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for name in names(old, new) {
                compare(&member(path, name), old.get(name), new.get(name), all);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if has_objects(old, new) => {
            for index in 0..old.len().max(new.len()) {
                let path = format!("{path}[{index}]");
                compare(&path, old.get(index), new.get(index), all);
            }
        }
        (old, new) if old == new => {}
        (Some(Value::Array(old)), Some(Value::Array(new))) if has_others(old, new) => {
            let gone = old.iter().filter(|item| !new.contains(item));
            let come = new.iter().filter(|item| !old.contains(item));
            let gone = gone.map(|item| (Some(item.clone()), None));
            let changes = gone.chain(come.map(|item| (None, Some(item.clone()))));
            let path = path.to_owned();
            all.extend(changes.map(|(old, new)| Difference { path: path.clone(), old, new }));
        }
        (old, new) => {
            all.push(Difference { path: path.to_owned(), old: old.cloned(), new: new.cloned() });
        }
    }
}

/// The names of both, sorted.
fn names<'v>(old: &'v Map<String, Value>, new: &'v Map<String, Value>) -> Vec<&'v String> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn has_objects(old: &[Value], new: &[Value]) -> bool {
    old.iter().chain(new).any(Value::is_object)
}

/// Whether an item of one is not in the other; otherwise their order or number differs.
fn has_others(old: &[Value], new: &[Value]) -> bool {
    old.iter().any(|item| !new.contains(item)) || new.iter().any(|item| !old.contains(item))
}

/// The path of a member; names with dots, as labels have, stand in brackets.
fn member(path: &str, name: &str) -> String {
    if name.contains(['.', '/']) {
        format!("{path}[{name:?}]")
    } else if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

impl Difference {
    fn line(&self) -> String {
        let short = |value: &Value| {
            let text = value.to_string();
            match text.char_indices().nth(WIDTH) {
                Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
                None => text,
            }
        };
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => format!("{}: {} -> {}", self.path, short(old), short(new)),
            (None, Some(new)) => format!("{}: + {}", self.path, short(new)),
            (Some(old), None) => format!("{}: - {}", self.path, short(old)),
            (None, None) => self.path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_changed_added_and_removed_is_told_by_its_place() {
        let old = json!({
            "metadata": { "labels": { "a.b/c": "1", "d": "2" }, "resourceVersion": "7" },
            "spec": { "containers": [{ "name": "manager", "args": ["-a", "-c"],
                "command": [1, 2] }] },
            "status": { "replicas": 1 },
        });
        let new = json!({
            "metadata": { "labels": { "a.b/c": "2" }, "resourceVersion": "8" },
            "spec": { "containers": [{ "name": "manager", "args": ["-a", "-b"],
                "command": [2, 1] }], "replicas": 2 },
        });
        assert_eq!(
            lines(&old, &new),
            [
                "metadata.labels[\"a.b/c\"]: \"1\" -> \"2\"",
                "metadata.labels.d: - \"2\"",
                "spec.containers[0].args: - \"-c\"",
                "spec.containers[0].args: + \"-b\"",
                "spec.containers[0].command: [1,2] -> [2,1]",
                "spec.replicas: + 2",
            ]
        );
        assert_eq!(lines(&old, &old), Vec::<String>::new());
    }

    #[test]
    fn many_places_and_long_values_are_cut_short() {
        let many: Map<String, Value> =
            (0..12).map(|number| (format!("m{number:02}"), json!(1))).collect();
        let told = lines(&json!({}), &json!(many));
        assert_eq!(told.len(), SHOWN + 1);
        assert_eq!(told.last().map(String::as_str), Some("and 4 more"));
        let long = lines(&json!({ "a": 1 }), &json!({ "a": "ä".repeat(100) }));
        assert_eq!(long, [format!("a: 1 -> \"{}…", "ä".repeat(WIDTH - 1))]);
    }
}
