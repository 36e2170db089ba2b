//! The commands, one file each.

mod complete;
mod completion;
mod plugin;
mod policy;
mod sandbox;
mod version;

use std::io::Read;

use clap::Subcommand;

pub(crate) use complete::complete;

use crate::environment::Environment;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::ui::Ui;

/// What a command works with.
pub(crate) struct Context<'a> {
    /// What the process was started with.
    pub(crate) environment: &'a Environment,
    /// Standard input.
    pub(crate) stdin: &'a mut dyn Read,
    /// Where to write.
    pub(crate) ui: Ui<'a>,
}

/// A command of `kubectl headscale`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check, format and look up policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// Write, test, inspect and distribute policy plugins
    #[command(subcommand)]
    Plugin(plugin::Command),
    Version(version::VersionArgs),
    Completion(completion::CompletionArgs),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self {
            Self::Policy(command) => command.run(context),
            Self::Plugin(command) => command.run(context),
            Self::Version(args) => args.run(context),
            Self::Completion(args) => args.run(context),
        }
    }
}
