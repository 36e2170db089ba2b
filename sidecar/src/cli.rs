//! The command line.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::logging::{Format, Level};
use crate::{apikey, authkey, backup};

/// The sidecar of Headscale and of its nodes: keys that are never lost.
///
/// Without a command, or with a first argument that starts with a dash, it is `apikey`: manifests of
/// the Go sidecar go on working.
#[derive(Clone, Debug, Parser)]
#[command(name = "headscale-sidecar", version, max_term_width = 100)]
pub struct Cli {
    /// How log lines look
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "json",
        env = "LOG_FORMAT",
        ignore_case = true
    )]
    log_format: Format,
    /// The least that is logged
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "info",
        env = "LOG_LEVEL",
        ignore_case = true
    )]
    log_level: Level,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Keep one working API key in one Secret
    Apikey(Box<apikey::Args>),
    /// Have a node's auth key reissued
    Authkey(Box<authkey::Args>),
    /// Copy Headscale's database and key before an upgrade
    Backup(backup::Args),
}

/// What the Go sidecar's flags are, which its package takes with one dash too.
const GO_FLAGS: [&str; 5] =
    ["socket-path", "namespace", "secret-name", "expiration", "rotation-buffer"];

/// The arguments as clap takes them: `apikey` in front where there is no command, and two dashes
/// where Go takes one.
fn compatible(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = arguments.into_iter().collect();
    let first = all.get(1).map(|first| first.to_string_lossy().into_owned());
    let asks_about_itself = matches!(first.as_deref(), Some("-h" | "--help" | "-V" | "--version"));
    let is_bare = first.is_none_or(|first| first.starts_with('-'));
    if !is_bare || asks_about_itself {
        return all;
    }
    for argument in all.iter_mut().skip(1) {
        let text = argument.to_string_lossy();
        let flag = text.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let is_go = flag.is_some_and(|flag| {
            GO_FLAGS.contains(&flag.split_once('=').map_or(flag, |(name, _)| name))
        });
        if is_go {
            *argument = format!("-{text}").into();
        }
    }
    all.insert(1.min(all.len()), "apikey".into());
    all
}

/// The command line, for whoever writes about it.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the arguments, the first of which is the program's name.
///
/// # Errors
///
/// What clap says of them; also where they ask for help.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(compatible(arguments))
}

/// Runs what the arguments ask for; gives what the process ends with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Where standard error is closed, the exit code is all that can be told.
            return error.print().map_or(ExitCode::from(code), |()| ExitCode::from(code));
        }
    };
    if let Err(error) = crate::logging::start(cli.log_format, cli.log_level) {
        return fail(1, &error);
    }
    // One thread is enough for waiting, and takes the least memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Apikey(args) => {
                apikey::run(*args).await.map_err(|error| (error.exit_code(), error.to_string()))
            }
            Command::Authkey(args) => {
                authkey::run(*args).await.map_err(|error| (error.exit_code(), error.to_string()))
            }
            Command::Backup(args) => {
                backup::run(args).await.map_err(|error| (error.exit_code(), error.to_string()))
            }
        }
    });
    // Requests that hang in system calls must not hold the process.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => fail(code, &error),
    }
}

fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}
