//! `kubectl headscale config`

mod check;

use clap::Subcommand;

use super::Context;
use crate::error::CommandError;
use crate::exit::Exit;

/// A command about Headscale's own configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(check::CheckArgs),
}

impl Command {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self {
            Self::Check(args) => args.run(context),
        }
    }
}
