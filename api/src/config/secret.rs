//! Secrets that stand in a configuration.

use std::fmt;

use serde_json::Value;

use super::settings::push;

/// The keys whose values nobody else may know.
pub(super) const SECRETS: &[&str] =
    &["cli.api_key", "database.postgres.pass", "oidc.client_secret"];

/// Ends of names that promise a secret, where no version knows the name.
const PROMISES: &[&str] = &["pass", "passwd", "password", "secret", "token", "api_key", "apikey"];

/// Takes what looks like a secret out of something that no version knows; the rest stays. `pointer`
/// is its own, whose last step is its name; those of what was taken out are given to `told`.
pub(super) fn without_secrets(
    value: &Value,
    pointer: &str,
    told: &mut dyn FnMut(&str),
) -> Option<Value> {
    let name = pointer.rsplit(['/', '.']).next().unwrap_or_default().to_lowercase();
    if !value.is_null() && PROMISES.iter().any(|promise| name.ends_with(promise)) {
        told(pointer);
        return None;
    }
    let mut below = |step: &str, value: &Value| {
        let mut at = pointer.to_owned();
        push(&mut at, step);
        without_secrets(value, &at, told)
    };
    Some(match value {
        Value::Object(members) => members
            .iter()
            .filter_map(|(name, member)| Some((name.clone(), below(name, member)?)))
            .collect(),
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.filter_map(|(index, item)| below(&index.to_string(), item)).collect()
        }
        value => value.clone(),
    })
}

/// The variable by which Headscale takes the value of a key from its environment:
/// `HEADSCALE_DATABASE_POSTGRES_PASS`.
#[must_use]
pub fn environment_name(path: &str) -> String {
    format!("HEADSCALE_{}", path.to_uppercase().replace('.', "_"))
}

/// A secret that stood in a configuration. Its value is in neither `Debug` nor any message.
#[derive(Clone, PartialEq, Eq)]
pub struct InlineSecret {
    /// The key that it stood at: `database.postgres.pass`.
    pub path: &'static str,
    value: String,
}

impl InlineSecret {
    pub(super) const fn new(path: &'static str, value: String) -> Self {
        Self { path, value }
    }

    /// The variable that hands it to Headscale.
    #[must_use]
    pub fn environment(&self) -> String {
        environment_name(self.path)
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for InlineSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineSecret").field("path", &self.path).finish_non_exhaustive()
    }
}
