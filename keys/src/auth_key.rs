//! Auth keys: what a node registers with. Headscale's API calls them pre-auth keys.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::prefix::{AUTH_KEY, KeyPrefix, cut};

/// A node's auth key. It cannot be printed: `Debug` shows its prefix.
///
/// Any text is one, because the reissue protocol compares bytes and a marker may be empty; those
/// of Headscale 0.28 and later (`hskey-auth-`, 12 characters, `-`, 64 characters) have a prefix.
#[derive(Clone)]
pub struct AuthKey {
    text: SecretString,
    prefix: Option<KeyPrefix>,
}

impl AuthKey {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: SecretString::from(text), prefix: cut(text, AUTH_KEY) }
    }

    /// What names the key without revealing it; `None` for a key of another make.
    #[must_use]
    pub fn prefix(&self) -> Option<&KeyPrefix> {
        self.prefix.as_ref()
    }

    /// Whether there is no key: what a marker without a key holds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }

    /// Whether both are the same text.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// The whole key: for the config and the marker, and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prefix {
            Some(prefix) => write!(f, "AuthKey({AUTH_KEY}{prefix}-***)"),
            None if self.is_empty() => f.write_str("AuthKey(empty)"),
            None => f.write_str("AuthKey(***)"),
        }
    }
}
