//! Connections: what is lost on them, and what is never sent twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use headscale_client::{ApiKeys as _, BuilderError, ErrorKind, HeadscaleApi as _, HttpClient};
use headscale_client::{NewPreAuthKey, NewUser};
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::server::{Reply, Server, answer, json, key};

const EMPTY: &str = r#"{"apiKeys":[]}"#;

#[tokio::test]
async fn what_is_made_is_asked_for_once() {
    for reply in [Reply::Close, Reply::SendAndClose(b"HTTP/1.1 200 OK\r\nConte".to_vec())] {
        let server = Server::with(reply).await;
        let client = server.client();
        let expiration = Timestamp::UNIX_EPOCH;
        let errors = [
            client.create_api_key(expiration).await.map(drop),
            client.create_user(&NewUser::named("a")).await.map(drop),
            client.create_preauth_key(&NewPreAuthKey::of_user(1, expiration)).await.map(drop),
        ];
        for error in errors {
            let error = error.expect_err("the connection is lost");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.may_have_acted(), "{error}");
        }
        assert_eq!(server.seen().len(), 3);
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_before_anything_is_sent() {
    // Each answer is the last one of its connection, which the client is not told.
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{EMPTY}", EMPTY.len());
    let server = Server::with(Reply::SendAndClose(reply.into_bytes())).await;
    let client = server.client();
    for asked in 1..=20 {
        client.list_api_keys().await.expect("an answer");
        assert_eq!(server.seen().len(), asked);
        // The runtime sees that the other end closed.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_request_is_an_error() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => json(EMPTY),
        _ => Reply::Close,
    })
    .await;
    let client = server.client();
    client.list_api_keys().await.expect("an answer");
    let error = client.create_api_key(Timestamp::UNIX_EPOCH).await.expect_err("it is lost");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, true));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::with(json(EMPTY)).await;
    let client = server.client();
    for _ in 0..5 {
        client.list_api_keys().await.expect("an answer");
    }
    // Another one would have come from another address; that is not seen, but the order is.
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let client = HttpClient::builder(&url).build().expect("a client");
    let error = client.create_api_key(Timestamp::UNIX_EPOCH).await.expect_err("nobody listens");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, false));
    assert!(error.to_string().contains("onnection refused"), "{error}");
}

#[tokio::test]
async fn no_answer_in_time() {
    let server = Server::with(Reply::Never).await;
    let builder = HttpClient::builder(&server.url).timeout(Duration::from_millis(50));
    let client = builder.build().expect("a client");
    let error = client.create_api_key(Timestamp::UNIX_EPOCH).await.expect_err("no answer");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Timeout, true));
    assert_eq!(error.to_string(), "create an API key: no answer within 0.05 s");
}

#[tokio::test]
async fn half_an_answer_in_time_is_none() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{".to_vec();
    let server = Server::with(Reply::Send(half.clone())).await;
    let builder = HttpClient::builder(&server.url).timeout(Duration::from_millis(50));
    let error = builder.build().expect("a client").list_api_keys().await.expect_err("half of it");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Timeout, true));

    let server = Server::with(Reply::SendAndClose(half)).await;
    let error = server.client().list_api_keys().await.expect_err("half of it");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Unavailable, true));
}

#[tokio::test]
async fn what_is_no_http_is_told_so() {
    let server = Server::with(Reply::SendAndClose(b"220 mail.example ESMTP\r\n".to_vec())).await;
    let error = server.client().list_api_keys().await.expect_err("no HTTP");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.may_have_acted());
}

#[tokio::test]
async fn an_answer_has_a_largest_size() {
    let body = format!(r#"{{"user":{{"name":"{}"}}}}"#, "x".repeat(5 << 20));
    let server = Server::with(json(&body)).await;
    let error = server.client().create_user(&NewUser::named("x")).await.expect_err("too large");
    assert_eq!((error.kind(), error.may_have_acted()), (ErrorKind::Protocol, true));
    assert_eq!(error.to_string(), "create a user: the answer is larger than 4194304 bytes");
    // A list may be larger.
    let body = format!(r#"{{"nodes":[{{"name":"{}"}}]}}"#, "x".repeat(5 << 20));
    let server = Server::with(json(&body)).await;
    assert_eq!(server.client().list_nodes(None).await.expect("a list").len(), 1);
}

#[test]
fn addresses_are_checked() {
    let refused = |url: &str| match HttpClient::builder(url).build() {
        Err(BuilderError::Url { url, reason }) => format!("{url}: {reason}"),
        other => panic!("{url}: {other:?}"),
    };
    assert_eq!(
        refused("headscale.example"),
        "headscale.example: it must start with http:// or https://"
    );
    assert_eq!(refused("ftp://x"), "ftp://x: it must start with http:// or https://");
    assert_eq!(refused("http://x/?a=b"), "http://x/?a=b: it must not have a query");
    assert_eq!(refused("http://"), "http://: expected http://HOST:PORT or https://HOST");
    assert_eq!(
        refused("http://me:secret@x"),
        "http://…@x: it must not contain a user: Headscale takes an API key"
    );
}

#[test]
fn passwords_in_addresses_are_not_shown() {
    for url in ["me:secret@x", "http://me:secret@x", "ftp://me:secret@x", "me:se://cret@x"] {
        let builder = HttpClient::builder(url).api_key(key()).ca("PEM");
        let shown = format!("{builder:?} {}", builder.clone().build().expect_err("refused"));
        assert!(shown.contains("…@x") && !shown.contains("cret"), "{shown}");
        assert!(!shown.contains(key().expose()), "{shown}");
    }
}

#[tokio::test]
async fn a_server_may_be_below_a_path() {
    let server = Server::with(answer(200, "application/json", EMPTY)).await;
    for below in ["/proxied/headscale", "/proxied/headscale/"] {
        let client = HttpClient::builder(&format!("{}{below}", server.url)).build();
        client.expect("a client").list_api_keys().await.expect("an answer");
    }
    let lines: Vec<String> = server.seen().into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["GET /proxied/headscale/api/v1/apikey"; 2]);
}
