//! What the Unix socket of Headscale 0.28 and 0.29 speaks.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use headscale_keys::{ApiKey, KeyPrefix, ListedApiKey};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use jiff::Timestamp;
use prost_types::Timestamp as WireTime;
use tonic::body::Body;
use tower_service::Service;

use crate::api::ApiKeys;
use crate::call::LARGE;
use crate::classify;
use crate::error::{Error, ErrorKind, chain};
use crate::requests::api_keys::{listed, made, operation};
use crate::wire::time::since_1900;

use pb::headscale_service_client::HeadscaleServiceClient;

/// The messages as they go over the wire, with the client and, with the feature `server`, the
/// server of them.
#[allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    missing_docs,
    unreachable_pub,
    let_underscore_drop,
    reason = "the code is generated"
)]
#[rustfmt::skip]
pub mod pb {
    include!("generated/headscale.v1.rs");
}

impl fmt::Debug for pb::CreateApiKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key.
        f.debug_struct("CreateApiKeyResponse").finish_non_exhaustive()
    }
}

/// A connection that speaks gRPC. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Grpc {
    sender: SendRequest<Body>,
}

impl Grpc {
    pub(crate) fn new(sender: SendRequest<Body>) -> Self {
        Self { sender }
    }

    /// Whether another call can go over it.
    pub(crate) fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    fn client(&self) -> HeadscaleServiceClient<Self> {
        // Headscale does not look at whom it was called.
        let origin = Uri::from_static("http://localhost");
        HeadscaleServiceClient::with_origin(self.clone(), origin).max_decoding_message_size(LARGE)
    }
}

/// What broke a connection.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct Lost {
    /// Whether the request had not left.
    is_unsent: bool,
    #[source]
    error: hyper::Error,
}

impl Service<Request<Body>> for Grpc {
    type Response = Response<Incoming>;
    type Error = Lost;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Lost>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        // Where it is not, that is told where the request is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = self.sender.try_send_request(request);
        Box::pin(async move {
            response.await.map_err(|mut error| {
                let is_unsent = error.take_message().is_some();
                Lost { is_unsent, error: error.into_error() }
            })
        })
    }
}

impl ApiKeys for Grpc {
    async fn create_api_key(&self, expiration: Timestamp) -> Result<ApiKey, Error> {
        let request = pb::CreateApiKeyRequest { expiration: Some(to_wire(expiration)) };
        let response = self.client().create_api_key(request).await;
        made(&response.map_err(|status| failed(operation::CREATE, &status))?.get_ref().api_key)
    }

    async fn list_api_keys(&self) -> Result<Vec<ListedApiKey>, Error> {
        let response = self.client().list_api_keys(pb::ListApiKeysRequest {}).await;
        let response = response.map_err(|status| failed(operation::LIST, &status))?;
        let keys = response.get_ref().api_keys.iter();
        keys.map(|key| listed(key.id, &key.prefix, key.expiration.and_then(from_wire))).collect()
    }

    async fn expire_api_key(&self, prefix: &KeyPrefix) -> Result<(), Error> {
        let request = pb::ExpireApiKeyRequest { prefix: prefix.to_string(), id: 0 };
        let response = self.client().expire_api_key(request).await;
        response.map(drop).map_err(|status| failed(operation::EXPIRE, &status))
    }

    async fn delete_api_key(&self, prefix: &KeyPrefix) -> Result<(), Error> {
        let request = pb::DeleteApiKeyRequest { prefix: prefix.to_string(), id: 0 };
        let response = self.client().delete_api_key(request).await;
        response.map(drop).map_err(|status| failed(operation::DELETE, &status))
    }
}

/// What Headscale answered, or that the connection broke: then the status is made here, and has
/// what broke it.
fn failed(operation: &'static str, status: &tonic::Status) -> Error {
    let Some(cause) = std::error::Error::source(status) else {
        return classify::grpc(operation, status);
    };
    let is_unsent = cause.downcast_ref().is_some_and(|lost: &Lost| lost.is_unsent);
    match is_unsent {
        true => Error::unsent(operation, ErrorKind::Unavailable, &chain(cause)),
        false => Error::unanswered(operation, ErrorKind::Unavailable, &chain(cause)),
    }
}

fn to_wire(time: Timestamp) -> WireTime {
    // The wire counts nanoseconds forward only.
    let seconds = time.as_nanosecond().div_euclid(1_000_000_000);
    let nanos = time.as_nanosecond().rem_euclid(1_000_000_000);
    WireTime {
        seconds: i64::try_from(seconds).unwrap_or_default(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

fn from_wire(time: WireTime) -> Option<Timestamp> {
    if time.seconds > Timestamp::MAX.as_second() {
        return Some(Timestamp::MAX);
    }
    Timestamp::new(time.seconds, time.nanos).ok().and_then(since_1900)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_from_the_wire() {
        for text in
            ["1969-12-31T23:59:59.25Z", "1970-01-01T00:00:00Z", "2030-01-02T03:04:05.000000001Z"]
        {
            let time: Timestamp = text.parse().expect("a time");
            assert_eq!(from_wire(to_wire(time)), Some(time));
        }
        let seconds = |seconds| WireTime { seconds, nanos: 0 };
        // The year 1, garbage, and hours of the year 9999 that only Headscale has.
        assert_eq!(from_wire(seconds(-62_135_596_800)), None);
        assert_eq!(from_wire(WireTime { seconds: 1, nanos: -2_000_000_000 }), None);
        assert_eq!(from_wire(seconds(253_402_300_799)), Some(Timestamp::MAX));
        assert_eq!(from_wire(seconds(i64::MAX)), Some(Timestamp::MAX));
    }

    #[test]
    fn a_new_key_is_not_printed() {
        let response = pb::CreateApiKeyResponse { api_key: "a-secret".to_owned() };
        assert!(!format!("{response:?}").contains("a-secret"));
    }
}
