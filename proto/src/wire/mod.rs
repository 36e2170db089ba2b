//! How values stand in Headscale's JSON, read leniently: absent and null are nothing, and so is
//! what is empty.

pub(crate) mod id;
pub(crate) mod time;

use serde::{Deserialize, Deserializer};

/// A value, or its default where there is null.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
