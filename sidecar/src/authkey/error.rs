//! Why a command of `authkey` failed.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::config::ConfigError;
use super::localapi::LocalApiError;
use super::state_secret::StateError;

/// Why a command failed. It never contains a key.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no way to the API server.
    #[error("{0}")]
    Connection(Box<dyn std::error::Error + Send + Sync>),
    /// The state Secret.
    #[error(transparent)]
    State(#[from] StateError),
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// tailscaled.
    #[error(transparent)]
    LocalApi(#[from] LocalApiError),
    /// Neither a directory nor a file says which key failed.
    #[error("which key failed? name --config-dir or --auth-key-file")]
    NoSource,
    /// No other key came in time.
    #[error(
        "no other key came within {}s: does the operator answer for this Secret, and is its config \
         Secret the one that is mounted? What was asked for stays asked for{}",
        .after.as_secs(),
        last(.config.as_ref())
    )]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// What was wrong with the config at the end.
        config: Option<ConfigError>,
    },
    /// A signal ended it.
    #[error("ended by a signal")]
    Ended,
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(io::Error),
}

fn last(config: Option<&ConfigError>) -> String {
    config.map(|error| format!(". The config: {error}")).unwrap_or_default()
}

impl Error {
    /// Of an error of connecting to the API server.
    pub(super) fn connection(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Connection(error.into())
    }

    /// What the process ends with: 1, 3 where no other key came in time, 143 after a signal.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::TimedOut { .. } => 3,
            Self::Ended => 143,
            _ => 1,
        }
    }
}
