//! Headscale policies as Headscale understands them, without a server.
//!
//! The crate is pure: no I/O, no clock, no threads, no randomness. Text goes in, findings come out.
//!
//! - [`check()`] is the whole check of one text;
//! - [`defects()`] examines a snapshot of users and nodes;
//! - [`hujson`] reads, prints and edits the text, losslessly;
//! - [`rules`] lists every rule with its text and an example.

#![forbid(unsafe_code)]

mod check;
mod context;
mod decode;
mod defects;
pub mod engine;
pub mod finding;
pub mod hujson;
mod lint;
pub mod policy;
pub mod rules;
pub mod semantics;
pub mod span;
mod suggest;
pub mod suite;
mod suppress;
pub mod tailnet;
mod validate;
pub mod verify;
mod wording;

pub use check::{Checked, Date, Options, check, check_syntax, compile};
pub use defects::{Defect, Defects, defects};
pub use finding::{Counts, Finding, Findings, Fix, Severity, Source};
pub use semantics::Version;
pub use span::{LineIndex, Position, Span};
pub use suppress::silence_plugins;
pub use tailnet::Tailnet;

/// Policies larger than this are refused unread: 64 MiB.
pub const MAX_POLICY_BYTES: u64 = 64 << 20;
