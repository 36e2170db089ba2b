//! Headscale's configuration: what each version makes of it, and what is written for an instance.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod check;
mod render;
mod secrets;
mod table;
mod yaml;
