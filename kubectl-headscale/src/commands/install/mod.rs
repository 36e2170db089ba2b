//! `kubectl headscale install`

mod crds;

use clap::{Args, Subcommand};

pub(crate) use crds::{Installed, established, installed, note_of};

use super::Context;
use super::operator::{ApplyArgs, Mode};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::OPTIONS_HELP;

const EXAMPLES: &str = "\
Examples:
  # Install the kinds and the operator, after a look at what changes
  kubectl headscale install

  # The same from a script, until the operator runs
  kubectl headscale install --yes --wait

  # Two operators, one of which waits for the other's end, for two namespaces alone
  kubectl headscale install --replicas 2 --watch-namespace vpn,lab

  # See what the server would say
  kubectl headscale install --dry-run=server

  # Install the kinds alone
  kubectl headscale install crds

Exit codes:
  0    installed, or there was nothing to do
  1    the cluster refused it, or another operator is in the way, or the answer was no
  2    wrong usage, or nobody could be asked
  130  Ctrl-C ended it";

/// Install the operator and the kinds in a cluster
///
/// Applies the definitions of the kinds and the objects of the operator on the server's side, into the
/// namespace headscale-operator-system or that of --namespace. What would be created, changed and
/// deleted is shown first and has to be confirmed. The flags say all: what an operator that is there
/// was given and is not given now is taken back; `kubectl headscale upgrade` keeps it.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = OPTIONS_HELP,
    after_long_help = EXAMPLES
)]
pub(crate) struct InstallArgs {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    operator: ApplyArgs,
}

/// What is installed.
#[derive(Debug, Subcommand)]
enum Command {
    Crds(Box<crds::CrdsArgs>),
    Operator(Box<OperatorArgs>),
}

/// Install the operator and the kinds; the same as `install` alone
#[derive(Debug, Args)]
#[command(after_help = OPTIONS_HELP, after_long_help = EXAMPLES)]
struct OperatorArgs {
    #[command(flatten)]
    operator: ApplyArgs,
}

impl InstallArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self.command {
            Some(Command::Crds(args)) => args.run(context),
            Some(Command::Operator(args)) => args.operator.run(Mode::Install, context),
            None => self.operator.run(Mode::Install, context),
        }
    }
}
