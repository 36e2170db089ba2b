//! The bodies of answers.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

/// An answer's body, whole or cut in the middle.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    /// How much is announced, where the rest never comes.
    announced: Option<u64>,
    has_rested: bool,
}

impl Answer {
    /// The data, then the trailers.
    pub(crate) fn whole(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        let data = (!data.is_empty()).then_some(data);
        Self { data, trailers, announced: None, has_rested: false }
    }

    /// The first half alone, of an answer that has any data.
    pub(crate) fn halved(self) -> Option<Self> {
        let whole = self.data.filter(|data| data.len() > 1)?;
        let announced = Some(whole.len() as u64);
        let data = Some(whole.slice(..whole.len() / 2));
        Some(Self { data, trailers: None, announced, has_rested: false })
    }
}

impl From<Infallible> for Answer {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.announced.is_some() {
            // The half is sent only where the connection has nothing to read from us for a while.
            if !self.has_rested {
                self.has_rested = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none() && self.announced.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (self.announced, &self.trailers) {
            (Some(length), _) => SizeHint::with_exact(length),
            (None, Some(_)) => SizeHint::default(),
            (None, None) => SizeHint::with_exact(self.data.as_ref().map_or(0, |d| d.len() as u64)),
        }
    }
}
