//! Headscale's configuration: what its keys are, and what each version makes of them.
//!
//! - [`keys`] is the table of all keys, from which the rest and the documentation are made;
//! - [`check()`] tells what a version makes of a configuration;
//! - [`render()`] makes the `config.yaml` of an instance for its version;
//! - [`from_yaml`] and [`to_yaml`] read and write it.

mod check;
mod finding;
mod key;
mod leaves;
mod ports;
mod render;
mod secret;
mod settings;
mod table;
mod translate;
mod values;
mod yaml;

pub use check::{check, check_beside};
pub use finding::ConfigFinding;
pub use key::{Key, Kind, Refusal, Removed, Successor, key, keys};
pub use ports::Ports;
pub use render::{Given, Rendered, TlsPaths, render};
pub use secret::{InlineSecret, environment_name};
pub(crate) use values::url;
pub use yaml::{from_yaml, to_yaml};
