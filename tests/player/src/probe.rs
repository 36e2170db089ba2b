//! Whether a container is ready.

use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks as the readiness probe does, but at `address`; over TLS only whether somebody listens.
/// Without a probe a container is ready that runs.
pub(crate) async fn is_ready(container: &Container, address: Option<SocketAddr>) -> bool {
    let Some(probe) = &container.readiness_probe else { return true };
    let Some(address) = address else { return false };
    let get = probe.http_get.as_ref().filter(|get| get.scheme.as_deref() != Some("HTTPS"));
    let path = get.map(|get| get.path.as_deref().unwrap_or("/"));
    timeout(PATIENCE, ask(address, path)).await.is_ok_and(|answer| answer.is_some())
}

/// `Some` where somebody listens, and for a path answers with 200 to 399.
async fn ask(address: SocketAddr, path: Option<&str>) -> Option<()> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let Some(path) = path else { return Some(()) };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.ok()?;
    matches!(start, [.., b' ', b'2' | b'3', _, _]).then_some(())
}
