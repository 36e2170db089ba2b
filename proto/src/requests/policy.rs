//! The policy.

use http::Method;
use serde::Serialize;

use crate::call::{Call, Exchange, LARGE};
use crate::detect::Release;
use crate::error::{Error, ErrorKind};
use crate::model::Policy;

const PATH: &str = "/api/v1/policy";

#[derive(Serialize)]
struct Text<'a> {
    policy: &'a str,
}

pub(crate) async fn get(carrier: &impl Exchange) -> Result<Option<Policy>, Error> {
    let operation = "get the policy";
    let call = Call { limit: LARGE, ..Call::new(operation, Method::GET, PATH) };
    match carrier.exchange(call).await?.json(operation) {
        Ok(policy) => Ok(Some(policy)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) async fn set(carrier: &impl Exchange, text: &str) -> Result<Policy, Error> {
    let operation = "set the policy";
    let call = Call::new(operation, Method::PUT, PATH).json(&Text { policy: text })?;
    carrier.exchange(Call { limit: LARGE, ..call }).await?.json(operation)
}

pub(crate) async fn check(
    carrier: &impl Exchange,
    release: Release,
    text: &str,
) -> Result<(), Error> {
    let operation = "check a policy";
    if release < Release::V0_29 {
        let why = format!("Headscale {release} has no such call, 0.29 has");
        return Err(Error::unsent(operation, ErrorKind::Unsupported, &why));
    }
    let call =
        Call::new(operation, Method::POST, format!("{PATH}/check")).json(&Text { policy: text })?;
    carrier.exchange(call).await?.success(operation)
}
