//! A stand-in Headscale for tests: the API of 0.28, 0.29 and 0.30 as clients meet it, with storage
//! on disk and faults on demand.
//!
//! It answers as real ones do where the tests in `tests/contract` hold both to the same answers. It
//! carries no traffic and knows no Tailscale client: nodes come in through the API's debug calls, or
//! by [`StandIn::register`].

#![forbid(unsafe_code)]

mod api;
mod arguments;
mod body;
mod call;
mod clock;
mod connection;
mod failure;
mod faults;
mod grpc;
mod http;
mod moment;
mod options;
mod render;
mod secret;
mod server;
mod stand_in;
mod state;
mod tls;

pub use call::Call;
pub use clock::Clock;
pub use faults::{Fault, Faults, Kind};
pub use options::{Options, PolicyMode, TlsFiles, Version};
pub use stand_in::{ApiKeyView, Snapshot, StandIn};
pub use state::Registration;
