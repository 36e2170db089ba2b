//! What is written down about the auth keys of one node, beside them in its config Secret.

use headscale_keys::Token;
use headscale_keys::pre_auth_key::KeyName;
use headscale_keys::reissue::{Intent, KeyId, NodeId, Occasion};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// So many keys are remembered. The node that asks for another key came in with one of the last.
const KEYS: usize = 8;

/// Why a key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The node is new.
    First,
    /// Its key was used.
    Used,
    /// Its key expired, or was revoked.
    Expired,
    /// Headscale does not know its key as one that was made for it.
    Unknown,
    /// It had no key, and is not in Headscale any more.
    NodeGone,
    /// It had no key, and lost its login.
    LoginLost,
    /// Nothing was wrong with what it has.
    FalseAlarm,
}

impl Reason {
    /// One word for metrics, and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::NodeGone => "node_gone",
            Self::LoginLost => "login_lost",
            Self::FalseAlarm => "false_alarm",
        }
    }
}

/// A key that is to be made, and what is to be done before: written down first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The expiration that it will have, and that no other key has.
    pub token: Token,
    /// When this was written. A request for the key is sent soon after it, or never.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// The old node, where it is to be deleted first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_node: Option<u64>,
    /// The old key, where it is to be expired first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_key: Option<u64>,
    /// The old node, where it goes later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_node: Option<u64>,
}

impl Pending {
    /// Writes an intent down.
    #[must_use]
    pub fn new(intent: Intent, token: Token, at: Timestamp, reason: Reason) -> Self {
        Self {
            token,
            at,
            reason,
            delete_node: intent.delete.map(|node| node.0),
            expire_key: intent.expire.map(|key| key.0),
            keep_node: intent.keep.map(|node| node.0),
        }
    }

    /// The intent.
    #[must_use]
    pub fn intent(&self) -> Intent {
        let occasion =
            if self.reason == Reason::First { Occasion::First } else { Occasion::Reissue };
        Intent {
            occasion,
            delete: self.delete_node.map(NodeId),
            expire: self.expire_key.map(KeyId),
            keep: self.keep_node.map(NodeId),
        }
    }
}

/// All that is written down. It contains numbers, prefixes and times, no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What was decided and is not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// The node that was kept when its replica asked without need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<u64>,
    /// The last keys that were made for the node, the latest last. A node that came in with one of
    /// these is this replica's; no other node is ever deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyName>,
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

    /// The record as JSON, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them always can be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Without what is not carried out.
    #[must_use]
    pub fn abandoned(&self) -> Self {
        Self { pending: None, ..self.clone() }
    }

    /// With the key that was made, and the node that is kept for it.
    #[must_use]
    pub fn made(&self, key: KeyName) -> Self {
        let keep = self.pending.as_ref().and_then(|pending| pending.keep_node);
        let mut keys = self.keys.clone();
        keys.push(key);
        keys.drain(..keys.len().saturating_sub(KEYS));
        Self { pending: None, kept: keep.or(self.kept), keys }
    }
}
