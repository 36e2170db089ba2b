//! What is written down about the key of one Secret, beside its text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::prefix::KeyPrefix;
use crate::token::Token;

/// How a key was shown to work before it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verified {
    /// Headscale let it in.
    Authenticated,
    /// Headscale lists it as valid; nothing that asks for a key could be reached.
    Listed,
}

/// The key that consumers read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Current {
    /// What names it in Headscale.
    pub prefix: KeyPrefix,
    /// When it expires.
    pub token: Token,
    /// When it was published; for a key of another maker, when that one says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// How it was shown to work; `None` for a key of another maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
}

/// A key that is being made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The expiration that it will have.
    pub token: Token,
    /// Who makes it: a name that a process keeps when it starts anew, such as its pod's. One that
    /// finds an intent of its own name has died over it; that of another may still be at work.
    pub by: String,
}

/// A key that was not published, and must go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Aborted {
    /// The expiration that it has, should Headscale ever make it.
    pub token: Token,
    /// Once Headscale listed it. A request makes one key, so after that none of this token can
    /// come any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<KeyPrefix>,
}

/// A key that was replaced and still works, for consumers that have not read the new one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retiring {
    /// What names it in Headscale.
    pub prefix: KeyPrefix,
    /// From when on it is deleted.
    pub delete_after: Timestamp,
}

/// Attempts to make a key since the last that succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempts {
    /// How many.
    pub count: u32,
    /// When the last began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

impl Attempts {
    fn is_none(&self) -> bool {
        self.count == 0
    }
}

/// What is known of the keys that were made for one Secret. It stands in that Secret, and each
/// change of it is one update that fails if anything else changed the Secret.
///
/// A key is *owned* when it is in here. No other key is ever touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The key that consumers read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Current>,
    /// The key that is being made: written before Headscale is asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Intent>,
    /// Keys that were pending when their maker died or lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aborted: Vec<Aborted>,
    /// Keys that were current.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<Retiring>,
    /// Attempts since the last success.
    #[serde(default, skip_serializing_if = "Attempts::is_none")]
    pub attempts: Attempts,
}

impl Record {
    /// Reads the JSON that [`Record::to_json`] writes. Unknown members are ignored: a later
    /// release may have written them.
    ///
    /// # Errors
    ///
    /// serde's sentence when it is no such JSON.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The record as JSON, on one line. It contains prefixes and times, no secrets.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them always can be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The tokens of keys that may come to be without having been published.
    pub fn unresolved(&self) -> impl Iterator<Item = Token> {
        let pending = self.pending.iter().map(|intent| intent.token);
        pending.chain(self.aborted.iter().map(|aborted| aborted.token))
    }

    /// All expirations that a new key must not have.
    #[must_use]
    pub(crate) fn expirations(&self) -> BTreeSet<Timestamp> {
        let current = self.current.as_ref().map(|current| current.token);
        self.unresolved().chain(current).map(Token::expiration).collect()
    }

    /// Moves the pending key to the aborted ones: from this update on nobody can publish it, so
    /// deleting it is safe.
    #[must_use]
    pub fn abort_pending(&self) -> Self {
        let mut next = self.clone();
        if let Some(Intent { token, .. }) = next.pending.take() {
            next.aborted.push(Aborted { token, prefix: None });
        }
        next
    }

    /// Takes a key up that this process asked for and that the record no longer has.
    #[must_use]
    pub fn with_aborted(&self, token: Token) -> Self {
        let mut next = self.clone();
        next.aborted.push(Aborted { token, prefix: None });
        next
    }

    /// Publishes a new key: it becomes current, nothing is pending, and the one that it replaces
    /// retires and lives until `delete_after`.
    #[must_use]
    pub fn publish(&self, new: Current, delete_after: Timestamp) -> Self {
        let mut next = self.clone();
        next.pending = None;
        next.attempts = Attempts::default();
        next.retiring.retain(|retiring| retiring.prefix != new.prefix);
        if let Some(Current { prefix, .. }) = next.current.replace(new) {
            next.retiring.push(Retiring { prefix, delete_after });
        }
        next
    }
}
