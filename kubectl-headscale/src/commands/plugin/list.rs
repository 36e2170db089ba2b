//! `kubectl headscale plugin list`

use std::path::Path;

use clap::Args;
use headscale_policy_registry::Reference;
use serde_json::json;

use crate::commands::Context;
use crate::commands::policy::AnswerFormat;
use crate::commands::sandbox::SandboxArgs;
use crate::config::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins::built_in;
use crate::report::visible::folded;
use crate::table::table;

const EXAMPLES: &str = "\
Examples:
  # The plugins that come with this program, and those that the repository uses
  kubectl headscale plugin list

Exit codes:
  0  all could be loaded
  2  wrong usage or configuration, or a file that cannot be read
  3  a plugin cannot be loaded
  4  a registry of plugins cannot be used
  5  a plugin is not what was agreed to";

/// List the built-in plugins, and those of .headscale-policy.yaml
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    sandbox: SandboxArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: AnswerFormat,
}

impl ListArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let config = Config::find(&context.environment.cwd, None)?.unwrap_or_default();
        let source = self.sandbox.source(&config, context)?;
        let mut references: Vec<(Reference, &Path)> =
            built_in().map(|plugin| (plugin, Path::new(""))).collect();
        for wanted in &config.plugins {
            if !references.iter().any(|(known, _)| *known == wanted.reference) {
                references.push((wanted.reference.clone(), &wanted.base));
            }
        }
        let (mut rows, mut values, mut exit) = (Vec::new(), Vec::new(), Exit::Success);
        for (reference, base) in references {
            let plugin = match source.load(&reference, base, &mut context.ui) {
                Ok(plugin) => plugin,
                Err(error) => {
                    context.ui.error(&error);
                    exit = exit.max(error.exit);
                    continue;
                }
            };
            let descriptor = plugin.descriptor();
            let does = match (plugin.is_validator(), plugin.is_renderer()) {
                (true, true) => "judges, renders",
                (true, false) => "judges",
                _ => "renders",
            };
            let reference = reference.to_string();
            rows.push([
                reference.clone(),
                descriptor.version.clone(),
                does.to_owned(),
                folded(&descriptor.summary),
            ]);
            values.push(json!({
                "ref": reference,
                "name": descriptor.name,
                "version": descriptor.version,
                "summary": descriptor.summary,
                "validator": plugin.is_validator(),
                "renderer": plugin.is_renderer(),
            }));
        }
        let text = match self.output.data() {
            Some(format) => format.render(&json!({"version": 1, "plugins": values}))?,
            None => table(&["REF", "VERSION", "DOES", "SUMMARY"].map(str::to_owned), &rows),
        };
        context.ui.print(&text)?;
        Ok(exit)
    }
}
