//! A running stand-in, as tests hold it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use jiff::Timestamp;

use crate::faults::Faults;
use crate::options::Options;
use crate::server::{End, Server};
use crate::state::{Data, Registration};

/// A running stand-in. Dropped, it ends at once and removes its socket.
pub struct StandIn {
    server: Server,
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn")
            .field("version", &self.server.shared.version())
            .field("address", &self.server.address)
            .field("socket", &self.server.socket)
            .finish_non_exhaustive()
    }
}

/// An API key as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyView {
    /// Its number.
    pub id: u64,
    /// What tells it from others: 12 characters, 7 of a key of 0.27 or older.
    pub prefix: String,
    /// From when on it is refused. Where the call that made it gave none, this is the year 1; `None`
    /// only for planted keys that never expire.
    pub expiration: Option<Timestamp>,
    /// When it was made, by the stand-in's clock.
    pub created_at: Timestamp,
}

/// All that was stored at one moment: a backup.
#[derive(Clone)]
pub struct Snapshot(Data);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl StandIn {
    /// Starts one. It has threads of its own: a test may block.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be written, what is stored there cannot be read, a server of this
    /// version does not start on it, the certificate cannot be used, or the socket or the port
    /// cannot be had.
    #[expect(clippy::unused_async, reason = "starting may come to wait")]
    pub async fn start(options: Options) -> io::Result<Self> {
        Server::start(options).map(|server| Self { server })
    }

    /// The TCP address.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.address
    }

    /// The TCP address as a URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let scheme = if self.server.has_tls() { "https" } else { "http" };
        self.address().map(|address| format!("{scheme}://{address}"))
    }

    /// The Unix socket.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.server.socket.as_deref()
    }

    /// Ends as on SIGTERM: removes the socket, takes no more connections, gives the answers under way
    /// 3 seconds.
    pub async fn stop(mut self) {
        // Off this thread, which may have to read those answers. It fails where the runtime goes
        // down, which is the end too.
        let ending = tokio::task::spawn_blocking(move || self.server.end(End::Graceful));
        drop(ending.await);
    }

    /// Ends as on SIGKILL: connections are cut, nothing more is written, the socket's file stays.
    pub fn crash(mut self) {
        self.server.end(End::Killed);
    }

    /// What shall go wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.server.shared.faults()
    }

    /// The API keys, expired ones too, by their number.
    #[must_use]
    pub fn api_keys(&self) -> Vec<ApiKeyView> {
        let state = self.server.shared.state();
        let keys = state.data().api_keys.iter().map(|key| ApiKeyView {
            id: key.id,
            prefix: key.prefix.clone(),
            expiration: key.expiration.map(crate::moment::Moment::timestamp),
            created_at: key.created_at.timestamp(),
        });
        keys.collect()
    }

    /// The text of every API key and pre-auth key that was made or planted since this stand-in
    /// started, those that nobody was told too. Only hashes are on disk.
    #[must_use]
    pub fn every_key_ever(&self) -> Vec<String> {
        self.server.shared.state().every_key_ever().to_vec()
    }

    /// Whether a call with this API key would be let in now.
    #[must_use]
    pub fn authenticates(&self, key: &str) -> bool {
        self.server.shared.state().authenticates(key)
    }

    /// What was asked since the start, in order of arrival: `grpc CreateApiKey`,
    /// `GET /api/v1/apikey`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.server.shared.requests()
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.server.shared.connections()
    }

    /// Loses the database: no users, nodes, keys and policy are left, and numbers start at 1.
    ///
    /// # Panics
    ///
    /// Where the directory cannot be written.
    pub fn wipe(&self) {
        self.restore(&Snapshot(Data::default()));
    }

    /// Takes a backup.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.server.shared.state().data().clone())
    }

    /// Restores a backup.
    ///
    /// # Panics
    ///
    /// Where the directory cannot be written.
    pub fn restore(&self, snapshot: &Snapshot) {
        let restored = self.server.shared.state().replace(snapshot.0.clone());
        restored.expect("the stand-in's directory can be written");
    }

    /// Stores an API key that another server made, of either format; without `expiration` it never
    /// expires.
    ///
    /// # Panics
    ///
    /// Where it has not the form of a key, or the directory cannot be written.
    pub fn plant_api_key(&self, key: &str, expiration: Option<Timestamp>) {
        let planted = self.server.shared.state().plant_api_key(key, expiration);
        assert!(planted.is_ok(), "the text is no API key, or the directory cannot be written");
    }

    /// Lets a machine in as a node, as if it had come with a pre-auth key; gives the node's number.
    ///
    /// # Errors
    ///
    /// What Headscale tells the machine: `authkey expired`, `authkey already used`, that the key is
    /// unknown, or that a route is none.
    pub fn register(&self, machine: &Registration) -> Result<u64, String> {
        self.server.shared.state().register_with_key(machine).map(|node| node.id)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let is_up = self.server.is_up();
        self.server.end(End::Killed);
        if let (true, Some(socket)) = (is_up, self.socket()) {
            // Somebody may have removed it already.
            drop(std::fs::remove_file(socket));
        }
    }
}
