//! The plugin as users run it: the real executable in a directory of its own, and what it prints.

mod check;
mod compile;
mod completion;
mod config;
mod config_check;
mod convert;
mod create;
mod diff;
#[expect(clippy::unwrap_used, reason = "a test whose directory cannot be set up fails")]
mod environment;
mod fmt;
#[expect(clippy::unwrap_used, reason = "a guide that cannot be walked fails")]
mod guide;
mod help;
mod input;
mod library;
mod manifests;
#[expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a report that cannot be read fails"
)]
mod manifests_places;
mod output;
#[expect(clippy::expect_used, reason = "a test whose files are not there fails")]
mod plugin;
#[expect(clippy::expect_used, reason = "a test whose files are not there fails")]
mod plugins;
mod query;
mod readme;
mod render_instance;
mod rules;
mod snapshot;
mod test;
mod version;
