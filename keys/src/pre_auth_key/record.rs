//! What is written down about the pre-auth key of one Secret, beside its text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::prefix::KeyPrefix;
use crate::record::{Attempts, Intent};
use crate::token::Token;

/// What names a key in Headscale. The number alone may be another key's, after the database was
/// replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyName {
    /// Headscale's number of it.
    pub id: u64,
    /// The part of it that is no secret; `None` of a key from before 0.28.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<KeyPrefix>,
}

/// The key that consumers read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Current {
    /// What names it.
    pub key: KeyName,
    /// When it expires, unless somebody ends it before.
    pub token: Token,
    /// What it was made for: a text that changes when another key is wanted. `None` of a key that
    /// was taken over and is not what is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
    /// When it was published; `None` of a key of another maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
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
    pub key: Option<KeyName>,
}

/// A key that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retiring {
    /// What names it.
    pub key: KeyName,
    /// From when on it must not work any more.
    pub until: Timestamp,
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
    #[serde(default)]
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

    /// The record as JSON, on one line. It contains names and times, no secrets.
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
    pub(super) fn expirations(&self) -> BTreeSet<Timestamp> {
        let current = self.current.as_ref().map(|current| current.token);
        self.unresolved().chain(current).map(Token::expiration).collect()
    }

    /// Whether this key was published, at some time.
    pub(super) fn has_published(&self, key: &KeyName) -> bool {
        self.current.as_ref().is_some_and(|current| current.key == *key)
            || self.retiring.iter().any(|retiring| retiring.key == *key)
    }

    /// Moves the pending key to the aborted ones: from this update on nobody can publish it, so
    /// deleting it is safe.
    #[must_use]
    pub fn abort_pending(&self) -> Self {
        let mut next = self.clone();
        if let Some(Intent { token, .. }) = next.pending.take() {
            next.aborted.push(Aborted { token, key: None });
        }
        next
    }

    /// Takes a key up that this process asked for and that the record no longer has.
    #[must_use]
    pub fn with_aborted(&self, token: Token) -> Self {
        let mut next = self.clone();
        next.aborted.push(Aborted { token, key: None });
        next
    }

    /// Forgets the key that was being made, because Headscale refused to make it.
    #[must_use]
    pub fn refused(&self) -> Self {
        Self { pending: None, ..self.clone() }
    }

    /// Publishes a new key: it becomes current, nothing is pending, and the one that it replaces
    /// works until `until` at the latest.
    #[must_use]
    pub fn publish(&self, new: Current, until: Timestamp) -> Self {
        let mut next = self.clone();
        next.pending = None;
        next.attempts = Attempts::default();
        next.retiring.retain(|retiring| retiring.key != new.key);
        if let Some(Current { key, .. }) = next.current.replace(new) {
            next.retiring.push(Retiring { key, until });
        }
        next
    }

    /// Takes over what another record has, of a Secret that goes: its current key too, where this
    /// one has none; else that one must not work after `now`.
    #[must_use]
    pub fn absorb(&self, other: &Self, now: Timestamp) -> Self {
        let mut next = self.clone();
        let known: BTreeSet<Token> = next.unresolved().collect();
        let unresolved = other.abort_pending().aborted;
        next.aborted.extend(unresolved.into_iter().filter(|it| !known.contains(&it.token)));
        for retiring in &other.retiring {
            if !next.has_published(&retiring.key) {
                next.retiring.push(retiring.clone());
            }
        }
        match &other.current {
            Some(current) if next.current.is_none() => {
                next.retiring.retain(|retiring| retiring.key != current.key);
                next.current = Some(current.clone());
            }
            Some(current) if !next.has_published(&current.key) => {
                next.retiring.push(Retiring { key: current.key.clone(), until: now });
            }
            _ => {}
        }
        next
    }
}
