//! What is on disk.

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// The whole database.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Data {
    /// The last number given to a row of each table; numbers are never given twice.
    pub(crate) last: LastIds,
    pub(crate) users: Vec<User>,
    pub(crate) api_keys: Vec<ApiKey>,
    pub(crate) auth_keys: Vec<AuthKey>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) policy: Option<Policy>,
    /// The last version that started on it, of those that write it down.
    #[serde(default)]
    pub(crate) version: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LastIds {
    pub(crate) user: u64,
    pub(crate) api_key: u64,
    pub(crate) auth_key: u64,
    pub(crate) node: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) email: String,
    pub(crate) picture_url: String,
    pub(crate) created_at: Moment,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ApiKey {
    pub(crate) id: u64,
    pub(crate) prefix: String,
    pub(crate) hash: String,
    /// None for keys of old servers, which never expire.
    pub(crate) expiration: Option<Moment>,
    pub(crate) created_at: Moment,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AuthKey {
    pub(crate) id: u64,
    pub(crate) prefix: String,
    pub(crate) hash: String,
    pub(crate) user: Option<u64>,
    pub(crate) reusable: bool,
    pub(crate) ephemeral: bool,
    pub(crate) used: bool,
    pub(crate) expiration: Moment,
    pub(crate) created_at: Moment,
    pub(crate) tags: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) machine_key: String,
    pub(crate) node_key: String,
    pub(crate) hostname: String,
    pub(crate) given_name: String,
    /// The owner; of a tagged node on 0.28, who made it.
    pub(crate) user: Option<u64>,
    pub(crate) auth_key: Option<u64>,
    pub(crate) method: Method,
    pub(crate) addresses: Vec<String>,
    pub(crate) created_at: Moment,
    pub(crate) last_seen: Option<Moment>,
    pub(crate) expiry: Option<Moment>,
    pub(crate) approved: Vec<String>,
    pub(crate) announced: Vec<String>,
    pub(crate) tags: Vec<String>,
}

/// How a node came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Method {
    Unspecified,
    AuthKey,
    Cli,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) text: String,
    pub(crate) updated_at: Moment,
}

impl Data {
    /// The user of this number.
    pub(crate) fn user(&self, id: u64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The user that is stored under this name.
    pub(crate) fn user_named(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Removes pre-auth keys; nodes forget them.
    pub(crate) fn remove_auth_keys(&mut self, remove: impl Fn(&AuthKey) -> bool) {
        self.auth_keys.retain(|key| !remove(key));
        for node in &mut self.nodes {
            node.auth_key = node.auth_key.filter(|id| self.auth_keys.iter().any(|k| k.id == *id));
        }
    }
}
