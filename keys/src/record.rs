//! What is written down about the keys of one Secret, beside their text: the same for API keys and
//! pre-auth keys.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::attempts::Attempts;
use crate::token::Token;

/// A key that consumers read, as it is written down.
pub trait Published: Clone + Debug + Eq + Hash + Serialize + DeserializeOwned {
    /// What names such a key in Headscale.
    type Name: Clone + Debug + Ord + Hash + Serialize + DeserializeOwned;

    /// What names this one.
    fn name(&self) -> &Self::Name;
    /// When it expires.
    fn token(&self) -> Token;
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
pub struct Aborted<N> {
    /// The expiration that it has, should Headscale ever make it.
    pub token: Token,
    /// What names it, once Headscale listed it. A request makes one key, so after that none of this
    /// token can come any more.
    #[serde(alias = "prefix", skip_serializing_if = "Option::is_none")]
    pub key: Option<N>,
}

/// A key that was replaced and still works, for consumers that have not read the new one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retiring<N> {
    /// What names it.
    #[serde(alias = "prefix")]
    pub key: N,
    /// From when on it must not work any more.
    #[serde(alias = "deleteAfter")]
    pub until: Timestamp,
}

/// What is known of the keys that were made for one Secret. It stands in that Secret, and each
/// change of it is one update that fails if anything else changed the Secret.
///
/// A key is *owned* when it is in here. No other key is ever touched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct Record<K: Published> {
    /// The key that consumers read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<K>,
    /// The key that is being made: written before Headscale is asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Intent>,
    /// Keys that were pending when their maker died or lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aborted: Vec<Aborted<K::Name>>,
    /// Keys that were current.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<Retiring<K::Name>>,
    /// Attempts since the last success.
    #[serde(default, skip_serializing_if = "Attempts::is_none")]
    pub attempts: Attempts,
}

impl<K: Published> Default for Record<K> {
    fn default() -> Self {
        Self {
            current: None,
            pending: None,
            aborted: Vec::new(),
            retiring: Vec::new(),
            attempts: Attempts::default(),
        }
    }
}

impl<K: Published> Record<K> {
    /// Reads the JSON that [`Record::to_json`] writes, also as sidecars before the operator wrote it,
    /// with `prefix` and `deleteAfter`. Unknown members are ignored: a later release may have written
    /// them.
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

    /// Whether a key may still come to be that was not published.
    pub(crate) fn is_gated(&self) -> bool {
        self.unresolved().next().is_some()
    }

    /// All expirations that a new key must not have.
    pub(crate) fn expirations(&self) -> BTreeSet<Timestamp> {
        let current = self.current.as_ref().map(Published::token);
        self.unresolved().chain(current).map(Token::expiration).collect()
    }

    /// Whether this key was published, at some time.
    pub(crate) fn has_published(&self, key: &K::Name) -> bool {
        self.current.as_ref().is_some_and(|current| current.name() == key)
            || self.retiring.iter().any(|retiring| retiring.key == *key)
    }

    /// Starts on a key of about `lifetime` that is made by `me`, with an expiration that none of
    /// `listed` has; see [`Token::choose`] for `nonce`. Gives what shall be written down before
    /// Headscale is asked.
    pub(crate) fn begin(
        &self,
        me: &str,
        lifetime: SignedDuration,
        listed: impl Iterator<Item = Timestamp>,
        now: Timestamp,
        nonce: u32,
    ) -> (Self, Token) {
        let mut taken = self.expirations();
        taken.extend(listed);
        let token = Token::choose(now, lifetime, nonce, &taken);
        let mut next = self.clone();
        next.pending = Some(Intent { token, by: me.to_owned() });
        next.attempts = self.attempts.and_one(now);
        (next, token)
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

    /// Publishes a new key: it becomes current, nothing is pending, and the one that it replaces
    /// retires, and works until `until` at the latest.
    #[must_use]
    pub fn publish(&self, new: K, until: Timestamp) -> Self {
        let mut next = self.clone();
        next.pending = None;
        next.attempts = Attempts::default();
        next.retiring.retain(|retiring| retiring.key != *new.name());
        if let Some(old) = next.current.replace(new) {
            next.retiring.push(Retiring { key: old.name().clone(), until });
        }
        next
    }
}
