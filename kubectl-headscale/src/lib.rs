//! `kubectl headscale`: the commands, as a library that the executable, the tests and xtask call.
//!
//! [`run`] is a whole run of the program. Nothing here asks the process for its environment, its
//! terminal or its clock: that is in [`Environment`] and [`Streams`].

#![forbid(unsafe_code)]

mod baseline;
mod cases;
mod cli;
mod commands;
mod config;
mod convert;
mod data;
mod environment;
mod error;
mod exit;
mod fix;
mod git;
mod input;
mod instance;
mod kubernetes;
mod leading;
mod locate;
mod manifests;
mod output;
mod place;
mod plugins;
mod replace;
pub mod report;
pub mod rules_markdown;
mod run;
mod severity;
mod snapshot;
mod suggest;
mod suite;
mod table;
mod ui;
mod version;
mod yaml;

pub use cases::cases_schema;
pub use cli::command;
pub use config::config_schema;
pub use environment::{Environment, Streams};
pub use exit::Exit;
pub use run::run;
pub use suite::suite_schema;
