//! Nodes.

use headscale_keys::KeyPrefix;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{PreAuthKey, User};
use crate::wire::{id, or_default, time};

/// A node.
///
/// One that is listed tells more than one that is got or changed: see
/// [`list_nodes`](crate::HeadscaleApi::list_nodes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Node {
    /// Headscale's number of it.
    #[serde(deserialize_with = "id::deserialize")]
    pub id: u64,
    /// `mkey:` and hexadecimal digits.
    #[serde(deserialize_with = "or_default")]
    pub machine_key: String,
    /// `nodekey:` and hexadecimal digits.
    #[serde(deserialize_with = "or_default")]
    pub node_key: String,
    /// `discokey:` and hexadecimal digits.
    #[serde(deserialize_with = "or_default")]
    pub disco_key: String,
    /// Its addresses in the tailnet.
    #[serde(deserialize_with = "or_default")]
    pub ip_addresses: Vec<String>,
    /// What the machine calls itself.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Its name in the tailnet, which renaming changes.
    #[serde(deserialize_with = "or_default")]
    pub given_name: String,
    /// Whose it is. Of a tagged node `None`, or where nodes are listed a user `tagged-devices` that
    /// does not exist otherwise.
    #[serde(deserialize_with = "or_default")]
    pub user: Option<User>,
    /// When it was last connected; `None` while it is, and where it never was.
    #[serde(deserialize_with = "time::deserialize")]
    pub last_seen: Option<Timestamp>,
    /// When it must log in again; `None` for never.
    #[serde(deserialize_with = "time::deserialize")]
    pub expiry: Option<Timestamp>,
    /// What it registered with.
    #[serde(deserialize_with = "or_default")]
    pub pre_auth_key: Option<NodePreAuthKey>,
    /// When it was registered.
    #[serde(deserialize_with = "time::deserialize")]
    pub created_at: Option<Timestamp>,
    /// How it was registered.
    #[serde(deserialize_with = "method")]
    pub register_method: RegisterMethod,
    /// Whether it is connected.
    #[serde(deserialize_with = "or_default")]
    pub online: bool,
    /// Routes that it may serve.
    #[serde(deserialize_with = "or_default")]
    pub approved_routes: Vec<String>,
    /// Routes that it offers.
    #[serde(deserialize_with = "or_default")]
    pub available_routes: Vec<String>,
    /// Routes that it serves.
    #[serde(deserialize_with = "or_default")]
    pub subnet_routes: Vec<String>,
    /// Its tags. A tagged node is of no user, for good.
    #[serde(deserialize_with = "or_default")]
    pub tags: Vec<String>,
}

/// The pre-auth key that a node registered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePreAuthKey {
    /// Headscale's number of it.
    pub id: u64,
    /// What names it; `None` for a key from before 0.28.
    pub prefix: Option<KeyPrefix>,
    /// The tags that it gave.
    pub acl_tags: Vec<String>,
}

impl<'de> Deserialize<'de> for NodePreAuthKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let PreAuthKey { id, prefix, acl_tags, .. } = PreAuthKey::deserialize(deserializer)?;
        Ok(Self { id, prefix, acl_tags })
    }
}

/// How a node was registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegisterMethod {
    /// Not said, or said in words that are not known.
    #[default]
    Unspecified,
    /// With a pre-auth key.
    AuthKey,
    /// By the command line or the API.
    Cli,
    /// With an identity provider.
    Oidc,
}

fn method<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RegisterMethod, D::Error> {
    let name: String = or_default(deserializer)?;
    Ok(match name.as_str() {
        "REGISTER_METHOD_AUTH_KEY" => RegisterMethod::AuthKey,
        "REGISTER_METHOD_CLI" => RegisterMethod::Cli,
        "REGISTER_METHOD_OIDC" => RegisterMethod::Oidc,
        _ => RegisterMethod::Unspecified,
    })
}

/// When a node is to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeExpiry {
    /// Now: it must log in again.
    Now,
    /// Then.
    At(Timestamp),
    /// Never, which Headscale has since 0.29.
    Never,
}

/// A node that is made up, for tests: it waits to be registered, and no machine is behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewDebugNode {
    /// The name of the user that it will be of.
    pub user: String,
    /// The id of its registration: `hskey-authreq-` and 24 characters, but 24 characters in 0.28.
    pub key: String,
    /// What the machine calls itself.
    pub name: String,
    /// Routes that it offers, which some versions lose.
    pub routes: Vec<String>,
}
