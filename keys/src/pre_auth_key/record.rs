//! What is written down about the pre-auth key of one Secret, beside its text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::prefix::KeyPrefix;
use crate::record::{self, Published};
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

impl Published for Current {
    type Name = KeyName;

    fn name(&self) -> &KeyName {
        &self.key
    }

    fn token(&self) -> Token {
        self.token
    }
}

/// What is known of the pre-auth keys of one Secret.
pub type Record = record::Record<Current>;
/// A pre-auth key that was not published, and must go.
pub type Aborted = record::Aborted<KeyName>;
/// A pre-auth key that was replaced.
pub type Retiring = record::Retiring<KeyName>;

impl Record {
    /// Forgets the key that was being made, because Headscale refused to make it.
    #[must_use]
    pub fn refused(&self) -> Self {
        Self { pending: None, ..self.clone() }
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
