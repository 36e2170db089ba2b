//! Digests of files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::KrewError;

/// The SHA-256 of the file at `path`, as krew wants it: 64 hexadecimal digits, in lower case.
///
/// # Errors
///
/// [`KrewError::Io`] where it cannot be read.
pub(crate) fn sha256(path: &Path) -> Result<String, KrewError> {
    let digest = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut buffer)?;
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
                break;
            };
            hasher.update(read);
        }
        let mut hex = String::new();
        for byte in hasher.finalize() {
            // Writing into a String does not fail.
            write!(hex, "{byte:02x}").map_err(io::Error::other)?;
        }
        Ok(hex)
    };
    digest().map_err(|source| KrewError::Io { path: path.to_owned(), source })
}
