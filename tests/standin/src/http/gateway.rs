//! The API of 0.29 and older over HTTP: a gateway in front of gRPC, behind a check of the key.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;

use super::{
    API, content_type, decode, execute, is_authorized, pages, query, respond, unauthorized,
};
use crate::arguments::{Sent, lenient};
use crate::body::Answer;
use crate::call::{Found, find};
use crate::failure::{Code, Failure};
use crate::options::Version;
use crate::server::Shared;

const JSON: &str = "application/json";
/// What gRPC takes by default.
const LARGEST_BODY: usize = 4 << 20;

pub(super) async fn answer(shared: &Shared, request: &Request<Bytes>) -> Response<Answer> {
    let path = decode(request.uri().path());
    // The check stands before everything below /api; 0.28 routes only what is below /api/v1/ there.
    let checked = if shared.version() == Version::V0_28 { API } else { "/api/" };
    if !path.starts_with(checked) {
        return pages::answer(shared, request);
    }
    if !is_authorized(shared, request.headers()).await {
        return unauthorized(shared);
    }
    let Some(rest) = path.strip_prefix(API) else { return pages::not_found() };
    let segments: Vec<&str> = rest.split('/').collect();
    let (route, parameters) = match find(shared.version(), request.method().as_str(), &segments) {
        Found::Route(route, parameters) => (route, parameters),
        Found::OtherMethod => return refuse(Code::Unimplemented, "Method Not Allowed"),
        Found::Nothing => return refuse(Code::NotFound, "Not Found"),
    };
    let body = request.body();
    if body.len() > LARGEST_BODY {
        let length = body.len();
        let words = format!("grpc: received message larger than max ({length} vs. {LARGEST_BODY})");
        return refuse(Code::ResourceExhausted, &words);
    }
    let sent = Sent {
        path: parameters.into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
        query: query(request),
        content_type: content_type(request.headers()),
        body,
    };
    let outcome = match lenient(shared.version(), route, &sent) {
        Ok(arguments) => execute(shared, route.call, &arguments).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(answer) => respond(200, JSON, answer.to_string()),
        Err(Failure { code, message, .. }) => refuse(code, &message),
    }
}

pub(super) fn fault(status: u16, words: &str) -> Response<Answer> {
    with_status(status, Code::of_status(status), words)
}

fn refuse(code: Code, message: &str) -> Response<Answer> {
    with_status(code.status(), code, message)
}

fn with_status(status: u16, code: Code, message: &str) -> Response<Answer> {
    let body = json!({ "code": code as i32, "message": message, "details": [] });
    respond(status, JSON, body.to_string())
}
