//! The client over HTTP, for every version.

mod api;
mod builder;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, Error as PoolError};

use crate::answer::Answer;
use crate::call::{Call, Exchange};
use crate::connect::Dial;
use crate::error::{Error, ErrorKind, chain};

pub use builder::{Builder, BuilderError};

/// What a body is sent and expected as.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client of Headscale over HTTP, with a pool of connections. Clones share the pool.
///
/// Nothing is remembered of the version: what depends on it asks for it first, so that another one
/// may come up at the same address at any time.
#[derive(Clone)]
pub struct HttpClient {
    pool: Client<HttpsConnector<Dial>, Full<Bytes>>,
    /// Without a path.
    base: Uri,
    /// What stands before every path; empty, or without `/` at its end.
    prefix: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("base", &self.base)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Begins a client of the Headscale at `url`: `http://HOST:PORT` or `https://HOST`, with a path
    /// where a proxy puts it below one.
    #[must_use]
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, Error> {
        let wrong = |error: &dyn fmt::Display| {
            Error::unsent(call.operation, ErrorKind::Invalid, &format!("no request: {error}"))
        };
        let path = format!("{}{}", self.prefix, call.path);
        let path = PathAndQuery::try_from(path).map_err(|error| wrong(&error))?;
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(path);
        let uri = Uri::from_parts(parts).map_err(|error| wrong(&error))?;
        let mut request = request(call, uri)?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

/// The request of `call`, to whatever `uri` is.
pub(crate) fn request(call: &Call, uri: Uri) -> Result<Request<Full<Bytes>>, Error> {
    let mut request = Request::new(Full::new(call.body.clone().unwrap_or_default()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, JSON);
    if call.body.is_some() {
        headers.insert(CONTENT_TYPE, JSON);
    }
    Ok(request)
}

impl Exchange for HttpClient {
    async fn exchange(&self, call: Call) -> Result<Answer, Error> {
        let request = self.request(&call)?;
        let answering = async {
            let response = self.pool.request(request).await;
            Answer::read(&call, response.map_err(|error| lost(call.operation, &error))?).await
        };
        match tokio::time::timeout(self.timeout, answering).await {
            Ok(answer) => answer,
            Err(_) => Err(late(call.operation, self.timeout)),
        }
    }
}

/// The error of a call that had no answer in time.
pub(crate) fn late(operation: &'static str, timeout: Duration) -> Error {
    let text = format!("no answer within {} s", timeout.as_secs_f64());
    Error::unanswered(operation, ErrorKind::Timeout, &text)
}

fn lost(operation: &'static str, error: &PoolError) -> Error {
    let text = chain(error);
    if !error.is_connect() {
        return Error::unanswered(operation, kind_of_lost(error), &text);
    }
    let kind = if is_timeout(error) { ErrorKind::Timeout } else { ErrorKind::Unavailable };
    let lost = Error::unsent(operation, kind, &text);
    if is_untrusted(error) { lost.of_certificate() } else { lost }
}

/// Whether TLS did not come about because of the server's certificate. Errors of the system do not
/// show what they were made of as their source.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).filter_map(<dyn std::error::Error>::downcast_ref::<std::io::Error>).any(|error| {
        let inside = std::iter::successors(error.get_ref(), |inside| {
            inside.downcast_ref::<std::io::Error>()?.get_ref()
        });
        let mut tls = inside.filter_map(|inside| inside.downcast_ref::<rustls::Error>());
        tls.any(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
    })
}

/// A connection that breaks is one thing, an answer that is no HTTP another.
fn kind_of_lost(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    let is_garbage =
        causes(error).any(|cause| cause.downcast_ref().is_some_and(hyper::Error::is_parse));
    if is_garbage { ErrorKind::Protocol } else { ErrorKind::Unavailable }
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
    })
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
