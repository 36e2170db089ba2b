//! Unix sockets that are not as they should be. What is right on them is held against the stand-in
//! and real servers, in `tests/contract`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use headscale_client::{ApiKeys as _, Error, ErrorKind, SocketClient, SocketTransport};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

struct Socket {
    _directory: TempDir,
    path: PathBuf,
}

impl Socket {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("headscale.sock");
        Self { _directory: directory, path }
    }

    /// One where each connection is greeted with `greeting` once it said something, or before.
    fn greeting(greeting: &'static [u8], after_request: bool) -> Self {
        let socket = Self::new();
        let listener = UnixListener::bind(&socket.path).expect("a socket");
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                if after_request {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        stream.read_buf(&mut request).await.expect("a request");
                    }
                }
                // Who asked may have gone.
                drop(stream.write_all(greeting).await);
            }
        });
        socket
    }
}

async fn create(path: &Path) -> Error {
    let client = SocketClient::new(path, Duration::from_secs(5));
    client.create_api_key(Timestamp::UNIX_EPOCH).await.expect_err("no Headscale")
}

#[tokio::test]
async fn there_is_no_socket() {
    let socket = Socket::new();
    let error = create(&socket.path).await;
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false));
    assert_eq!(
        error.to_string(),
        format!(
            "create an API key: there is no socket at {}: Headscale makes it once it has started, \
             at its `unix_socket`",
            socket.path.display()
        )
    );
}

#[tokio::test]
async fn nobody_listens_any_more() {
    let socket = Socket::new();
    drop(UnixListener::bind(&socket.path).expect("a socket"));
    let error = create(&socket.path).await;
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false));
    assert!(error.to_string().contains("nobody listens at"), "{error}");
}

#[tokio::test]
async fn what_is_there_is_no_socket() {
    let socket = Socket::new();
    std::fs::write(&socket.path, "a file").expect("a file");
    let error = create(&socket.path).await;
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false));
}

#[tokio::test]
async fn a_path_that_is_too_long_is_told_so() {
    let error = create(&Socket::new().path.with_file_name("x".repeat(200))).await;
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false));
}

#[tokio::test]
async fn what_listens_is_silent() {
    let socket = Socket::new();
    let _listener = UnixListener::bind(&socket.path).expect("a socket");
    let client = SocketClient::new(&*socket.path, Duration::from_millis(50));
    let error = client.create_api_key(Timestamp::UNIX_EPOCH).await.expect_err("it is silent");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Timeout, false));
    assert_eq!(error.to_string(), "create an API key: no connection within 0.05 s");
}

#[tokio::test]
async fn what_listens_hangs_up() {
    let socket = Socket::greeting(b"", true);
    let error = create(&socket.path).await;
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false), "{error}");
}

#[tokio::test]
async fn what_listens_is_not_headscale() {
    for greeting in [
        &b"220 mail.example ESMTP\r\n"[..],
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<html></html>",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"\0\0\x12\x07\0\0\0\0\0",
        b"\0",
    ] {
        let socket = Socket::greeting(greeting, true);
        let error = create(&socket.path).await;
        let told = (error.kind(), error.may_have_acted());
        assert_eq!(told, (ErrorKind::Protocol, false), "{greeting:?}: {error}");
        assert!(error.to_string().ends_with("is not Headscale"), "{error}");
    }
}

#[tokio::test]
async fn a_server_may_speak_first() {
    let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0";
    for after_request in [false, true] {
        let socket = Socket::greeting(settings, after_request);
        let client = SocketClient::new(&*socket.path, Duration::from_secs(5));
        assert_eq!(client.transport().await.expect("gRPC"), SocketTransport::Grpc);
    }
}

#[tokio::test]
async fn a_failure_in_json_is_headscales() {
    let failure = b"HTTP/1.1 500 X\r\ncontent-TYPE: application/problem+json\r\n\r\n{}";
    let socket = Socket::greeting(failure, true);
    let client = SocketClient::new(&*socket.path, Duration::from_secs(5));
    assert_eq!(client.transport().await.expect("HTTP"), SocketTransport::Http);
    assert_eq!(client.path(), socket.path);
}
