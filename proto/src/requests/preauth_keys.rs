//! Pre-auth keys, by their numbers: so it has been since 0.28.

use headscale_keys::AuthKey;
use http::Method;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Exchange};
use crate::error::Error;
use crate::model::{CreatedPreAuthKey, NewPreAuthKey, PreAuthKey};
use crate::wire::{id, or_default};

const PATH: &str = "/api/v1/preauthkey";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One<T> {
    pre_auth_key: T,
}

/// What is listed only in part.
#[derive(Deserialize)]
struct Secret {
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default, deserialize_with = "or_default")]
    pre_auth_keys: Vec<PreAuthKey>,
}

#[derive(Serialize)]
struct Expire {
    #[serde(serialize_with = "id::serialize")]
    id: u64,
}

pub(crate) async fn create(
    carrier: &impl Exchange,
    key: &NewPreAuthKey,
) -> Result<CreatedPreAuthKey, Error> {
    let operation = "create a pre-auth key";
    let call = Call::new(operation, Method::POST, PATH).json(key)?;
    let answer = carrier.exchange(call).await?;
    let secret: One<Secret> = answer.json(operation)?;
    let details: One<PreAuthKey> = answer.json(operation)?;
    let key = AuthKey::new(&secret.pre_auth_key.key);
    if key.is_empty() {
        return Err(Error::protocol(operation, "the answer has no key"));
    }
    Ok(CreatedPreAuthKey { key, details: details.pre_auth_key })
}

pub(crate) async fn list(carrier: &impl Exchange) -> Result<Vec<PreAuthKey>, Error> {
    let operation = "list pre-auth keys";
    let list: List = carrier.exchange(Call::list(operation, PATH)).await?.json(operation)?;
    Ok(list.pre_auth_keys)
}

pub(crate) async fn expire(carrier: &impl Exchange, id: u64) -> Result<(), Error> {
    let operation = "expire a pre-auth key";
    let call = Call::new(operation, Method::POST, format!("{PATH}/expire")).json(&Expire { id })?;
    carrier.exchange(call).await?.success(operation)
}

pub(crate) async fn delete(carrier: &impl Exchange, id: u64) -> Result<(), Error> {
    let operation = "delete a pre-auth key";
    let call = Call::new(operation, Method::DELETE, format!("{PATH}?id={id}"));
    carrier.exchange(call).await?.success(operation)
}
