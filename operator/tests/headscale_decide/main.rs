//! What is decided about instances, without a cluster.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by a panic, as the test does")]

mod conditions;
mod decisions;
mod objects;
mod pods;
mod versions;
mod world;
