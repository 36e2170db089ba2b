//! The kubelet's side of port-forwarding over a WebSocket: each message begins with the number of
//! its channel, of which every port has two, one for data and one for an error.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};

use crate::kubelet::Pods;

/// The protocol that is spoken, among those that the client names.
const PROTOCOL: &str = "v4.channel.k8s.io";
const DATA: u8 = 0;
const ERROR: u8 = 1;

/// What is asked for: a pod's server, if it has one, and the port that is meant by it.
struct Asked {
    pod: String,
    port: u16,
    server: Option<SocketAddr>,
}

/// Serves one connection to its end.
pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, pods: &Pods) {
    let mut asked = None;
    #[expect(clippy::result_large_err, reason = "the signature is the library's")]
    let answer = |request: &Request, response: Response| match ask(request, pods) {
        Ok(read) => {
            asked = Some(read);
            Ok(with_protocol(response))
        }
        Err(why) => Err(refusal(why)),
    };
    let upgraded = accept_hdr_async(stream, answer);
    let (Ok(socket), Some(asked)) = (upgraded.await, asked) else { return };
    let Asked { pod, port, server } = asked;
    let (mut sink, mut messages) = socket.split();
    let [low, high] = port.to_le_bytes();
    for channel in [DATA, ERROR] {
        if sink.send(Message::binary(vec![channel, low, high])).await.is_err() {
            return;
        }
    }
    let connected = match server {
        Some(server) => TcpStream::connect(server).await.map_err(|error| error.to_string()),
        None => Err("no such pod".to_owned()),
    };
    let server = match connected {
        Ok(server) => server,
        Err(why) => {
            let text = format!("error forwarding port {port} to pod {pod}: {why}");
            let message = [&[ERROR], text.as_bytes()].concat();
            drop(sink.send(Message::binary(message)).await);
            drop(sink.close().await);
            return;
        }
    };
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        while let Some(Ok(message)) = messages.next().await {
            match message {
                Message::Binary(bytes) => match bytes.split_first() {
                    Some((&DATA, data)) if to_server.write_all(data).await.is_ok() => {}
                    _ => break,
                },
                Message::Close(_) => break,
                _ => {}
            }
        }
        drop(to_server.shutdown().await);
    };
    let down = async {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(length) = from_server.read(&mut buffer).await {
            let message = [&[DATA], &buffer[..length]].concat();
            if length == 0 || sink.send(Message::binary(message)).await.is_err() {
                break;
            }
        }
        drop(sink.close().await);
    };
    tokio::join!(up, down);
}

/// Reads a request for `/portForward/NAMESPACE/POD?port=PORT`.
fn ask(request: &Request, pods: &Pods) -> Result<Asked, &'static str> {
    let pod = request.uri().path().strip_prefix("/portForward/");
    let pod = pod.ok_or("only ports are forwarded here")?;
    let mut pairs = request.uri().query().unwrap_or_default().split('&');
    let port = pairs.find_map(|pair| pair.strip_prefix("port="));
    let port = port.and_then(|port| port.parse().ok()).ok_or("expected one port")?;
    let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL);
    let offered = offered.and_then(|offered| offered.to_str().ok()).unwrap_or_default();
    if !offered.split(',').any(|protocol| protocol.trim() == PROTOCOL) {
        return Err("no protocol that is spoken here");
    }
    let server = pods.lock().expect("not poisoned").get(pod).copied();
    Ok(Asked { pod: pod.to_owned(), port, server })
}

fn with_protocol(mut response: Response) -> Response {
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    response
}

fn refusal(why: &str) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(Some(why.to_owned()));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    refusal
}
