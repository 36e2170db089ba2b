//! `kubectl headscale options`

use clap::{Args, Command};

use super::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::ConnectionArgs;
use crate::ui::DEFAULT_WIDTH;

const EXAMPLES: &str = "\
Examples:
  # Print the flags of all commands that talk to a cluster
  kubectl headscale options";

/// List the flags of all commands that talk to a cluster
///
/// They are those of kubectl, with kubectl's meaning. They stand after the command: kubectl takes
/// none before the name of a plugin.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct OptionsArgs {}

impl OptionsArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let width = context.ui.columns().min(DEFAULT_WIDTH);
        let command = Command::new("options").disable_help_flag(true).term_width(width);
        let mut command = ConnectionArgs::augment_args(command)
            .help_template("The following options can be passed to any command that talks to a cluster:\n\n{options}");
        let help = command.render_long_help();
        let text =
            if context.ui.style().color { help.ansi().to_string() } else { help.to_string() };
        context.ui.print(&text)?;
        Ok(Exit::Success)
    }
}
