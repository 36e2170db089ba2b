//! What comes back over HTTP.

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Response;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::classify;
use crate::error::{Error, ErrorKind, chain};

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// In lower case, with its parameters; empty where there is none.
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Takes in the answer to `call`.
    pub(crate) async fn read(call: &Call, response: Response<Incoming>) -> Result<Self, Error> {
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        let body = Limited::new(body, call.limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let text = format!("the answer is larger than {} bytes", call.limit);
                return Error::protocol(call.operation, &text);
            }
            let text = format!("the connection was lost amid the answer: {}", chain(&*error));
            Error::unanswered(call.operation, ErrorKind::Unavailable, &text)
        })?;
        Ok(Self { status: head.status, content_type, body: body.to_bytes() })
    }

    /// The success that the answer tells of, or the error.
    pub(crate) fn success(&self, operation: &'static str) -> Result<(), Error> {
        if self.status == StatusCode::OK {
            Ok(())
        } else if self.status.is_redirection() {
            // Following it would hand the key to whoever it names.
            let text = format!(
                "HTTP {}: redirections are not followed; name the address that Headscale has",
                self.status.as_u16()
            );
            Err(Error::answered(operation, ErrorKind::Protocol, &text))
        } else {
            Err(classify::refusal(operation, self))
        }
    }

    /// The JSON of a success.
    pub(crate) fn json<T: DeserializeOwned>(&self, operation: &'static str) -> Result<T, Error> {
        self.success(operation)?;
        // An array would do for an object whose fields may all be absent.
        if !self.body.trim_ascii_start().starts_with(b"{") {
            return Err(Error::protocol(operation, "the answer is not understood: no JSON object"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            // Not the error's own text: it may quote what it read.
            let text = format!(
                "the answer is not understood: {:?} error in line {}, column {}",
                error.classify(),
                error.line(),
                error.column()
            );
            Error::protocol(operation, &text)
        })
    }
}
