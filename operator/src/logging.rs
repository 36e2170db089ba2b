//! Where logs go and how they look.

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

/// The least that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Failures that end the process
    Error,
    /// Failures that will be tried again
    Warn,
    /// What was done
    Info,
    /// What was looked at
    Debug,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
        }
    }
}

/// Has everything of this program logged to standard error, and nothing of its libraries: what they
/// fail at comes back to us as errors, and some of them log requests.
///
/// # Errors
///
/// When logs go somewhere else already.
pub(crate) fn start(format: Format, level: Level) -> Result<(), TryInitError> {
    let ours = Targets::new()
        .with_target("headscale_operator", LevelFilter::from(level))
        .with_target("headscale_client", LevelFilter::from(level))
        .with_default(LevelFilter::OFF);
    let to = fmt::layer().with_writer(std::io::stderr).with_target(false);
    match format {
        Format::Json => registry().with(ours).with(to.json().flatten_event(true)).try_init(),
        Format::Text => registry().with(ours).with(to.with_ansi(false)).try_init(),
    }
}
