//! `headscale-sidecar apikey`: keeps one working API key in one Secret.

pub mod args;
pub mod clock;
pub mod events;
pub mod headscale;
pub mod manager;
pub mod metrics;
mod run;
mod status;
pub mod store;

pub use args::Args;
pub use run::{Error, run};
