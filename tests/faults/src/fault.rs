//! What may happen to a request.

use std::time::Duration;

use crate::late::Late;

/// A request, as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// Which request it is of all that the proxy got, from 1 on.
    pub n: usize,
    /// What it came in by: `127.0.0.1:PORT`, or the path of a Unix socket.
    pub listener: String,
    /// Such as `GET`.
    pub method: String,
    /// Its path, with the query where it has one.
    pub path: String,
}

impl RequestInfo {
    /// Whether the answer of the kube-apiserver would be a stream without an end.
    pub(crate) fn has_endless_answer(&self) -> bool {
        let (_, query) = self.path.split_once('?').unwrap_or_default();
        query.split('&').any(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            matches!(name, "watch" | "follow") && matches!(value, "true" | "1")
        })
    }
}

/// On which side of the upstream's work something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The request is there, and has not been forwarded. It never will be.
    Before,
    /// The upstream's answer is there, and nothing of it has been passed on. It never will be. The
    /// answer to a watch is there with its head, because it has no end.
    After,
}

/// An answer that the upstream did not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, but for its length.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: String,
}

/// Harm to one request. Where the connection is cut, all of its requests are, which matters for
/// HTTP/2.
#[derive(Debug)]
pub enum Fault {
    /// Cuts the connection instead of forwarding the request.
    DropBefore,
    /// Forwards the request, and cuts the connection when the answer is there.
    DropAfter,
    /// Forwards the request so much later.
    Delay(Duration),
    /// Answers with this status and no body, without forwarding the request.
    Status(u16),
    /// Answers with this, without forwarding the request.
    Answer(Answer),
    /// Passes on the answer's head and half of its body, then cuts the connection. An answer
    /// without a body is cut whole.
    Truncate,
    /// Cuts the connection now, and forwards the request so much later.
    LateAfter(Duration),
    /// Cuts the connection now, and forwards the request when the test says so: see
    /// [`Fault::late`].
    Late(Late),
}

impl From<When> for Fault {
    /// The loss of the connection at that moment.
    fn from(when: When) -> Self {
        match when {
            When::Before => Self::DropBefore,
            When::After => Self::DropAfter,
        }
    }
}
