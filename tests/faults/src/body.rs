//! Bodies as they are passed on.

use std::io;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) type Passed = BoxBody<Bytes, io::Error>;

/// One that is read and passed on piece by piece.
pub(crate) fn streamed(body: Incoming) -> Passed {
    body.map_err(io::Error::other).boxed()
}

/// One that was read to its end, with its trailers.
pub(crate) fn whole(body: Collected<Bytes>) -> Passed {
    let trailers = body.trailers().cloned();
    full(body.to_bytes(), trailers)
}

pub(crate) fn full(bytes: Bytes, trailers: Option<HeaderMap>) -> Passed {
    let body = Full::new(bytes).map_err(|never| match never {});
    match trailers {
        Some(trailers) => body.with_trailers(async move { Some(Ok(trailers)) }).boxed(),
        None => body.boxed(),
    }
}

/// One that ends in the middle of `bytes`: with the connection, or with the stream of HTTP/2.
pub(crate) fn truncated(bytes: &Bytes) -> Passed {
    let half = bytes.slice(..bytes.len() / 2);
    Truncated { left: vec![Step::Break, Step::Flush, Step::Send(half)] }.boxed()
}

enum Step {
    Send(Bytes),
    /// Lets the connection write what it has, which it would throw away with an error.
    Flush,
    Break,
}

/// What is left to be done, the next step last.
struct Truncated {
    left: Vec<Step>,
}

impl Body for Truncated {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.left.pop() {
            Some(Step::Send(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Step::Flush) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Break) => Poll::Ready(Some(Err(io::Error::other("cut here")))),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
