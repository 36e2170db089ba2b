//! The API of 0.30 over HTTP.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    API, content_type, decode, execute, is_authorized, pages, query, respond, unauthorized,
};
use crate::arguments::{Sent, strict};
use crate::body::Answer;
use crate::call::{Found, find};
use crate::failure::Failure;
use crate::server::{Door, Shared};

/// From this size on a body is too large.
const TOO_LARGE: usize = 1 << 20;

const OPENAPI: &str = "openapi: 3.1.0\ninfo:\n  title: Headscale API\n  version: v1\npaths: {}\n";

pub(super) async fn answer(
    shared: &Shared,
    door: Door,
    request: &Request<Bytes>,
) -> Response<Answer> {
    let Some(rest) = request.uri().path().strip_prefix(API) else {
        return match door {
            Door::Tcp => pages::answer(shared, request),
            Door::Socket => pages::not_found(),
        };
    };
    if rest == "openapi.yaml" && request.method() == "GET" {
        return respond(200, "application/openapi+yaml", OPENAPI);
    }
    let segments: Vec<&str> = rest.split('/').collect();
    let (route, parameters) = match find(shared.version(), request.method().as_str(), &segments) {
        Found::Route(route, parameters) => (route, parameters),
        Found::OtherMethod => return respond(405, "", ""),
        Found::Nothing => return pages::not_found(),
    };
    // Who can reach the socket is trusted, whatever the request says.
    if door == Door::Tcp && !is_authorized(shared, request.headers()).await {
        return unauthorized(shared);
    }
    let body = request.body();
    if body.len() >= TOO_LARGE {
        let words = format!("request body is too large limit={TOO_LARGE} bytes");
        return problem(413, &words, &[]);
    }
    let sent = Sent {
        path: parameters.into_iter().map(|(name, value)| (name, decode(value))).collect(),
        query: query(request),
        content_type: content_type(request.headers()),
        body,
    };
    let arguments = match strict(route, &sent) {
        Ok(arguments) => arguments,
        Err(refusal) => return problem(refusal.status, refusal.detail, &refusal.errors),
    };
    match execute(shared, route.call, &arguments).await {
        Ok(answer) => respond(200, "application/json", format!("{answer}\n")),
        Err(Failure { status, detail, cause, .. }) => {
            let errors: Vec<Value> =
                cause.into_iter().map(|cause| json!({ "message": cause })).collect();
            problem(status, &detail, &errors)
        }
    }
}

/// An answer in the form of RFC 9457.
pub(super) fn problem(status: u16, detail: &str, errors: &[Value]) -> Response<Answer> {
    let title = match status {
        // Go has kept the old name.
        413 => "Request Entity Too Large",
        _ => StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or(""),
    };
    let mut body = Map::new();
    body.insert("title".to_owned(), json!(title));
    body.insert("status".to_owned(), json!(status));
    body.insert("detail".to_owned(), json!(detail));
    if !errors.is_empty() {
        body.insert("errors".to_owned(), json!(errors));
    }
    respond(status, "application/problem+json", format!("{}\n", Value::Object(body)))
}
