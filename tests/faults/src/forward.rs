//! One request to the upstream, on a connection of its own.

use std::io;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::body;
use crate::listener::Protocol;
use crate::upstream::Upstream;

/// Headers that are about one connection, and not about the request.
const OF_THE_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A server, and what is spoken to it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) upstream: Upstream,
    pub(crate) protocol: Protocol,
}

/// A request that was read to its end.
pub(crate) type Whole = Request<Collected<Bytes>>;

impl Target {
    /// Gives the answer as soon as its head is there.
    pub(crate) async fn forward(&self, request: Whole) -> io::Result<Response<Incoming>> {
        let stream = TokioIo::new(self.upstream.connect().await?);
        let (mut parts, content) = request.into_parts();
        strip(&mut parts.headers);
        let mut request = Request::from_parts(parts, body::whole(content));
        let mut answer = match self.protocol {
            Protocol::Http1 => {
                // To an origin server, the path alone; its name is in the Host header.
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                *request.uri_mut() = path.parse::<Uri>().map_err(io::Error::other)?;
                *request.version_mut() = Version::HTTP_11;
                let (mut sender, connection) =
                    http1::handshake(stream).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                sender.send_request(request).await
            }
            Protocol::Http2 => {
                *request.version_mut() = Version::HTTP_2;
                let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .map_err(io::Error::other)?;
                tokio::spawn(connection);
                sender.send_request(request).await
            }
        }
        .map_err(io::Error::other)?;
        strip(answer.headers_mut());
        Ok(answer)
    }

    /// Gives the answer when it is there to its end.
    pub(crate) async fn exchange(&self, request: Whole) -> io::Result<Response<Collected<Bytes>>> {
        let (parts, content) = self.forward(request).await?.into_parts();
        let content = content.collect().await.map_err(io::Error::other)?;
        Ok(Response::from_parts(parts, content))
    }
}

fn strip(headers: &mut HeaderMap) {
    for name in OF_THE_CONNECTION {
        headers.remove(name);
    }
}
