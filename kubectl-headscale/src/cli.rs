//! The command line as a whole.

use clap::{CommandFactory as _, Parser};

use crate::commands::Command;
use crate::ui::ColorChoice;

/// Name of the executable that kubectl looks for.
pub(crate) const EXECUTABLE: &str = "kubectl-headscale";
/// How users call it.
const CALLED: &str = "kubectl headscale";

/// Headscale on Kubernetes: policies that are proven before they ship
#[derive(Debug, Parser)]
#[command(
    name = EXECUTABLE,
    bin_name = CALLED,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    /// When to colour
    #[arg(long, global = true, display_order = 900, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command line as clap knows it, with all commands, flags and help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}
