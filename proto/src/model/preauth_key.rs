//! Pre-auth keys: what nodes register with.

use std::fmt;

use headscale_keys::{AuthKey, KeyPrefix};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::User;
use crate::wire::{id, or_default, time};

/// A pre-auth key as Headscale lists it, without its secret part.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PreAuthKey {
    /// Headscale's number of it, by which it is expired and deleted.
    #[serde(deserialize_with = "id::deserialize")]
    pub id: u64,
    /// What names it in logs. `None` for a key from before 0.28, which Headscale lists in full and
    /// which is not kept here.
    #[serde(rename = "key", deserialize_with = "prefix")]
    pub prefix: Option<KeyPrefix>,
    /// Whose nodes it makes or, where it has tags, who made it.
    #[serde(deserialize_with = "or_default")]
    pub user: Option<User>,
    /// Whether more than one node may use it.
    #[serde(deserialize_with = "or_default")]
    pub reusable: bool,
    /// Whether nodes that use it are deleted once they are away.
    #[serde(deserialize_with = "or_default")]
    pub ephemeral: bool,
    /// Whether a node has used it.
    #[serde(deserialize_with = "or_default")]
    pub used: bool,
    /// From when on it is refused. `None` where none was given: the key was expired when it was
    /// made.
    #[serde(deserialize_with = "time::deserialize")]
    pub expiration: Option<Timestamp>,
    /// When it was made.
    #[serde(deserialize_with = "time::deserialize")]
    pub created_at: Option<Timestamp>,
    /// The tags of nodes that use it.
    #[serde(deserialize_with = "or_default")]
    pub acl_tags: Vec<String>,
}

impl fmt::Debug for PreAuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreAuthKey")
            .field("id", &self.id)
            .field("prefix", &self.prefix)
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}

/// The prefix of a key, which may stand there masked or, when it was just made, in full.
fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyPrefix>, D::Error> {
    let text: String = or_default(deserializer)?;
    let listed = text.strip_suffix("***").and_then(|_| KeyPrefix::parse(&text).ok());
    Ok(listed.or_else(|| AuthKey::new(&text).prefix().cloned()))
}

/// A pre-auth key that was just made.
#[derive(Clone, Debug)]
pub struct CreatedPreAuthKey {
    /// The key itself, which Headscale shows in this answer and never again.
    pub key: AuthKey,
    /// What is listed of it.
    pub details: PreAuthKey,
}

/// A pre-auth key to be made. It needs a user or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPreAuthKey {
    /// The number of the user whose nodes it makes or, where it has tags, who makes it.
    #[serde(serialize_with = "optional_id", skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    /// Whether more than one node may use it.
    pub reusable: bool,
    /// Whether nodes that use it are deleted once they are away.
    pub ephemeral: bool,
    /// From when on it is refused. Headscale knows no key that never expires.
    #[serde(serialize_with = "time::serialize")]
    pub expiration: Timestamp,
    /// The tags of nodes that use it, each `tag:NAME`.
    pub acl_tags: Vec<String>,
}

impl NewPreAuthKey {
    /// One that makes one node of the user.
    #[must_use]
    pub fn of_user(user: u64, expiration: Timestamp) -> Self {
        Self {
            user: Some(user),
            reusable: false,
            ephemeral: false,
            expiration,
            acl_tags: Vec::new(),
        }
    }

    /// One that makes one node with these tags and of no user.
    #[must_use]
    pub fn tagged<T: Into<String>>(
        tags: impl IntoIterator<Item = T>,
        expiration: Timestamp,
    ) -> Self {
        let acl_tags = tags.into_iter().map(Into::into).collect();
        Self { user: None, acl_tags, ..Self::of_user(0, expiration) }
    }
}

fn optional_id<S: serde::Serializer>(user: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    id::serialize(&user.unwrap_or_default(), serializer)
}
