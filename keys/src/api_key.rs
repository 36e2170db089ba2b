//! API keys: what the operator authenticates with.

use std::fmt;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::prefix::{API_KEY, KeyFormatError, KeyPrefix, LEGACY_PREFIX, cut, is_url_safe};

/// An API key of Headscale. It cannot be printed: `Debug` shows its prefix.
#[derive(Clone)]
pub struct ApiKey {
    text: SecretString,
    prefix: KeyPrefix,
}

impl ApiKey {
    /// Reads `hskey-api-` with 12 characters, `-` and 64 characters (0.28 and later; 87 in all),
    /// or 7 characters, `.` and a secret (0.27 and older, which later versions still take).
    ///
    /// # Errors
    ///
    /// [`KeyFormatError::ApiKey`] when it is neither; surrounding white space is not removed.
    pub fn parse(text: &str) -> Result<Self, KeyFormatError> {
        let prefix = cut(text, API_KEY).or_else(|| legacy(text)).ok_or(KeyFormatError::ApiKey)?;
        Ok(Self { text: SecretString::from(text), prefix })
    }

    /// What names the key without revealing it.
    #[must_use]
    pub fn prefix(&self) -> &KeyPrefix {
        &self.prefix
    }

    /// The whole key: for the `Authorization` header and the Secret, and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix.is_legacy() {
            write!(f, "ApiKey({}.***)", self.prefix)
        } else {
            write!(f, "ApiKey({API_KEY}{}-***)", self.prefix)
        }
    }
}

fn legacy(text: &str) -> Option<KeyPrefix> {
    let (prefix, rest) = text.split_at_checked(LEGACY_PREFIX)?;
    let secret = rest.strip_prefix('.')?;
    (!secret.is_empty() && is_url_safe(prefix) && is_url_safe(secret))
        .then(|| KeyPrefix::known(prefix))
}

/// An API key as Headscale lists it: without its secret part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedApiKey {
    /// Headscale's number of it.
    pub id: u64,
    /// What names it.
    pub prefix: KeyPrefix,
    /// From when on it is refused, exactly as it was asked for or, once expired, when that was.
    /// `None` where Headscale stores the zero time: such a key was expired when it was made.
    pub expiration: Option<Timestamp>,
}

impl ListedApiKey {
    /// Whether Headscale takes the key at `now`, by this clock.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expiration.is_some_and(|expiration| now < expiration)
    }
}
