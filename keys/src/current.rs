//! What is written down about an API key that consumers read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::prefix::KeyPrefix;
use crate::record::{self, Published};
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

impl Published for Current {
    type Name = KeyPrefix;

    fn name(&self) -> &KeyPrefix {
        &self.prefix
    }

    fn token(&self) -> Token {
        self.token
    }
}

/// What is known of the API keys of one Secret.
pub type Record = record::Record<Current>;
/// An API key that was not published, and must go.
pub type Aborted = record::Aborted<KeyPrefix>;
/// An API key that was replaced and still works, for consumers that have not read the new one.
pub type Retiring = record::Retiring<KeyPrefix>;
