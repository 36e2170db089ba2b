//! `kubectl headscale policy get`

use clap::Args;

use super::live::LiveArgs;
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::instance::{self, Want};

const EXAMPLES: &str = "\
Examples:
  # The policy of an instance of the cluster, as it is stored
  kubectl headscale policy get main > policy.hujson

  # Of a Headscale elsewhere; its API key is in $HEADSCALE_API_KEY
  kubectl headscale policy get --address https://headscale.example.com";

/// Print the policy that an instance has
///
/// As it is stored, comments and all. The instance is asked through the API server of the cluster,
/// with the API key of its Secret.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    live: LiveArgs,
}

impl GetArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let want = Want { policy: true, ..Want::default() };
        let live = instance::read(&self.live.target(), want, context.environment)?;
        context.ui.print(&live.policy.unwrap_or_default())?;
        Ok(Exit::Success)
    }
}
