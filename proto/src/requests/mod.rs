//! The calls over HTTP, one file for each kind of thing, whatever carries them.

pub(crate) mod api_keys;
pub(crate) mod nodes;
pub(crate) mod policy;
pub(crate) mod preauth_keys;
#[cfg(test)]
mod tests;
pub(crate) mod users;

use http::Method;

use crate::call::{Call, Exchange};
use crate::error::{Error, ErrorKind};
use crate::wire::or_default;

/// The path by which the socket tells what it speaks.
pub(crate) const HEALTH: &str = "/api/v1/health";

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    #[serde(default, deserialize_with = "or_default")]
    database_connectivity: bool,
}

pub(crate) async fn health(carrier: &impl Exchange) -> Result<(), Error> {
    let call = Call::new("check health", Method::GET, HEALTH);
    let operation = call.operation;
    let health: Health = carrier.exchange(call).await?.json(operation)?;
    if health.database_connectivity {
        Ok(())
    } else {
        Err(Error::answered(operation, ErrorKind::Internal, "Headscale's database is away"))
    }
}
