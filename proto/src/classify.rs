//! What an answer of Headscale that is no success means, on every version.
//!
//! 0.30 says it by HTTP status, with the reason in problem+json. Before that a gateway turned gRPC
//! codes into HTTP, and most refusals have the code `Unknown`: what they mean stands in their text
//! only.

use http::StatusCode;
use serde::Deserialize;

use crate::answer::Answer;
use crate::error::{Error, ErrorKind};

/// The numbers of gRPC codes that Headscale, or what is before it, answers.
mod code {
    pub(super) const CANCELLED: i64 = 1;
    pub(super) const UNKNOWN: i64 = 2;
    pub(super) const INVALID_ARGUMENT: i64 = 3;
    pub(super) const DEADLINE_EXCEEDED: i64 = 4;
    pub(super) const NOT_FOUND: i64 = 5;
    pub(super) const ALREADY_EXISTS: i64 = 6;
    pub(super) const PERMISSION_DENIED: i64 = 7;
    pub(super) const FAILED_PRECONDITION: i64 = 9;
    pub(super) const UNIMPLEMENTED: i64 = 12;
    pub(super) const INTERNAL: i64 = 13;
    pub(super) const UNAVAILABLE: i64 = 14;
    pub(super) const UNAUTHENTICATED: i64 = 16;

    /// Whether gRPC has such a code for a failure.
    pub(super) fn is_one(number: i64) -> bool {
        (CANCELLED..=UNAUTHENTICATED).contains(&number)
    }
}

/// Something has the name already: SQLite's words and PostgreSQL's.
const TAKEN: &[&str] =
    &["UNIQUE constraint failed", "duplicate key value violates unique constraint"];

/// The request is refused, whatever else the text says: it may quote what is not found.
const REFUSED: &[&str] = &["setting policy:", "parsing policy"];

/// A node is not there.
const GONE: &str = "no longer exists in NodeStore";

/// What the call is about is not there.
const MISSING: &[&str] = &["not found", GONE];

/// The request is refused.
const INVALID: &[&str] = &[
    "user not empty",
    "auth-key must be either tagged or owned by user",
    "tag must start with",
    "tag should",
    "tags must not contain",
    "renaming node:",
    "is not a valid DNS label",
    "must be lowercase",
    "parsing route:",
    "update is disabled for modes other than",
    "registration ID must be",
    "auth ID has invalid",
    "invalid auth ID",
    "invalid AuthID",
    "cannot edit OIDC user",
    "not confirmed, aborting",
    "request body is too large",
];

/// The error that an answer other than 200 means.
pub(crate) fn refusal(operation: &'static str, answer: &Answer) -> Error {
    let (kind, text) = match Body::of(answer) {
        Body::Problem(problem) => (of_status(answer.status, &problem.text()), problem.text()),
        Body::Gateway(gateway) => (of_code(gateway.code, &gateway.message), gateway.message),
        Body::Text(text) => (of_plain(answer.status), text),
    };
    let said = if text.is_empty() { String::new() } else { format!(": {text}") };
    Error::answered(operation, kind, &format!("HTTP {}{said}", answer.status.as_u16()))
}

/// The error that a gRPC status means.
pub(crate) fn grpc(operation: &'static str, status: &tonic::Status) -> Error {
    // Made here, of an answer that is none.
    let is_garbage = ["failed to decode", "Missing response message"]
        .iter()
        .any(|start| status.message().starts_with(start));
    let kind = match is_garbage {
        true => ErrorKind::Protocol,
        false => of_code(i64::from(i32::from(status.code())), status.message()),
    };
    Error::answered(operation, kind, &format!("gRPC {:?}: {}", status.code(), status.message()))
}

/// The three forms in which Headscale and what is before it say what is wrong.
enum Body {
    Problem(Problem),
    Gateway(Gateway),
    Text(String),
}

impl Body {
    fn of(answer: &Answer) -> Self {
        let is_problem = answer.content_type.starts_with("application/problem+json");
        if is_problem && let Ok(problem) = serde_json::from_slice(&answer.body) {
            return Self::Problem(problem);
        }
        // What is before Headscale may say an HTTP status there.
        let gateway = serde_json::from_slice::<Gateway>(&answer.body);
        if let Some(gateway) = gateway.ok().filter(|gateway| code::is_one(gateway.code)) {
            return Self::Gateway(gateway);
        }
        // A page of a proxy says less than its status, and at length.
        let is_text = answer.content_type.starts_with("text/plain");
        let text = if is_text { String::from_utf8_lossy(&answer.body) } else { "".into() };
        Self::Text(text.trim().to_owned())
    }
}

/// The body of an error since 0.30. What was sent, which it may repeat in `errors[].value`, is not
/// read: it can be a secret.
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    errors: Option<Vec<Detail>>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    location: Option<String>,
}

impl Problem {
    /// What was being done and why it failed: the cause stands in the errors.
    fn text(&self) -> String {
        let what = self.detail.as_deref().or(self.title.as_deref()).unwrap_or_default();
        let errors = self.errors.as_deref().unwrap_or_default().iter().filter_map(|error| {
            let message = error.message.as_deref()?;
            Some(match error.location.as_deref() {
                None | Some("") => message.to_owned(),
                Some(location) => format!("{message} ({location})"),
            })
        });
        let parts = [what.to_owned()].into_iter().chain(errors).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(": ")
    }
}

/// The body of an error before 0.30.
#[derive(Deserialize)]
struct Gateway {
    code: i64,
    #[serde(default)]
    message: String,
}

fn of_status(status: StatusCode, text: &str) -> ErrorKind {
    match status {
        // Said with 500 by every version: a name that is taken, and no policy.
        StatusCode::INTERNAL_SERVER_ERROR => of_text(text).unwrap_or(ErrorKind::Internal),
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        status => of_plain(status),
    }
}

/// What a status means that comes without a reason, maybe from a proxy.
fn of_plain(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        // Headscale says what it does not find; what is left are paths and methods.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            ErrorKind::Unsupported
        }
        StatusCode::CONFLICT => ErrorKind::AlreadyExists,
        StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
        StatusCode::REQUEST_TIMEOUT => ErrorKind::Timeout,
        status if status.is_client_error() => ErrorKind::Invalid,
        status if status.is_server_error() => ErrorKind::Internal,
        _ => ErrorKind::Protocol,
    }
}

fn of_code(code: i64, text: &str) -> ErrorKind {
    match code {
        code::UNKNOWN | code::INTERNAL => of_text(text).unwrap_or(ErrorKind::Internal),
        // Where a node is missing, some calls blame the argument.
        code::INVALID_ARGUMENT if text.contains(GONE) => ErrorKind::NotFound,
        // Headscale denies nothing so: what is before it does, and says nothing about the key.
        code::INVALID_ARGUMENT | code::FAILED_PRECONDITION | code::PERMISSION_DENIED => {
            ErrorKind::Invalid
        }
        // The gateway's word for a path that it does not have.
        code::NOT_FOUND if text == "Not Found" => ErrorKind::Unsupported,
        code::NOT_FOUND => ErrorKind::NotFound,
        code::ALREADY_EXISTS => ErrorKind::AlreadyExists,
        code::UNIMPLEMENTED => ErrorKind::Unsupported,
        code::UNAUTHENTICATED => ErrorKind::Unauthorized,
        code::UNAVAILABLE | code::CANCELLED => ErrorKind::Unavailable,
        code::DEADLINE_EXCEEDED => ErrorKind::Timeout,
        _ => ErrorKind::Internal,
    }
}

/// What a text means that comes without a code that says it.
fn of_text(text: &str) -> Option<ErrorKind> {
    if contains(text, REFUSED) {
        Some(ErrorKind::Invalid)
    } else if contains(text, TAKEN) {
        Some(ErrorKind::AlreadyExists)
    } else if contains(text, MISSING) {
        Some(ErrorKind::NotFound)
    } else if contains(text, INVALID) {
        Some(ErrorKind::Invalid)
    } else if text.contains("validat") && text.contains("token") {
        // "failed to validate token" in 0.28, "validating token" in 0.29.
        Some(ErrorKind::Unauthorized)
    } else {
        None
    }
}

fn contains(text: &str, any: &[&str]) -> bool {
    any.iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};

    use super::*;

    #[test]
    fn grpc_means_what_http_means() {
        let rows = [
            (Code::Unknown, "record not found", ErrorKind::NotFound),
            (Code::InvalidArgument, "must provide id or prefix", ErrorKind::Invalid),
            (Code::Internal, "failed to validate token", ErrorKind::Unauthorized),
            (Code::Internal, "validating token", ErrorKind::Unauthorized),
            (Code::Unauthenticated, "invalid token", ErrorKind::Unauthorized),
            (Code::Unimplemented, "unknown method CreateApiKey", ErrorKind::Unsupported),
            (Code::Unavailable, "transport is closing", ErrorKind::Unavailable),
            (Code::Cancelled, "context canceled", ErrorKind::Unavailable),
            (Code::DeadlineExceeded, "context deadline exceeded", ErrorKind::Timeout),
            (Code::Internal, "disk is full", ErrorKind::Internal),
            (Code::Unknown, "database is locked", ErrorKind::Internal),
            (Code::ResourceExhausted, "too much", ErrorKind::Internal),
            (Code::Internal, "failed to decode Protobuf message: x", ErrorKind::Protocol),
            (Code::Internal, "Missing response message.", ErrorKind::Protocol),
        ];
        for (code, message, kind) in rows {
            let error = grpc("try", &Status::new(code, message));
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.to_string(), format!("try: gRPC {code:?}: {message}"));
        }
    }
}
