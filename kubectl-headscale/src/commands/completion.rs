//! `kubectl headscale completion`

mod link;

use clap::{Args, CommandFactory as _, Subcommand};
use clap_complete::Shell;

use super::Context;
use crate::cli::{Cli, EXECUTABLE};
use crate::error::CommandError;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  # Complete `kubectl headscale` in every shell that completes kubectl (1.26 or newer)
  kubectl headscale completion install

  # Take that back
  kubectl headscale completion uninstall

  # Complete `kubectl-headscale`, the program itself, in this Bash
  source <(kubectl headscale completion bash)";

/// Set up completion, or print a completion script for a shell
///
/// kubectl completes `kubectl headscale` by itself, names of instances, users and keys too, if it
/// finds this program a second time, under the name `kubectl_complete-headscale`: `install` makes
/// that name. The scripts complete `kubectl-headscale`, the program's own name.
#[derive(Debug, Args)]
#[command(
    after_long_help = EXAMPLES,
    // clap's own names no command.
    override_usage = "kubectl headscale completion [OPTIONS] <SHELL>|install|uninstall",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
pub(crate) struct CompletionArgs {
    #[command(subcommand)]
    link: Option<Link>,
    /// Shell to print a script for
    #[arg(required = true)]
    shell: Option<Shell>,
}

#[derive(Debug, Subcommand)]
enum Link {
    /// Have kubectl complete `kubectl headscale`
    Install(link::LinkArgs),
    /// Take away what `install` made
    Uninstall(link::LinkArgs),
}

impl CompletionArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match (self.link, self.shell) {
            (Some(Link::Install(args)), _) => args.install(context),
            (Some(Link::Uninstall(args)), _) => args.uninstall(context),
            (None, Some(shell)) => {
                context.ui.print(&script(shell))?;
                Ok(Exit::Success)
            }
            // Clap asks for one of them.
            (None, None) => Err(CommandError::usage("name a shell, or `install`")),
        }
    }
}

/// The script for `shell`.
fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), EXECUTABLE, &mut script);
    let script = String::from_utf8_lossy(&script);
    // For a program with a hyphen in its name, clap_complete calls its commands by one name where
    // they are found and by another where they are described.
    script.replace("kubectl__subcmd__headscale__subcmd__", "kubectl__headscale__subcmd__")
}
