//! The command line.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use headscale_service::logging::LogArgs;
use headscale_service::program;

use crate::{apikey, authkey, backup};

/// The sidecar of Headscale and of its nodes: keys that are never lost.
///
/// Without a command, or with a first argument that starts with a dash, it is `apikey`: manifests of
/// the Go sidecar go on working.
#[derive(Clone, Debug, Parser)]
#[command(name = "headscale-sidecar", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    logs: LogArgs,
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
        let taken = std::mem::take(argument);
        *argument = program::with_two_dashes(taken, |name| GO_FLAGS.contains(&name));
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
        Err(error) => return program::refuse(&error),
    };
    program::run("headscale_sidecar", &cli.logs, async {
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
    })
}
