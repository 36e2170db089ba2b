//! The API of 0.29 and older over gRPC, as far as we call it: the four calls about API keys.

use std::sync::Arc;

use bytes::Bytes;
use headscale_client::pb;
use headscale_client::pb::headscale_service_server::{HeadscaleService, HeadscaleServiceServer};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use prost_types::Timestamp;
use tonic::codegen::Service as _;
use tonic::{Code, Status};

use crate::body::Answer;
use crate::call::Call;
use crate::failure::Failure;
use crate::moment::Moment;
use crate::render::masked_api_key;
use crate::server::Shared;

const SERVICE: &str = "/headscale.v1.HeadscaleService/";

/// Which call a path is, for faults.
pub(crate) fn call_of(path: &str) -> Call {
    match path.strip_prefix(SERVICE) {
        Some("CreateApiKey") => Call::CreateApiKey,
        Some("ExpireApiKey") => Call::ExpireApiKey,
        Some("ListApiKeys") => Call::ListApiKeys,
        Some("DeleteApiKey") => Call::DeleteApiKey,
        _ => Call::Any,
    }
}

/// How a request stands in the log: by the name of the call.
pub(crate) fn name_of(path: &str) -> &str {
    path.strip_prefix(SERVICE).unwrap_or(path)
}

/// Answers a request over HTTP/2.
pub(crate) async fn answer(shared: &Arc<Shared>, request: Request<Bytes>) -> Response<Answer> {
    let content_type = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |v| v.as_bytes());
    if !content_type.starts_with(b"application/grpc") {
        let sent = String::from_utf8_lossy(content_type);
        let words = format!("invalid gRPC request content-type \"{sent}\"");
        let mut response: Response<Answer> = Status::invalid_argument(words).into_http();
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let mut service = HeadscaleServiceServer::new(Served { shared: Arc::clone(shared) });
    match service.call(request.map(Full::new)).await {
        Ok(response) => whole(response).await,
        Err(never) => match never {},
    }
}

/// The answer that a fault asks for instead of the true one.
pub(crate) fn fault(status: u16) -> Response<Answer> {
    let code = crate::failure::Code::of_status(status);
    Status::new(Code::from_i32(code as i32), format!("fault {status}")).into_http()
}

/// The answer to a call with a wrong key.
pub(crate) fn unauthorized() -> Response<Answer> {
    Status::unauthenticated("invalid token").into_http()
}

async fn whole(response: Response<tonic::body::Body>) -> Response<Answer> {
    let (parts, body) = response.into_parts();
    let answer = match body.collect().await {
        Ok(collected) => {
            let trailers: Option<HeaderMap> = collected.trailers().cloned();
            Answer::whole(collected.to_bytes(), trailers)
        }
        Err(status) => return status.into_http(),
    };
    Response::from_parts(parts, answer)
}

struct Served {
    shared: Arc<Shared>,
}

#[tonic::async_trait]
impl HeadscaleService for Served {
    async fn create_api_key(
        &self,
        request: tonic::Request<pb::CreateApiKeyRequest>,
    ) -> Result<tonic::Response<pb::CreateApiKeyResponse>, Status> {
        tokio::time::sleep(self.shared.key_cost()).await;
        let expiration = request.into_inner().expiration;
        let expiration = expiration.and_then(|time| Moment::from_parts(time.seconds, time.nanos));
        let api_key = self.shared.state().create_api_key(expiration).map_err(status)?;
        Ok(tonic::Response::new(pb::CreateApiKeyResponse { api_key }))
    }

    async fn expire_api_key(
        &self,
        request: tonic::Request<pb::ExpireApiKeyRequest>,
    ) -> Result<tonic::Response<pb::ExpireApiKeyResponse>, Status> {
        let request = request.into_inner();
        self.shared.state().expire_api_key(request.id, &request.prefix).map_err(status)?;
        Ok(tonic::Response::new(pb::ExpireApiKeyResponse {}))
    }

    async fn list_api_keys(
        &self,
        _request: tonic::Request<pb::ListApiKeysRequest>,
    ) -> Result<tonic::Response<pb::ListApiKeysResponse>, Status> {
        let state = self.shared.state();
        let keys = state.data().api_keys.iter().map(|key| pb::ApiKey {
            id: key.id,
            prefix: masked_api_key(&key.prefix),
            expiration: key.expiration.map(timestamp),
            created_at: Some(timestamp(key.created_at)),
            last_seen: None,
        });
        Ok(tonic::Response::new(pb::ListApiKeysResponse { api_keys: keys.collect() }))
    }

    async fn delete_api_key(
        &self,
        request: tonic::Request<pb::DeleteApiKeyRequest>,
    ) -> Result<tonic::Response<pb::DeleteApiKeyResponse>, Status> {
        let request = request.into_inner();
        self.shared.state().delete_api_key(request.id, &request.prefix).map_err(status)?;
        Ok(tonic::Response::new(pb::DeleteApiKeyResponse {}))
    }
}

fn status(failure: Failure) -> Status {
    Status::new(Code::from_i32(failure.code as i32), failure.message)
}

fn timestamp(moment: Moment) -> Timestamp {
    let nanos = moment.timestamp().as_nanosecond();
    let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    Timestamp {
        seconds: i64::try_from(seconds).unwrap_or_default(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}
