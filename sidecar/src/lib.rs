//! The sidecar of Headscale and of its nodes: keys that are never lost.
//!
//! - [`apikey`] keeps one working API key in one Secret, beside Headscale in its pod;
//! - [`authkey`] has a node's auth key reissued, beside tailscaled;
//! - [`backup`] copies Headscale's database before an upgrade.
//!
//! What is decided about keys is decided in [`headscale_keys`]; this crate reads, asks and writes.

#![forbid(unsafe_code)]

pub mod apikey;
pub mod authkey;
pub mod backup;
pub mod cli;
pub mod kubernetes;
