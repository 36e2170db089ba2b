//! Versions.

/// Version of this program.
pub(crate) const CLIENT: &str = env!("CARGO_PKG_VERSION");
