//! `kubectl headscale plugin inspect`

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use headscale_policy_registry::{Extern, Inspection, Kind, Reference, inspect};

use crate::commands::policy::AnswerFormat;
use crate::commands::sandbox::SandboxArgs;
use crate::commands::{Context, complete};
use crate::config::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::visible::folded;

const EXAMPLES: &str = "\
Examples:
  # What a component asks for, before anything of it is run
  kubectl headscale plugin inspect ./owners.wasm

  # The digest of a built-in plugin
  kubectl headscale plugin inspect builtin:guardrails -o json

Exit codes:
  0  read
  2  wrong usage, or no WebAssembly component
  4  the plugin's registry cannot be used
  5  the plugin is not what was agreed to";

/// Read what a plugin is and asks for, without running it
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The plugin: ./x.wasm, builtin:NAME or oci://REGISTRY/REPOSITORY:TAG@sha256:DIGEST
    #[arg(value_name = "REF", add = ArgValueCandidates::new(complete::plugins))]
    plugin: Reference,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: AnswerFormat,
}

impl InspectArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let config = Config::find(&context.environment.cwd, None)?.unwrap_or_default();
        let source = SandboxArgs::default().source(&config, context)?;
        let bytes = source.component(&self.plugin, Path::new(""), &mut context.ui)?;
        let broken = |what: String| CommandError::usage(format!("{}: {what}", self.plugin));
        let inspection = inspect(&bytes).map_err(|error| broken(error.to_string()))?;
        match inspection.kind {
            Kind::Component => {}
            Kind::CoreModule => return Err(broken("it is a core module, not a component".into())),
            Kind::Other => return Err(broken("it is no WebAssembly".into())),
        }
        let text = match self.output.data() {
            Some(format) => format.render(&inspection)?,
            None => text(&self.plugin, &inspection),
        };
        context.ui.print(&text)?;
        Ok(Exit::Success)
    }
}

fn text(plugin: &Reference, inspection: &Inspection) -> String {
    let Inspection { size, digest, imports, exports, .. } = inspection;
    let mut out = format!("{plugin}\n  size    {size} bytes\n  digest  {digest}\n");
    let mut list = |title: &str, externs: &[Extern]| {
        let mut found = externs.iter().filter(|found| found.capability).peekable();
        if found.peek().is_some() {
            // Writing to a String cannot fail.
            _ = writeln!(out, "  {title}");
            found.for_each(|found| _ = writeln!(out, "    {}", folded(&found.name)));
        }
    };
    list("imports", imports);
    list("exports", exports);
    out
}
