//! Policy plugins, from their names to a real registry.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod artifact;
mod credentials;
mod docker_registry;
mod faults;
mod inspect;
mod lock;
mod push;
mod reference;
mod store;
mod support;
