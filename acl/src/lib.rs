//! Headscale policies as Headscale understands them, without a server.
//!
//! The crate is pure: no I/O, no clock, no threads, no randomness. Text goes in, findings come out.
//!
//! - [`hujson`] reads, prints and edits the text, losslessly.

pub mod hujson;
pub mod span;

pub use span::{LineIndex, Position, Span};

/// Policies larger than this are refused unread: 64 MiB.
pub const MAX_POLICY_BYTES: u64 = 64 << 20;
