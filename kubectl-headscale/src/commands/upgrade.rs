//! `kubectl headscale upgrade`

use clap::Args;

use super::Context;
use super::operator::{ApplyArgs, Mode};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::OPTIONS_HELP;

const EXAMPLES: &str = "\
Examples:
  # Bring the operator and the kinds to the version of this program
  kubectl headscale upgrade

  # The same from a script, until the new operator runs
  kubectl headscale upgrade --yes --wait

  # Change a setting on the way
  kubectl headscale upgrade --log-level debug

Exit codes:
  0    upgraded, or there was nothing to do
  1    nothing is installed, or the cluster refused it, or the answer was no
  2    wrong usage, or nobody could be asked
  130  Ctrl-C ended it";

/// Upgrade the operator and the kinds to this program's version
///
/// Does what `install` does to an operator that is there, and keeps the settings that it has unless
/// flags say otherwise. The kinds never become older without --force. Instances go on running while
/// the operator is replaced.
#[derive(Debug, Args)]
#[command(after_help = OPTIONS_HELP, after_long_help = EXAMPLES)]
pub(crate) struct UpgradeArgs {
    /// What is upgraded
    #[arg(value_name = "WHAT", default_value = "operator", value_parser = ["operator"])]
    what: String,

    #[command(flatten)]
    operator: ApplyArgs,
}

impl UpgradeArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        self.operator.run(Mode::Upgrade, context)
    }
}
