//! `kubectl headscale completion`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Context;
use crate::cli::{Cli, EXECUTABLE};
use crate::error::CommandError;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  # Complete `kubectl-headscale` in this Bash
  source <(kubectl headscale completion bash)

  # Complete `kubectl headscale`: kubectl asks an executable of this name on the PATH
  ln -s \"$(command -v kubectl-headscale)\" ~/.local/bin/kubectl_complete-headscale";

/// Print a completion script for a shell
///
/// The script completes `kubectl-headscale`. kubectl completes `kubectl headscale` by itself if
/// it finds this program a second time, under the name `kubectl_complete-headscale`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CompletionArgs {
    /// Shell
    shell: Shell,
}

impl CompletionArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), EXECUTABLE, &mut script);
        context.ui.stdout().write_all(&script).map_err(|error| CommandError::stdout(&error))?;
        Ok(Exit::Success)
    }
}
