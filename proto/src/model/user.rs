//! Users.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::{id, or_default, time};

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// Headscale's number of it.
    #[serde(deserialize_with = "id::deserialize")]
    pub id: u64,
    /// What policies call it. A user without a name has its address, or its number, here.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// When it was made.
    #[serde(deserialize_with = "time::deserialize")]
    pub created_at: Option<Timestamp>,
    /// Its name for people; may be empty.
    #[serde(deserialize_with = "or_default")]
    pub display_name: String,
    /// Its address; may be empty.
    #[serde(deserialize_with = "or_default")]
    pub email: String,
    /// What the identity provider calls it; empty for others.
    #[serde(deserialize_with = "or_default")]
    pub provider_id: String,
    /// Where it comes from: `oidc`, or empty.
    #[serde(deserialize_with = "or_default")]
    pub provider: String,
    /// A picture of it; may be empty.
    #[serde(rename = "profilePicUrl", deserialize_with = "or_default")]
    pub profile_picture_url: String,
}

/// A user to be made. No version that is supported checks the name: what policies can say of a user,
/// and that it can be renamed again, is for the caller to see to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewUser {
    /// What policies call it; unique.
    pub name: String,
    /// Its name for people; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Its address; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// A picture of it; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub picture_url: String,
}

impl NewUser {
    /// With a name and nothing else.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// Which users are listed. Headscale has one filter at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UserFilter {
    /// All.
    #[default]
    All,
    /// The one of this number.
    Id(u64),
    /// The one whose stored name this is: one from an identity provider may be shown by its address
    /// and have none.
    Name(String),
    /// Those of this address.
    Email(String),
}
