//! What the client adds to a call over loopback: the same call through it, and by a bare connection
//! that writes the same bytes and reads the answer to its end.

#![expect(clippy::expect_used, reason = "a bench that cannot run fails as a test does")]

use std::io;

use criterion::{Criterion, criterion_group, criterion_main};
use headscale_client::{ApiKeys as _, HttpClient};
use headscale_keys::ApiKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const KEYS: usize = 10;

fn body() -> String {
    let key = |id: usize| {
        format!(
            r#"{{"id":"{id}","prefix":"hskey-api-{id:0>12}-***","expiration":"2030-01-02T03:04:05.123456789Z","createdAt":"2029-01-02T03:04:05.123456789Z","lastSeen":null}}"#
        )
    };
    let keys: Vec<String> = (1..=KEYS).map(key).collect();
    format!(r#"{{"apiKeys":[{}]}}"#, keys.join(","))
}

fn answer() -> Vec<u8> {
    let body = body();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    format!("{head}{body}").into_bytes()
}

/// Reads a request without a body.
async fn read_request(stream: &mut TcpStream) -> io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let answer = answer();
    while read_request(&mut stream).await? {
        stream.write_all(&answer).await?;
    }
    Ok(())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A server on a thread of its own.
fn server() -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            sender.send(listener.local_addr().expect("an address").to_string()).expect("a test");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream));
            }
        });
    });
    receiver.recv().expect("an address")
}

fn call(criterion: &mut Criterion) {
    let address = server();
    let runtime = runtime();
    let mut group = criterion.benchmark_group("list 10 API keys over loopback");

    let key = format!("hskey-api-{}-{}", "a".repeat(12), "s".repeat(64));
    let key = ApiKey::parse(&key).expect("a key");
    let url = format!("http://{address}");
    let client = HttpClient::builder(&url).api_key(key.clone()).build().expect("a client");
    group.bench_function("by the client", |bencher| {
        bencher.iter(|| {
            let keys = runtime.block_on(client.list_api_keys()).expect("a list");
            assert_eq!(keys.len(), KEYS);
        });
    });

    let mut stream = runtime.block_on(TcpStream::connect(&address)).expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let request = format!(
        "GET /api/v1/apikey HTTP/1.1\r\nauthorization: Bearer {}\r\naccept: application/json\r\nhost: {address}\r\n\r\n",
        key.expose()
    );
    let mut expected = vec![0; answer().len()];
    group.bench_function("by a bare connection", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                stream.write_all(request.as_bytes()).await.expect("sent");
                stream.read_exact(&mut expected).await.expect("an answer");
            });
        });
    });
    group.finish();
}

criterion_group!(benches, call);
criterion_main!(benches);
