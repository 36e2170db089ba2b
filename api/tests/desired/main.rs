//! The objects of an instance: what they are, what changes them, and that a real API server takes
//! them with the `restricted` Pod Security Standard enforced.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails by a panic, as the test does"
)]

mod cases;
mod cluster;
mod names;
mod objects;
mod policy;
mod properties;
mod rolling;
mod sidecar;
mod takeover;
