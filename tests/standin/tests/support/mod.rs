//! A client without opinions: one request a connection, over HTTP/1.1 or gRPC by hand.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use headscale_client::pb;
use headscale_standin::{Options, StandIn, Version};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// How long a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// What to send.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a str,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, key: None, content_type: Some("application/json"), body: "" }
    }

    pub(crate) fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    pub(crate) fn body(mut self, body: &'a str) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn content_type(mut self, content_type: &'a str) -> Self {
        self.content_type = Some(content_type);
        self
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        request = request.header("host", "headscale.test");
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(content_type) = self.content_type.filter(|_| !self.body.is_empty()) {
            request = request.header("content-type", content_type);
        }
        request.body(Full::from(self.body.to_owned())).unwrap()
    }

    /// Over TCP.
    pub(crate) async fn tcp(self, server: &StandIn) -> Result<Answer, String> {
        let stream = TcpStream::connect(server.address().unwrap()).await.unwrap();
        self.over(stream).await
    }

    /// Over the Unix socket.
    pub(crate) async fn unix(self, server: &StandIn) -> Result<Answer, String> {
        let stream = UnixStream::connect(server.socket().unwrap()).await.unwrap();
        self.over(stream).await
    }

    async fn over<S>(self, stream: S) -> Result<Answer, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let answer =
            sender.send_request(self.request()).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get("content-type");
        let content_type = content_type.map_or("", |v| v.to_str().unwrap()).to_owned();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        driver.abort();
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Ok(Answer { status, content_type, body })
    }
}

/// An answer of gRPC: its code and its message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// One call of gRPC over a Unix socket. The outer error is a connection that broke.
pub(crate) async fn grpc<A: Message, B: Message + Default>(
    socket: &Path,
    call: &str,
    message: A,
) -> Result<Result<B, Refused>, String> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    let request = Request::post(format!("http://localhost/headscale.v1.HeadscaleService/{call}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(frame.freeze()))
        .unwrap();
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let mut headers = answer.headers().clone();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
    driver.abort();
    headers.extend(body.trailers().cloned().unwrap_or_default());
    let mut body = body.to_bytes();
    let text =
        |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let code: i32 = text("grpc-status").parse().unwrap();
    if code != 0 {
        let message = text("grpc-message").replace("%20", " ");
        return Ok(Err(Refused { code, message }));
    }
    body.advance(5);
    Ok(Ok(B::decode(body).unwrap()))
}

/// Makes an API key over a Unix socket of any version.
pub(crate) async fn create_key(
    server: &StandIn,
    version: Version,
    expiration: &str,
) -> Result<String, String> {
    if version.has_grpc() {
        let at: jiff::Timestamp = expiration.parse().unwrap();
        let expiration =
            Some(prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() });
        let request = pb::CreateApiKeyRequest { expiration };
        let answer: Result<pb::CreateApiKeyResponse, Refused> =
            grpc(server.socket().unwrap(), "CreateApiKey", request).await?;
        return answer.map(|made| made.api_key).map_err(|refused| format!("{refused:?}"));
    }
    let body = serde_json::json!({ "expiration": expiration }).to_string();
    let answer = Ask::new("POST", "/api/v1/apikey").body(&body).unix(server).await?;
    if answer.status != 200 {
        return Err(format!("{answer:?}"));
    }
    Ok(answer.json()["apiKey"].as_str().unwrap().to_owned())
}

/// A stand-in on a socket and on TCP, in a directory that is removed after the test.
pub(crate) async fn start(version: Version) -> (StandIn, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let server = StandIn::start(options(version, directory.path())).await.unwrap();
    (server, directory)
}

/// The options of [`start`].
pub(crate) fn options(version: Version, directory: &Path) -> Options {
    Options::new(version, directory.join("db")).on_socket(directory.join("run/hs.sock")).on_tcp()
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
