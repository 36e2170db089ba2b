//! API keys.

use headscale_keys::{ApiKey, KeyPrefix, ListedApiKey};
use http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Exchange};
use crate::error::Error;
use crate::wire::{id, or_default, time};

/// What the calls are called in errors, on every transport.
pub(crate) mod operation {
    pub(crate) const CREATE: &str = "create an API key";
    pub(crate) const LIST: &str = "list API keys";
    pub(crate) const EXPIRE: &str = "expire an API key";
    pub(crate) const DELETE: &str = "delete an API key";
}

const PATH: &str = "/api/v1/apikey";

#[derive(Serialize)]
struct Create {
    #[serde(serialize_with = "time::serialize")]
    expiration: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    api_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default, deserialize_with = "or_default")]
    api_keys: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default, deserialize_with = "id::deserialize")]
    id: u64,
    #[serde(default, deserialize_with = "or_default")]
    prefix: String,
    #[serde(default, deserialize_with = "time::deserialize")]
    expiration: Option<Timestamp>,
}

#[derive(Serialize)]
struct Expire<'a> {
    prefix: &'a str,
}

pub(crate) async fn create(
    carrier: &impl Exchange,
    expiration: Timestamp,
) -> Result<ApiKey, Error> {
    let call = Call::new(operation::CREATE, Method::POST, PATH).json(&Create { expiration })?;
    let created: Created = carrier.exchange(call).await?.json(operation::CREATE)?;
    made(&created.api_key)
}

pub(crate) async fn list(carrier: &impl Exchange) -> Result<Vec<ListedApiKey>, Error> {
    let list: List =
        carrier.exchange(Call::list(operation::LIST, PATH)).await?.json(operation::LIST)?;
    let keys = list.api_keys.iter();
    keys.map(|key| listed(key.id, &key.prefix, key.expiration)).collect()
}

pub(crate) async fn expire(carrier: &impl Exchange, prefix: &KeyPrefix) -> Result<(), Error> {
    let call = Call::new(operation::EXPIRE, Method::POST, "/api/v1/apikey/expire")
        .json(&Expire { prefix: prefix.as_str() })?;
    carrier.exchange(call).await?.success(operation::EXPIRE)
}

pub(crate) async fn delete(carrier: &impl Exchange, prefix: &KeyPrefix) -> Result<(), Error> {
    // Of the alphabet that needs no encoding.
    let path = format!("{PATH}/{prefix}");
    let call = Call::new(operation::DELETE, Method::DELETE, path);
    carrier.exchange(call).await?.success(operation::DELETE)
}

/// The key that an answer holds.
pub(crate) fn made(text: &str) -> Result<ApiKey, Error> {
    ApiKey::parse(text).map_err(|error| Error::protocol(operation::CREATE, &error.to_string()))
}

/// A key that an answer lists.
pub(crate) fn listed(
    id: u64,
    prefix: &str,
    expiration: Option<Timestamp>,
) -> Result<ListedApiKey, Error> {
    let prefix = KeyPrefix::parse(prefix)
        .map_err(|error| Error::protocol(operation::LIST, &format!("key {id}: {error}")))?;
    Ok(ListedApiKey { id, prefix, expiration })
}
