//! The small HTTP server of health and metrics.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long a client may take to say what it wants.
const HEADERS: Duration = Duration::from_secs(5);
/// How long a connection may last in all.
const CONNECTION: Duration = Duration::from_secs(30);
/// How many connections are served at a time; others wait.
const CONNECTIONS: usize = 32;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its status.
    pub status: StatusCode,
    /// Its media type.
    pub kind: &'static str,
    /// Its text.
    pub text: String,
}

impl Page {
    /// A line of plain text: 200 where it is good, else 503.
    #[must_use]
    pub fn health(is_good: bool, text: &str) -> Self {
        let status = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Self { status, kind: "text/plain; charset=utf-8", text: format!("{text}\n") }
    }

    /// Metrics in the text format of OpenMetrics.
    #[must_use]
    pub fn metrics(text: String) -> Self {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Self { status: StatusCode::OK, kind, text }
    }
}

/// A server that listens at an address already.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
}

impl HttpServer {
    /// Listens at `address`.
    ///
    /// # Errors
    ///
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers GET requests by their path, for ever; `None` is 404.
    pub async fn serve(self, pages: impl Fn(&str) -> Option<Page> + Send + Sync + 'static) {
        let pages = Arc::new(pages);
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        // It is never closed.
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Too many open files, or a client that is gone already: others may come.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let pages = Arc::clone(&pages);
            let service = service_fn(move |request| {
                std::future::ready(Ok::<_, Infallible>(answer(&request, &*pages)))
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                // A client that went away or takes for ever is no failure of ours.
                tokio::time::timeout(CONNECTION, connection).await.ok();
                drop(permit);
            });
        }
    }
}

fn answer(
    request: &Request<Incoming>,
    pages: &impl Fn(&str) -> Option<Page>,
) -> Response<Full<Bytes>> {
    let page = match *request.method() {
        Method::GET => pages(request.uri().path()),
        _ => None,
    };
    let not_found = || Page {
        status: StatusCode::NOT_FOUND,
        kind: "text/plain; charset=utf-8",
        text: "not found\n".to_owned(),
    };
    let Page { status, kind, text } = page.unwrap_or_else(not_found);
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
