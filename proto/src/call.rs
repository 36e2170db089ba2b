//! What is asked over HTTP.

use std::fmt::Write as _;

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use crate::answer::Answer;
use crate::error::{Error, ErrorKind};

/// The largest answer about one thing, in bytes.
const SMALL: usize = 4 << 20;
/// The largest answer about all things of a kind, and the largest policy, which names them, in bytes.
pub(crate) const LARGE: usize = 64 << 20;

/// A request, before it is known whom it goes to.
#[derive(Debug)]
pub(crate) struct Call {
    /// What is being done, in words, for errors.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Option<Bytes>,
    /// The largest answer, in bytes.
    pub(crate) limit: usize,
}

impl Call {
    pub(crate) fn new(operation: &'static str, method: Method, path: impl Into<String>) -> Self {
        Self { operation, method, path: path.into(), body: None, limit: SMALL }
    }

    /// A call that lists.
    pub(crate) fn list(operation: &'static str, path: impl Into<String>) -> Self {
        Self { limit: LARGE, ..Self::new(operation, Method::GET, path) }
    }

    /// With `body` as JSON.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let text = serde_json::to_vec(body).map_err(|error| {
            Error::unsent(self.operation, ErrorKind::Invalid, &format!("no JSON: {error}"))
        })?;
        self.body = Some(text.into());
        Ok(self)
    }
}

/// Whatever carries calls over HTTP.
pub(crate) trait Exchange {
    fn exchange(&self, call: Call) -> impl Future<Output = Result<Answer, Error>> + Send;
}

/// `text` as one segment of a path.
///
/// Empty ones and those of dots only are refused: servers fold them away, and the call would be
/// another one. So is `/`, which Headscale up to 0.29 takes for the end of a segment even encoded.
pub(crate) fn segment(operation: &'static str, text: &str) -> Result<String, Error> {
    if text.is_empty() || text == "." || text == ".." || text.contains('/') {
        let why = "a name in a path must not be empty, `.` or `..`, or contain `/`";
        return Err(Error::unsent(operation, ErrorKind::Invalid, why));
    }
    Ok(encoded(text))
}

/// `text` percent-encoded, but for what needs it nowhere in a path or query.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
