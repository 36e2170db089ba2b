//! A server with the clients that speak to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headscale_client::{ApiKeys as _, HttpClient, Release, SocketClient};
use headscale_keys::{ApiKey, KeyPrefix};
use jiff::{SignedDuration, Timestamp};

use crate::servers::Server;

/// Long enough for a busy machine, on which hashing takes most.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) server: Box<dyn Server>,
    pub(crate) release: Release,
    /// The socket, whatever it speaks.
    pub(crate) socket: SocketClient,
    /// TCP, with [`Self::key`].
    pub(crate) http: HttpClient,
    /// A key that no case touches.
    pub(crate) key: ApiKey,
    next: AtomicU64,
}

impl World {
    pub(crate) async fn new(server: Box<dyn Server>) -> Self {
        let release = server.release();
        let socket = SocketClient::new(server.socket(), TIMEOUT);
        let key = socket.create_api_key(in_hours(24)).await.expect("a first key");
        let http = client(&server.url(), Some(&key));
        Self { server, release, socket, http, key, next: AtomicU64::new(1) }
    }

    /// The same with a server of the same kind that is empty.
    pub(crate) async fn emptied(self) -> Self {
        Self::new(self.server.fresh().await).await
    }

    pub(crate) fn name(&self) -> String {
        self.server.name()
    }

    /// Kills the server, and connects to it anew once it is back.
    pub(crate) async fn kill_and_start(&mut self) {
        self.server.kill_and_start().await;
        self.http = client(&self.server.url(), Some(&self.key));
    }

    /// A client over TCP with another key, or none.
    pub(crate) fn with_key(&self, key: Option<&ApiKey>) -> HttpClient {
        client(&self.server.url(), key)
    }

    /// HTTP through the socket, which 0.30 has.
    pub(crate) fn http_on_socket(&self) -> Option<HttpClient> {
        let builder = HttpClient::builder("http://localhost").unix_socket(self.server.socket());
        let client = builder.timeout(TIMEOUT).build().expect("a client");
        (self.release >= Release::V0_30).then_some(client)
    }

    /// A number that no other case has.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A name that no other case has, of a user or node.
    pub(crate) fn a_name(&self) -> String {
        format!("name-{}", self.number())
    }

    /// An expiration that no other key has, to the nanosecond.
    pub(crate) fn an_expiration(&self) -> Timestamp {
        let number = i64::try_from(self.number()).expect("a small number");
        in_hours(48) + SignedDuration::from_nanos(number)
    }

    /// The id of a registration, as this version has them.
    pub(crate) fn a_registration(&self) -> String {
        let id = format!("{:0>24}", self.number());
        if self.release >= Release::V0_29 { format!("hskey-authreq-{id}") } else { id }
    }
}

fn client(url: &str, key: Option<&ApiKey>) -> HttpClient {
    let builder = HttpClient::builder(url).timeout(TIMEOUT);
    let builder = match key {
        Some(key) => builder.api_key(key.clone()),
        None => builder,
    };
    builder.build().expect("a client")
}

pub(crate) fn in_hours(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

/// A prefix that no key has.
pub(crate) fn unknown_prefix() -> KeyPrefix {
    KeyPrefix::parse("-_nothere_-0").expect("a prefix")
}
