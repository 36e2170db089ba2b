//! The Helm chart in `charts/headscale-operator`, by a real helm: it makes the objects that
//! `render operator` prints, each of its values does what it says, and a real API server takes what
//! comes of it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails by a panic, as the test does"
)]

mod arguments;
mod cluster;
mod helm;
mod labels;
mod objects;
mod schema;
mod values;
