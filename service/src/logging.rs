//! Where logs go and how they look.

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

/// The least that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
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

/// What of it the command line says, before and after a command.
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// How log lines look
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "json",
        env = "LOG_FORMAT",
        ignore_case = true
    )]
    pub log_format: Format,
    /// The least that is logged
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "info",
        env = "LOG_LEVEL",
        ignore_case = true
    )]
    pub log_level: Level,
}

/// Has everything of `program` and of our own libraries logged to standard error, and nothing of
/// others: what they fail at comes back to us as errors, and some of them log requests. `program`
/// is the name of a crate as paths have it.
///
/// # Errors
///
/// When logs go somewhere else already.
pub fn start(args: &LogArgs, program: &'static str) -> Result<(), TryInitError> {
    let level = LevelFilter::from(args.log_level);
    let ours = Targets::new()
        .with_targets([program, "headscale_client", "headscale_service"].map(|it| (it, level)))
        .with_default(LevelFilter::OFF);
    let to = fmt::layer().with_writer(std::io::stderr).with_target(false);
    match args.log_format {
        Format::Json => registry().with(ours).with(to.json().flatten_event(true)).try_init(),
        Format::Text => registry().with(ours).with(to.with_ansi(false)).try_init(),
    }
}
