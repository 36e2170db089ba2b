//! Why something could not be packed or described.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why something could not be packed or described.
#[derive(Debug, Error)]
pub enum KrewError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What should be packed is nothing.
    #[error("{path}: an empty file is no part of a release")]
    Empty {
        /// Which one.
        path: PathBuf,
    },
    /// Not a version that krew takes.
    #[error("{text:?} is no version of a release: expected v1.2.3 or v1.2.3-rc.1")]
    Version {
        /// What was given.
        text: String,
    },
    /// Releases are not made for this.
    #[error("{triple:?} is no target of releases; they are {known}")]
    Target {
        /// What was given.
        triple: String,
        /// What could have been given.
        known: String,
    },
    /// Not an address below which krew can find archives.
    #[error("{url:?} is no address of archives: expected http:// or https://, without spaces")]
    BaseUrl {
        /// What was given.
        url: String,
    },
}
