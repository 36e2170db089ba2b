//! The part of a key that is no secret.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Characters of a prefix since Headscale 0.28.
pub(crate) const PREFIX: usize = 12;
/// Characters of the prefix of an API key that Headscale 0.27 or older made.
pub(crate) const LEGACY_PREFIX: usize = 7;
/// Characters of the secret part since Headscale 0.28.
pub(crate) const SECRET: usize = 64;
/// What an API key starts with since Headscale 0.28.
pub(crate) const API_KEY: &str = "hskey-api-";
/// What a node's auth key starts with since Headscale 0.28.
pub(crate) const AUTH_KEY: &str = "hskey-auth-";
/// What stands for the secret part where Headscale lists keys.
const MASK: &str = "***";

/// What names a key without revealing it: Headscale stores it in clear, lists it, and takes it
/// where a key is expired or deleted.
///
/// 12 characters of the URL-safe base64 alphabet, or 7 of an API key from before 0.28. It may
/// contain and start with `-`, so keys are cut by length and never at a dash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPrefix(String);

/// Why a text is no key of Headscale. It never contains the text, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyFormatError {
    /// Neither the format since 0.28 nor the one before it.
    #[error(
        "not an API key of Headscale: expected `hskey-api-`, 12 characters, `-` and 64 \
         characters, or from before 0.28 7 characters, `.` and a secret"
    )]
    ApiKey,
    /// Not as Headscale lists keys.
    #[error("not the prefix of a key: expected 12 characters (7 from before 0.28), or them masked")]
    Prefix,
}

impl KeyPrefix {
    /// Reads a prefix as Headscale lists it: masked (`hskey-api-PREFIX-***`, `hskey-auth-PREFIX-***`,
    /// and `PREFIX***` for a key from before 0.28) or bare.
    ///
    /// # Errors
    ///
    /// [`KeyFormatError::Prefix`] when it is none of these.
    pub fn parse(text: &str) -> Result<Self, KeyFormatError> {
        let bare = [API_KEY, AUTH_KEY]
            .iter()
            .find_map(|start| text.strip_prefix(start)?.strip_suffix(MASK)?.strip_suffix('-'))
            .or_else(|| text.strip_suffix(MASK))
            .unwrap_or(text);
        let sized = matches!(bare.len(), PREFIX | LEGACY_PREFIX);
        if sized && is_url_safe(bare) {
            Ok(Self(bare.to_owned()))
        } else {
            Err(KeyFormatError::Prefix)
        }
    }

    /// Of a part that is known to be one.
    pub(crate) fn known(part: &str) -> Self {
        Self(part.to_owned())
    }

    /// The bare characters: what Headscale takes in `DELETE /api/v1/apikey/{prefix}`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the key is from Headscale 0.27 or older.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.0.len() == LEGACY_PREFIX
    }
}

impl TryFrom<String> for KeyPrefix {
    type Error = KeyFormatError;

    fn try_from(text: String) -> Result<Self, KeyFormatError> {
        Self::parse(&text)
    }
}

impl From<KeyPrefix> for String {
    fn from(prefix: KeyPrefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPrefix({})", self.0)
    }
}

/// Whether every character is of the URL-safe base64 alphabet.
pub(crate) fn is_url_safe(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Cuts a key of the format since 0.28 after `start`: its prefix, when the rest fits too.
pub(crate) fn cut(text: &str, start: &str) -> Option<KeyPrefix> {
    let rest = text.strip_prefix(start)?;
    let (prefix, rest) = rest.split_at_checked(PREFIX)?;
    let secret = rest.strip_prefix('-')?;
    (secret.len() == SECRET && is_url_safe(prefix) && is_url_safe(secret))
        .then(|| KeyPrefix::known(prefix))
}
