//! A server behind the proxy, and a client before it, of HTTP/1.1.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};

/// A server that says what it was asked, and remembers it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Echo {
    seen: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    pub(crate) async fn on_tcp(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let echo = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo.clone().serve(stream));
            }
        });
        address
    }

    pub(crate) fn on_unix(&self, path: &std::path::Path) {
        let listener = UnixListener::bind(path).expect("a socket");
        let echo = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo.clone().serve(stream));
            }
        });
    }

    /// All requests that it answered, such as `POST /path body`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").clone()
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let service = service_fn(|request| self.answer(request));
        drop(server::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
        let (method, path) = (request.method().clone(), request.uri().clone());
        let token = request.headers().get("authorization").cloned();
        let body = request.into_body().collect().await.map(|body| body.to_bytes());
        let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
        let said = format!("{method} {path} {body}").trim_end().to_owned();
        self.seen.lock().expect("not poisoned").push(said.clone());
        let mut answer = Response::builder().header("x-answered-by", "echo");
        if let Some(token) = token {
            answer = answer.header("x-token", token);
        }
        Ok(answer.body(Full::from(said).boxed()).expect("an answer"))
    }
}

/// A connection to the proxy that is used again and again, as programs use theirs.
pub(crate) struct Connection {
    sender: client::SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn to(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?).await
    }

    pub(crate) async fn over<S>(stream: S) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            client::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// The head of an answer, and a body to be read.
    pub(crate) async fn open(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// The status and the text of an answer.
    pub(crate) async fn get(&mut self, path: &str) -> hyper::Result<(u16, String)> {
        self.send("GET", path, "").await
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: &'static str,
    ) -> hyper::Result<(u16, String)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "proxy")
            .header("authorization", "Bearer token")
            .body(Full::from(body))
            .expect("a request");
        let answer = self.open(request).await?;
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }
}
