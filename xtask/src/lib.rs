//! Chores of this repository, run as `cargo xtask COMMAND`.
//!
//! - [`layers`] holds the rule of which crate may depend on which;
//! - [`generate`] writes the committed files that are made from code;
//! - [`plugins`] builds the built-in plugins, and holds the committed ones against their sources;
//! - [`compiled_plugins`] compiles them ahead of time, for releases;
//! - [`gen_tailnet`] writes a tailnet of any size with a policy.

#![forbid(unsafe_code)]

mod chart;
pub mod cli_reference;
pub mod compiled_plugins;
pub mod gen_tailnet;
pub mod generate;
pub mod large_policy;
pub mod layers;
pub mod plugin_interface;
pub mod plugins;
pub mod protobuf;
