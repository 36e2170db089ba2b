//! One connection to the socket, of which it is known what it speaks.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headscale_keys::{ApiKey, KeyPrefix, ListedApiKey};
use http::Uri;
use http::header::{HOST, HeaderValue};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::answer::Answer;
use crate::api::ApiKeys;
use crate::call::{Call, Exchange};
use crate::connect::{UnixStream, unix};
use crate::error::{Error, ErrorKind, chain};
use crate::grpc::Grpc;
use crate::http_client::request;
use crate::requests::{HEALTH, api_keys};

use super::SocketTransport;

/// How long a connection is kept that nobody uses: Headscale 0.30 closes it after 30 s.
const IDLE: Duration = Duration::from_secs(20);

/// A connection. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) enum Connection {
    Http(Http),
    Grpc(Grpc),
}

impl Connection {
    /// Finds out what the socket speaks, and connects.
    pub(super) async fn open(path: &Path, operation: &'static str) -> Result<Self, Error> {
        match probe(path, operation).await? {
            SocketTransport::Http => Self::open_http(path, operation).await,
            SocketTransport::Grpc => Self::open_grpc(path, operation).await,
        }
    }

    async fn open_http(path: &Path, operation: &'static str) -> Result<Self, Error> {
        let stream = TokioIo::new(connect(path, operation).await?);
        let (sender, connection) =
            http1::handshake(stream).await.map_err(|error| lost(path, operation, &error))?;
        // It ends with its sender.
        tokio::spawn(connection);
        Ok(Self::Http(Http(Arc::new(Mutex::new((sender, Instant::now()))))))
    }

    async fn open_grpc(path: &Path, operation: &'static str) -> Result<Self, Error> {
        let stream = TokioIo::new(connect(path, operation).await?);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .map_err(|error| lost(path, operation, &error))?;
        tokio::spawn(connection);
        Ok(Self::Grpc(Grpc::new(sender)))
    }

    pub(super) fn transport(&self) -> SocketTransport {
        match self {
            Self::Http(_) => SocketTransport::Http,
            Self::Grpc(_) => SocketTransport::Grpc,
        }
    }

    /// Whether another call can go over it.
    pub(super) fn is_usable(&self) -> bool {
        match self {
            Self::Http(http) => http.is_usable(),
            Self::Grpc(grpc) => grpc.is_usable(),
        }
    }
}

/// Asks over HTTP for health, which needs no key on a socket: HTTP answers, and gRPC greets with a
/// frame of HTTP/2 whatever it is told. Nothing else is sent over this connection, so the answer is
/// read as it comes: that greeting may be there before anything was asked.
async fn probe(path: &Path, operation: &'static str) -> Result<SocketTransport, Error> {
    let mut stream = connect(path, operation).await?;
    let request = format!(
        "GET {HEALTH} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Connection: close\r\n\r\n"
    );
    // Who greets may have hung up already.
    let sent = stream.write_all(request.as_bytes()).await;
    let mut head = Vec::new();
    let transport = loop {
        if let Some(transport) = spoken(&head) {
            break transport;
        }
        match stream.read_buf(&mut head).await {
            Ok(0) => match sent {
                Ok(()) => break None,
                Err(error) => return Err(lost(path, operation, &error)),
            },
            Ok(_) => {}
            Err(error) => return Err(lost(path, operation, &error)),
        }
    };
    transport.ok_or_else(|| match head.is_empty() {
        true => {
            let text = format!("the socket at {}: it is closed at once", path.display());
            Error::unsent(operation, ErrorKind::Unavailable, &text)
        }
        false => {
            let text = format!("what listens at {} is not Headscale", path.display());
            Error::unsent(operation, ErrorKind::Protocol, &text)
        }
    })
}

/// The largest head of an answer to the probe, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// What an answer to the probe that begins with `head` says: nothing yet, that it is not Headscale's,
/// or what is spoken.
fn spoken(head: &[u8]) -> Option<Option<SocketTransport>> {
    const HTTP: &[u8] = b"HTTP/1.1 ";
    const SETTINGS: u8 = 4;
    if !head.starts_with(HTTP) {
        if HTTP.starts_with(head) {
            return None;
        }
        // Three bytes of length, and then the kind of frame.
        return match head {
            [_, _, _, SETTINGS, ..] => Some(Some(SocketTransport::Grpc)),
            [0, ..] if head.len() < 4 => None,
            _ => Some(None),
        };
    }
    let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (head.len() > MAX_HEAD).then_some(None);
    };
    let fields = head.get(..end).map(String::from_utf8_lossy).unwrap_or_default();
    // A failure too is told in JSON, such as that the database is away.
    let is_json = fields.lines().any(|field| {
        field.split_once(':').is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("content-type") && value.contains("json")
        })
    });
    Some(is_json.then_some(SocketTransport::Http))
}

async fn connect(path: &Path, operation: &'static str) -> Result<UnixStream, Error> {
    let missing = |error: std::io::Error| {
        Error::unsent(operation, ErrorKind::Unavailable, &error.to_string())
    };
    unix(path).await.map_err(missing)
}

fn lost(path: &Path, operation: &'static str, error: &(dyn std::error::Error + 'static)) -> Error {
    let text = format!("the socket at {}: {}", path.display(), chain(error));
    Error::unsent(operation, ErrorKind::Unavailable, &text)
}

/// The request of `call` to whoever listens at a socket.
fn to_socket(call: &Call) -> Result<http::Request<Full<Bytes>>, Error> {
    let uri = Uri::try_from(&call.path).map_err(|error| {
        Error::unsent(call.operation, ErrorKind::Invalid, &format!("no request: {error}"))
    })?;
    let mut request = request(call, uri)?;
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    Ok(request)
}

/// What sends, and when it was last used.
type Sender = (http1::SendRequest<Full<Bytes>>, Instant);

/// A connection that speaks HTTP/1.1.
#[derive(Clone, Debug)]
pub(super) struct Http(Arc<Mutex<Sender>>);

impl Http {
    fn is_usable(&self) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, used) = &*sender;
        sender.is_ready() && used.elapsed() < IDLE
    }
}

impl Exchange for Http {
    async fn exchange(&self, call: Call) -> Result<Answer, Error> {
        let request = to_socket(&call)?;
        let response = {
            let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sender.1 = Instant::now();
            sender.0.try_send_request(request)
        };
        let response = response.await.map_err(|mut error| {
            let is_unsent = error.take_message().is_some();
            let error = error.into_error();
            let kind = match error.is_parse() {
                true => ErrorKind::Protocol,
                false => ErrorKind::Unavailable,
            };
            match is_unsent {
                true => Error::unsent(call.operation, ErrorKind::Unavailable, &chain(&error)),
                false => Error::unanswered(call.operation, kind, &chain(&error)),
            }
        })?;
        Answer::read(&call, response).await
    }
}

impl ApiKeys for Connection {
    async fn create_api_key(&self, expiration: Timestamp) -> Result<ApiKey, Error> {
        match self {
            Self::Http(http) => api_keys::create(http, expiration).await,
            Self::Grpc(grpc) => grpc.create_api_key(expiration).await,
        }
    }

    async fn list_api_keys(&self) -> Result<Vec<ListedApiKey>, Error> {
        match self {
            Self::Http(http) => api_keys::list(http).await,
            Self::Grpc(grpc) => grpc.list_api_keys().await,
        }
    }

    async fn expire_api_key(&self, prefix: &KeyPrefix) -> Result<(), Error> {
        match self {
            Self::Http(http) => api_keys::expire(http, prefix).await,
            Self::Grpc(grpc) => grpc.expire_api_key(prefix).await,
        }
    }

    async fn delete_api_key(&self, prefix: &KeyPrefix) -> Result<(), Error> {
        match self {
            Self::Http(http) => api_keys::delete(http, prefix).await,
            Self::Grpc(grpc) => grpc.delete_api_key(prefix).await,
        }
    }
}
