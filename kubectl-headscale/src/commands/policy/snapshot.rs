//! `kubectl headscale policy snapshot`

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::live::LiveArgs;
use crate::commands::Context;
use crate::data::DataFormat;
use crate::error::{CommandError, io_words};
use crate::exit::Exit;
use crate::instance::{self, Want};
use crate::replace;

const EXAMPLES: &str = "\
Examples:
  # Keep the users and nodes of an instance for checks without it
  kubectl headscale policy snapshot main --out tailnet.json
  kubectl headscale policy check --tailnet tailnet.json policy.hujson

  # The same to show to others, or to commit
  kubectl headscale policy snapshot main --redact -o yaml";

/// Save the users and nodes of an instance, for --tailnet
///
/// By their numbers, so that the same users and nodes give the same snapshot.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct SnapshotArgs {
    /// Replace names, e-mail addresses, ids at identity providers and addresses of nodes by made-up
    /// ones
    ///
    /// Always by the same ones for the same user or node. Numbers, tags, routes, who has which
    /// node, which address families a node has, who shares a name or the domain of an address, and
    /// what is empty stay: a policy of tags, autogroups and networks answers the same, and one that
    /// names users finds none of them.
    #[arg(long)]
    redact: bool,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    output: DataFormat,

    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,

    #[command(flatten)]
    live: LiveArgs,
}

impl SnapshotArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let want = Want { tailnet: true, ..Want::default() };
        let live = instance::read(&self.live.target(), want, context.environment)?;
        let Some(mut snapshot) = live.tailnet else { return Ok(Exit::Success) };
        if self.redact {
            instance::redact(&mut snapshot);
        }
        let text = self.output.render(&snapshot)?;
        let Some(file) = &self.out else {
            context.ui.print(&text)?;
            return Ok(Exit::Success);
        };
        replace::write(&context.environment.cwd.join(file), text.as_bytes()).map_err(|error| {
            CommandError::usage(format!("cannot write {}: {}", file.display(), io_words(&error)))
        })?;
        let message =
            format!("wrote {} of {} to {}", snapshot.counted(), live.name, file.display());
        context.ui.note(&message);
        Ok(Exit::Success)
    }
}
