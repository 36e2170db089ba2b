//! What is to be changed in a Secret.

use std::collections::BTreeMap;
use std::fmt;

use crate::AuthKey;

/// The `data` of a strategic merge patch of a Secret: fields that are set, to texts that may be
/// empty, and fields that are removed (`null` on the wire, which is not the same as empty).
///
/// `Debug` names the fields and never shows what they are set to.
#[derive(Clone, Default)]
pub struct SecretPatch {
    data: BTreeMap<String, Value>,
}

#[derive(Clone)]
enum Value {
    Removed,
    Text(String),
    Key(AuthKey),
}

impl SecretPatch {
    /// The fields by name: `Some` is the text to set, before base64, and `None` removes.
    pub fn data(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.data.iter().map(|(name, value)| {
            let value = match value {
                Value::Removed => None,
                Value::Text(text) => Some(text.as_str()),
                Value::Key(key) => Some(key.expose()),
            };
            (name.as_str(), value)
        })
    }

    pub(super) fn remove(mut self, name: &str) -> Self {
        self.data.insert(name.to_owned(), Value::Removed);
        self
    }

    pub(super) fn set(mut self, name: &str, text: &str) -> Self {
        self.data.insert(name.to_owned(), Value::Text(text.to_owned()));
        self
    }

    pub(super) fn set_key(mut self, name: &str, key: &AuthKey) -> Self {
        self.data.insert(name.to_owned(), Value::Key(key.clone()));
        self
    }
}

impl fmt::Debug for SecretPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.data.iter().map(|(name, value)| match value {
            Value::Removed => (name, "removed".to_owned()),
            Value::Text(_) => (name, "set".to_owned()),
            Value::Key(key) => (name, format!("{key:?}")),
        });
        f.debug_map().entries(told).finish()
    }
}
