//! What a stand-in is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;

/// Which Headscale to be. Ordered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 0.28.0.
    V0_28,
    /// 0.29.2.
    V0_29,
    /// What becomes 0.30: no gRPC, HTTP on the Unix socket, problem+json.
    V0_30,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::V0_28, Self::V0_29, Self::V0_30];

    /// What a released server answers to `GET /version`.
    #[must_use]
    pub const fn released(self) -> &'static str {
        match self {
            Self::V0_28 => "v0.28.0",
            Self::V0_29 => "v0.29.2",
            Self::V0_30 => "v0.30.0-dev",
        }
    }

    /// Whether the Unix socket speaks gRPC; else HTTP.
    #[must_use]
    pub const fn has_grpc(self) -> bool {
        matches!(self, Self::V0_28 | Self::V0_29)
    }
}

/// Where the policy comes from, as `policy.mode` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyMode {
    /// A file, which the API can only read.
    #[default]
    File,
    /// The database, which the API can write.
    Database,
}

/// The files that TLS is served with, as `tls_cert_path` and `tls_key_path` name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate in PEM, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// How to run a stand-in. [`Options::new`] gives one that listens nowhere.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose answers to give.
    pub version: Version,
    /// Where to keep what is stored, in one file. Made where it is missing; what an earlier stand-in
    /// left there is read.
    pub directory: PathBuf,
    /// The file to keep it in instead, which begins as a database of SQLite does. Its directory must
    /// be there.
    pub database: Option<PathBuf>,
    /// The Unix socket to serve; its directory is made where it is missing.
    pub socket: Option<PathBuf>,
    /// The permissions of the socket's file.
    pub socket_mode: u32,
    /// The TCP address to serve; port 0 is any free one.
    pub tcp: Option<SocketAddr>,
    /// What TLS is served with there; without it there is none.
    pub tls: Option<TlsFiles>,
    /// How much longer a call takes that hashes: one with an API key, and one that makes a key. Real
    /// ones take a tenth of a second or more.
    pub key_cost: Duration,
    /// Where the policy comes from.
    pub policy_mode: PolicyMode,
    /// The policy's file, of [`PolicyMode::File`].
    pub policy_path: Option<PathBuf>,
    /// What time it is.
    pub clock: Clock,
    /// What `GET /version` answers; servers that were built by hand say `dev`.
    pub reported_version: String,
    /// After which time a connection without a request is closed: 30 s in the real one, never unless
    /// it is set here. Not for gRPC.
    pub read_timeout: Option<Duration>,
}

impl Options {
    /// A stand-in for `version` that stores in `directory`. It listens nowhere, has the system's
    /// clock, hashes at no cost and takes its policy from a file that is not there.
    #[must_use]
    pub fn new(version: Version, directory: impl Into<PathBuf>) -> Self {
        Self {
            version,
            directory: directory.into(),
            database: None,
            socket: None,
            socket_mode: 0o700,
            tcp: None,
            tls: None,
            key_cost: Duration::ZERO,
            policy_mode: PolicyMode::File,
            policy_path: None,
            clock: Clock::system(),
            reported_version: version.released().to_owned(),
            read_timeout: None,
        }
    }

    /// The same, on the Unix socket `path`.
    #[must_use]
    pub fn on_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// The same, on a free port of 127.0.0.1.
    #[must_use]
    pub fn on_tcp(mut self) -> Self {
        self.tcp = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        self
    }
}
