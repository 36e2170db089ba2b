//! `kubectl headscale plugin`

mod build;
mod cache;
mod inspect;
mod list;
mod new;
mod project;
mod pull;
mod push;
mod test;
mod verify;

use clap::Subcommand;

use super::Context;
use crate::error::CommandError;
use crate::exit::Exit;

/// A command about policy plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    New(new::NewArgs),
    Build(build::BuildArgs),
    Test(test::TestArgs),
    Inspect(inspect::InspectArgs),
    List(list::ListArgs),
    Push(push::PushArgs),
    Pull(pull::PullArgs),
    Verify(verify::VerifyArgs),
    Cache(cache::CacheArgs),
}

impl Command {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self {
            Self::New(args) => args.run(context),
            Self::Build(args) => args.run(context),
            Self::Test(args) => args.run(context),
            Self::Inspect(args) => args.run(context),
            Self::List(args) => args.run(context),
            Self::Push(args) => args.run(context),
            Self::Pull(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::Cache(args) => args.run(context),
        }
    }
}
