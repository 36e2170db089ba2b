//! Connections to a server: TCP, or the Unix socket of a Headscale beside us.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
#[cfg(unix)]
pub(crate) use tokio::net::UnixStream;
use tower_service::Service;

/// Stands where a stream of a Unix socket would: none is ever made.
#[cfg(not(unix))]
pub(crate) type UnixStream = TcpStream;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes connections to wherever the server is.
#[derive(Clone, Debug)]
pub(crate) enum Dial {
    /// By the host and port of the URL.
    Tcp(HttpConnector),
    /// At this path, whatever the URL says.
    Unix(Arc<Path>),
}

impl Dial {
    pub(crate) fn unix(path: PathBuf) -> Self {
        Self::Unix(path.into())
    }
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<Stream>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, uri: Uri) -> BoxFuture<Stream> {
        match self {
            Self::Tcp(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async move { Ok(Stream::Tcp(connecting.await?)) })
            }
            Self::Unix(path) => {
                let path = Arc::clone(path);
                Box::pin(async move { Ok(Stream::Unix(TokioIo::new(unix(&path).await?))) })
            }
        }
    }
}

/// A connection to the socket at `path`.
///
/// # Errors
///
/// As the system says it, with the path, and with what to do about it. Always where the system has
/// no such sockets.
pub(crate) async fn unix(path: &Path) -> io::Result<UnixStream> {
    let stream = connect(path).await;
    stream.map_err(|error| io::Error::new(error.kind(), about(path, &error)))
}

#[cfg(unix)]
async fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

/// Headscale runs on no Windows, and so its socket is on none.
#[cfg(not(unix))]
async fn connect(_path: &Path) -> io::Result<UnixStream> {
    Err(io::ErrorKind::Unsupported.into())
}

fn about(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no socket at {path}: Headscale makes it once it has started, at its \
             `unix_socket`"
        ),
        io::ErrorKind::ConnectionRefused => {
            format!("nobody listens at {path}: it was left by a Headscale that has gone")
        }
        io::ErrorKind::PermissionDenied => format!(
            "the socket at {path} must not be opened: run with the user or group id of Headscale, \
             and set `unix_socket_permission: \"0770\"` with the quotes, without which YAML makes \
             it 0504"
        ),
        io::ErrorKind::Unsupported => format!(
            "the socket at {path} cannot be opened on this system: run this beside Headscale, or \
             ask for its address"
        ),
        _ => format!("the socket at {path}: {error}"),
    }
}

/// Such a connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TokioIo<TcpStream>),
    Unix(TokioIo<UnixStream>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tcp(stream) => stream.connected(),
            Self::Unix(_) => Connected::new(),
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_must_not_be_opened_is_told_with_what_to_do() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            about(Path::new("/run/headscale.sock"), &error),
            "the socket at /run/headscale.sock must not be opened: run with the user or group id \
             of Headscale, and set `unix_socket_permission: \"0770\"` with the quotes, without \
             which YAML makes it 0504"
        );
    }
}
