//! The kinds against a real API server: every rule of every schema has an object that it accepts and
//! one that it refuses, and what both releases of the Go operator stored or published applies
//! unchanged.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cluster;
mod kubectl;
mod manifests;
mod rules;
mod schemas;
mod steps;
mod typed;
