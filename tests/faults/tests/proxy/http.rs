//! The proxy passes on what it should, and does harm where it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headscale_faults::{Fault, Protocol, Proxy, RequestInfo, Upstream, When};
use http_body_util::{BodyExt as _, Full};
use tokio::net::{TcpStream, UnixStream};

use crate::support::{Connection, Echo};

/// A proxy before an echo.
async fn proxied() -> (Proxy, Echo, SocketAddr) {
    let (proxy, echo) = (Proxy::new(), Echo::default());
    let address = proxy.listen_tcp(Upstream::Tcp(echo.on_tcp().await)).await;
    (proxy, echo, address)
}

async fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    Connection::to(address).await.ok()?.get(path).await.ok()
}

#[tokio::test]
async fn requests_and_answers_pass_unchanged() {
    let (proxy, echo, address) = proxied().await;
    let mut connection = Connection::to(address).await.expect("it listens");
    let posted = connection.send("POST", "/a?b=c", "body").await.expect("an answer");
    assert_eq!(posted, (200, "POST /a?b=c body".to_owned()));
    let request = http::Request::get("/d")
        .header("host", "proxy")
        .header("authorization", "Bearer token")
        .body(Full::default())
        .expect("a request");
    let answer = connection.open(request).await.expect("an answer");
    assert_eq!(answer.headers()["x-answered-by"], "echo");
    assert_eq!(answer.headers()["x-token"], "Bearer token");
    assert_eq!(echo.seen(), ["POST /a?b=c body", "GET /d"]);
    let info = |n, method: &str, path: &str| RequestInfo {
        n,
        listener: address.to_string(),
        method: method.to_owned(),
        path: path.to_owned(),
    };
    assert_eq!(proxy.requests(), [info(1, "POST", "/a?b=c"), info(2, "GET", "/d")]);
}

#[tokio::test]
async fn listeners_count_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let (proxy, echo, address) = proxied().await;
    let (behind, before) = (folder.path().join("behind"), folder.path().join("before"));
    echo.on_unix(&behind);
    proxy.listen_unix(&before, Upstream::Unix(behind), Protocol::Http1).await;
    get(address, "/tcp").await.expect("an answer");
    let stream = UnixStream::connect(&before).await.expect("it listens");
    let mut connection = Connection::over(stream).await.expect("a connection");
    assert_eq!(connection.get("/unix").await.expect("an answer").1, "GET /unix");
    let counted: Vec<_> =
        proxy.requests().into_iter().map(|info| (info.n, info.listener)).collect();
    assert_eq!(counted, [(1, address.to_string()), (2, before.display().to_string())]);
    proxy.reset();
    assert_eq!(proxy.requests(), []);
    get(address, "/again").await.expect("an answer");
    assert_eq!(proxy.requests()[0].n, 1);
}

#[tokio::test]
async fn an_action_before_runs_at_its_request_and_nothing_is_forwarded() {
    let (proxy, echo, address) = proxied().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen_then = {
        let (told, echo) = (Arc::clone(&told), echo.clone());
        move |info: &RequestInfo| {
            told.lock().expect("not poisoned").push((info.path.clone(), echo.seen().len()));
        }
    };
    proxy.at(2, When::Before, seen_then);
    let mut connection = Connection::to(address).await.expect("it listens");
    connection.get("/1").await.expect("an answer");
    connection.get("/2").await.expect_err("cut");
    connection.get("/3").await.expect_err("the connection is gone");
    assert_eq!(get(address, "/4").await.expect("an answer").1, "GET /4");
    assert_eq!(*told.lock().expect("not poisoned"), [("/2".to_owned(), 1)]);
    assert_eq!(echo.seen(), ["GET /1", "GET /4"]);
}

#[tokio::test]
async fn an_action_after_runs_when_the_upstream_is_done_and_nothing_is_passed_on() {
    let (proxy, echo, address) = proxied().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen_then = {
        let (told, echo) = (Arc::clone(&told), echo.clone());
        move |_: &RequestInfo| *told.lock().expect("not poisoned") = echo.seen()
    };
    proxy.at(1, When::After, seen_then);
    assert_eq!(get(address, "/1").await, None);
    assert_eq!(*told.lock().expect("not poisoned"), ["GET /1"]);
}

#[tokio::test]
async fn an_action_after_runs_even_when_the_client_is_gone() {
    let (proxy, _echo, address) = proxied().await;
    let (tell, told) = tokio::sync::oneshot::channel();
    proxy.at(1, When::After, move |_| {
        tell.send(()).expect("the test waits");
    });
    proxy.pause();
    let mut connection = Connection::to(address).await.expect("it listens");
    let client = tokio::spawn(async move { connection.get("/1").await.ok() });
    proxy.arrived(1).await;
    proxy.resume();
    client.abort();
    told.await.expect("it ran");
}

#[tokio::test]
async fn connections_are_cut_before_and_after() {
    let (proxy, echo, address) = proxied().await;
    proxy.fault_at(1, When::Before.into());
    proxy.fault_at(2, Fault::DropAfter);
    assert_eq!(get(address, "/1").await, None);
    assert_eq!(get(address, "/2").await, None);
    assert_eq!(get(address, "/3").await.expect("an answer").0, 200);
    assert_eq!(echo.seen(), ["GET /2", "GET /3"]);
}

#[tokio::test]
async fn answers_can_be_replaced_by_a_status() {
    let (proxy, echo, address) = proxied().await;
    proxy.fault_at(1, Fault::Status(503));
    let mut connection = Connection::to(address).await.expect("it listens");
    assert_eq!(connection.get("/1").await.expect("an answer"), (503, String::new()));
    assert_eq!(connection.get("/2").await.expect("an answer").0, 200);
    assert_eq!(echo.seen(), ["GET /2"]);
}

#[tokio::test]
async fn answers_can_end_in_the_middle() {
    let (proxy, echo, address) = proxied().await;
    proxy.fault_at(1, Fault::Truncate);
    let mut connection = Connection::to(address).await.expect("it listens");
    let request = http::Request::get("/abcdef")
        .header("host", "proxy")
        .body(Full::default())
        .expect("a request");
    let answer = connection.open(request).await.expect("a head");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-length"], "11");
    let mut body = answer.into_body();
    let mut read = Vec::new();
    while let Ok(frame) = body.frame().await.expect("no proper end") {
        read.extend(frame.into_data().expect("data"));
    }
    assert_eq!(read, b"GET /");
    assert_eq!(echo.seen(), ["GET /abcdef"]);
}

#[tokio::test]
async fn requests_can_be_delayed() {
    let (proxy, _echo, address) = proxied().await;
    let time = Duration::from_millis(200);
    proxy.fault_at(1, Fault::Delay(time));
    let start = Instant::now();
    get(address, "/1").await.expect("an answer");
    assert!(start.elapsed() >= time);
}

#[tokio::test]
async fn a_request_can_outlive_its_client_until_it_is_released() {
    let (proxy, echo, address) = proxied().await;
    let (fault, release) = Fault::late();
    proxy.fault_at(1, fault);
    assert_eq!(get(address, "/zombie").await, None);
    get(address, "/next").await.expect("an answer");
    assert_eq!(echo.seen(), ["GET /next"]);
    assert_eq!(release.forward().await, Some(200));
    assert_eq!(echo.seen(), ["GET /next", "GET /zombie"]);
}

#[tokio::test]
async fn a_request_can_outlive_its_client_for_a_time() {
    let (proxy, echo, address) = proxied().await;
    proxy.fault_at(1, Fault::LateAfter(Duration::from_millis(100)));
    assert_eq!(get(address, "/zombie").await, None);
    let deadline = Instant::now() + Duration::from_secs(30);
    while echo.seen() != ["GET /zombie"] {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rules_choose_by_what_is_asked() {
    let (proxy, echo, address) = proxied().await;
    let mut left = 2;
    proxy.faults(move |info| {
        let meant = info.method == "GET" && info.path.starts_with("/bad") && left > 0;
        left -= usize::from(meant);
        meant.then_some(Fault::Status(500))
    });
    proxy.fault_at(2, Fault::Status(404));
    let mut statuses = Vec::new();
    for path in ["/bad", "/bad", "/good", "/bad", "/bad"] {
        statuses.push(get(address, path).await.expect("an answer").0);
    }
    assert_eq!(statuses, [500, 404, 200, 500, 200]);
    assert_eq!(echo.seen(), ["GET /good", "GET /bad"]);
}

#[tokio::test]
async fn requests_can_be_held() {
    let (proxy, echo, address) = proxied().await;
    proxy.pause();
    let held = tokio::spawn(get(address, "/held"));
    proxy.arrived(1).await;
    assert_eq!(proxy.requests()[0].path, "/held");
    assert_eq!(echo.seen(), Vec::<String>::new());
    assert!(!held.is_finished());
    proxy.resume();
    assert_eq!(held.await.expect("no panic").expect("an answer").0, 200);
}

#[tokio::test]
async fn servers_can_be_gone_and_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (proxy, echo, address) = proxied().await;
    let (behind, before) = (folder.path().join("behind"), folder.path().join("before"));
    echo.on_unix(&behind);
    proxy.listen_unix(&before, Upstream::Unix(behind), Protocol::Http1).await;
    let mut open = Connection::to(address).await.expect("it listens");
    open.get("/1").await.expect("an answer");
    for _ in 0..3 {
        proxy.refuse(true);
        open.get("/2").await.expect_err("cut");
        TcpStream::connect(address).await.expect_err("refused");
        UnixStream::connect(&before).await.expect_err("refused");
        assert!(before.exists());
        proxy.refuse(false);
        open = Connection::to(address).await.expect("it listens again");
        open.get("/3").await.expect("an answer");
        UnixStream::connect(&before).await.expect("it listens again");
    }
}

#[tokio::test]
async fn an_upstream_that_is_gone_cuts_the_connection() {
    let proxy = Proxy::new();
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound")
    };
    let address = proxy.listen_tcp(Upstream::Tcp(nobody)).await;
    assert_eq!(get(address, "/").await, None);
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn a_test_that_blocks_does_not_block_the_proxy() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads");
    let (_proxy, _echo, address) = runtime.block_on(proxied());
    let answer = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        stream.write_all(b"GET /1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    });
    assert!(answer.join().expect("no panic").ends_with("GET /1"));
}
