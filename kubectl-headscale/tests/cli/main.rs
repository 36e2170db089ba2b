//! The plugin as users run it: the real executable in a directory of its own, and what it prints.

mod check;
mod compile;
mod completion;
mod config;
mod convert;
mod diff;
#[expect(clippy::unwrap_used, reason = "a test whose directory cannot be set up fails")]
mod environment;
mod fmt;
#[expect(clippy::unwrap_used, reason = "a guide that cannot be walked fails")]
mod guide;
mod help;
mod input;
mod library;
mod output;
#[expect(clippy::expect_used, reason = "a test whose files are not there fails")]
mod plugin;
#[expect(clippy::expect_used, reason = "a test whose files are not there fails")]
mod plugins;
mod query;
mod readme;
mod rules;
mod snapshot;
mod test;
mod version;
