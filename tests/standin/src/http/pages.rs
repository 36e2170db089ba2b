//! What stands beside the API on TCP.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, json};

use super::{PLAIN, respond};
use crate::body::Answer;
use crate::call::ROUTES;
use crate::options::Version;
use crate::server::Shared;

const HTML: &str = "text/html; charset=utf-8";
const BLANK: &str = "<!DOCTYPE html><html><head><title>headscale</title></head></html>";

pub(super) fn answer(shared: &Shared, request: &Request<Bytes>) -> Response<Answer> {
    let version = shared.version();
    let has_swagger = version.has_grpc();
    let page = match request.uri().path() {
        "/health" => {
            let content_type = "application/health+json; charset=utf-8";
            Some(respond(200, content_type, "{\"status\":\"pass\"}\n"))
        }
        "/version" => Some(respond(200, "application/json", self::version(shared))),
        "/swagger" if has_swagger => Some(respond(200, HTML, BLANK)),
        "/swagger/v1/openapiv2.json" if has_swagger => {
            Some(respond(200, "application/json; charset=utf-8", swagger(version)))
        }
        "/robots.txt" => Some(respond(200, "text/plain", "User-agent: *\nDisallow: /")),
        "/" => Some(respond(200, HTML, BLANK)),
        _ => None,
    };
    let is_get = request.method() == "GET";
    match page {
        Some(page) if is_get => page,
        // 0.28 shows its blank page for whatever it does not know.
        _ if version == Version::V0_28 => respond(200, HTML, BLANK),
        Some(_) => respond(405, "", ""),
        None => not_found(),
    }
}

pub(super) fn not_found() -> Response<Answer> {
    respond(404, PLAIN, "404 page not found\n")
}

/// The description of the API as far as it tells versions apart: which calls there are.
fn swagger(version: Version) -> String {
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.since <= version) {
        let path = paths.entry(format!("/api/v1/{}", route.path)).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = json!({});
    }
    let body = json!({
        "swagger": "2.0",
        "info": {"title": "headscale/v1/headscale.proto", "version": "version not set"},
        "paths": paths,
    });
    body.to_string()
}

fn version(shared: &Shared) -> String {
    let body = json!({
        "version": shared.reported_version(),
        "commit": "unknown",
        "buildTime": "unknown",
        "go": { "version": "go1.26.0", "os": "linux", "arch": "amd64" },
        "dirty": false,
    });
    format!("{body}\n")
}
