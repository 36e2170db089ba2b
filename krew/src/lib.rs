//! What krew installs the plugin from.
//!
//! - [`Platform`] is one that releases are made for;
//! - [`archive`] packs the program for one of them, the same bytes each time;
//! - [`manifest`] tells krew where the archives are and what they must be.

#![forbid(unsafe_code)]

mod digest;
mod error;
mod platform;
mod version;

pub mod archive;
pub mod manifest;

pub use error::KrewError;
pub use platform::{PLATFORMS, Platform};
pub use version::Version;
