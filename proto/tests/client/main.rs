//! The client against servers that answer as they are told to.

#![expect(clippy::expect_used, clippy::string_slice, reason = "a test fails by panicking")]

mod connections;
mod refusals;
mod retries;
mod server;
mod sockets;
mod tls;
mod versions;
mod wire;
