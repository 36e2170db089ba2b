//! The node's side of the reissue protocol: alone, and beside a real tailscaled.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cluster;
mod commands;
mod config;
mod documentation;
mod node;
mod real_headscale;
mod support;
