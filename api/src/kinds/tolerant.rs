//! Reads Kubernetes' own types out of open objects. The API server does not look into those, so an
//! amount may be a number there, where Kubernetes' types know text alone.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Members that are amounts.
const AMOUNTS: &[&str] = &["divisor", "sizeLimit"];

/// Members whose members are amounts.
const MAPS_OF_AMOUNTS: &[&str] = &["limits", "requests"];

/// Reads a list of Kubernetes' objects.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    read(Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads one of Kubernetes' objects that may be absent.
pub(super) fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    read(Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn read<T: DeserializeOwned>(mut value: Value) -> Result<T, serde_json::Error> {
    write_amounts_as_text(&mut value);
    serde_json::from_value(value)
}

fn write_amounts_as_text(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(write_amounts_as_text),
        Value::Object(members) => {
            for (name, member) in members {
                if AMOUNTS.contains(&name.as_str()) {
                    write_as_text(member);
                } else if let (true, Value::Object(amounts)) =
                    (MAPS_OF_AMOUNTS.contains(&name.as_str()), &mut *member)
                {
                    amounts.values_mut().for_each(write_as_text);
                } else {
                    write_amounts_as_text(member);
                }
            }
        }
        _ => {}
    }
}

fn write_as_text(value: &mut Value) {
    if let Value::Number(number) = value {
        *value = Value::String(number.to_string());
    }
}
