//! Answers over HTTP: the API in the two forms that it has had, and the pages beside it.

mod gateway;
mod native;
mod pages;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;

use crate::arguments::Arguments;
use crate::body::Answer;
use crate::call::{Call, Found, find};
use crate::failure::Failure;
use crate::server::{Door, Shared};
use crate::{api, options::Version};

const API: &str = "/api/v1/";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Which call a request is, for faults.
pub(crate) fn call_of(version: Version, method: &str, path: &str) -> Call {
    let Some(rest) = path.strip_prefix(API) else {
        return match path {
            "/health" => Call::HealthPage,
            "/version" => Call::VersionPage,
            _ => Call::Any,
        };
    };
    if rest == "openapi.yaml" {
        return Call::OpenApi;
    }
    match find(version, method, &rest.split('/').collect::<Vec<_>>()) {
        Found::Route(route, _) => route.call,
        Found::OtherMethod | Found::Nothing => Call::Any,
    }
}

/// Answers a request.
pub(crate) async fn answer(
    shared: &Shared,
    door: Door,
    request: &Request<Bytes>,
) -> Response<Answer> {
    if shared.version().has_grpc() {
        gateway::answer(shared, request).await
    } else {
        native::answer(shared, door, request).await
    }
}

/// The answer that a fault asks for instead of the true one.
pub(crate) fn fault(shared: &Shared, status: u16) -> Response<Answer> {
    let words = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let words = words.unwrap_or("fault");
    if shared.version().has_grpc() {
        gateway::fault(status, words)
    } else {
        native::problem(status, words, &[])
    }
}

/// The answer to a call without a key, or with a wrong one.
pub(crate) fn unauthorized(shared: &Shared) -> Response<Answer> {
    if shared.version().has_grpc() {
        respond(401, PLAIN, "Unauthorized")
    } else {
        native::problem(401, "Unauthorized", &[])
    }
}

/// Whether a request carries a key that is good now. Takes the time of hashing.
async fn is_authorized(shared: &Shared, headers: &HeaderMap) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(key) = header.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    tokio::time::sleep(shared.key_cost()).await;
    shared.state().authenticates(key)
}

/// Carries a call out. Takes the time of hashing where it makes a key.
async fn execute(shared: &Shared, call: Call, arguments: &Arguments) -> Result<Value, Failure> {
    if matches!(call, Call::CreateApiKey | Call::CreatePreAuthKey) {
        tokio::time::sleep(shared.key_cost()).await;
    }
    api::execute(&mut shared.state(), call, arguments)
}

fn respond(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(body.into(), None));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = content_type.try_into()
        && !content_type.is_empty()
    {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

/// The pairs of a query.
fn query(request: &Request<Bytes>) -> Vec<(String, String)> {
    let pairs =
        request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Undoes percent-encoding; what is no such sequence stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value.filter(|_| byte == b'%') {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
