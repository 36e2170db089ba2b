//! `kubectl headscale plugin verify`

use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use headscale_policy_registry::{Reference, inspect};
use serde_json::json;

use crate::commands::policy::AnswerFormat;
use crate::commands::sandbox::SandboxArgs;
use crate::commands::{Context, complete};
use crate::config::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins::{Values, Wanted};
use crate::table::table;

const EXAMPLES: &str = "\
Examples:
  # In a pipeline, before the policies are checked
  kubectl headscale plugin verify --locked

  # One plugin
  kubectl headscale plugin verify ./owners.wasm

Exit codes:
  0  each is what was agreed to, loads, and takes its settings
  2  wrong usage or configuration, or a file that cannot be read
  3  a plugin does not load, or does not take its settings
  4  the registry cannot be used
  5  a plugin is not what was agreed to";

/// Verify that plugins are what was agreed to, and work
///
/// Their bytes are held against .headscale-policy.lock, they are loaded, and take the settings of
/// .headscale-policy.yaml. No policy is judged.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Plugins: ./x.wasm, builtin:NAME or oci://REGISTRY/REPOSITORY:TAG
    ///
    /// Without REF those of .headscale-policy.yaml.
    #[arg(value_name = "REF", add = ArgValueCandidates::new(complete::plugins))]
    plugins: Vec<Reference>,

    #[command(flatten)]
    sandbox: SandboxArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: AnswerFormat,
}

impl VerifyArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let config = Config::find(&context.environment.cwd, None)?.unwrap_or_default();
        let source = self.sandbox.source(&config, context)?;
        // A plugin that is named comes without settings: what it takes is not known then.
        let mut wanted: Vec<(Reference, PathBuf, Option<Values>)> =
            self.plugins.into_iter().map(|plugin| (plugin, PathBuf::new(), None)).collect();
        if wanted.is_empty() {
            let configured = config.plugins.iter().cloned();
            wanted.extend(
                configured
                    .map(|Wanted { reference, base, settings }| (reference, base, Some(settings))),
            );
        }
        if wanted.is_empty() {
            return Err(CommandError::usage("no plugin is named")
                .hint("name one, or list it under `plugins` in .headscale-policy.yaml"));
        }
        let (mut rows, mut values, mut exit) = (Vec::new(), Vec::new(), Exit::Success);
        for (reference, base, settings) in wanted {
            let mut verify = |base: &Path| {
                let component = source.component(&reference, base, &mut context.ui)?;
                let digest = inspect(&component)
                    .map(|inspection| inspection.digest.to_string())
                    .unwrap_or_default();
                let plugin = source.load(&reference, base, &mut context.ui)?;
                if let Some(settings) = settings.as_ref().filter(|_| plugin.is_validator()) {
                    plugin.validator(&settings.value).map_err(|error| settings.error(&error))?;
                }
                let descriptor = plugin.descriptor();
                Ok::<_, CommandError>((descriptor.name.clone(), descriptor.version.clone(), digest))
            };
            match verify(&base) {
                Ok((name, version, digest)) => {
                    rows.push([reference.to_string(), version.clone(), digest.clone()]);
                    values.push(json!({
                        "ref": reference.to_string(),
                        "name": name,
                        "version": version,
                        "digest": digest,
                    }));
                }
                Err(error) => {
                    context.ui.error(&error);
                    exit = exit.max(error.exit);
                }
            }
        }
        let text = match self.output.data() {
            Some(format) => format.render(&json!({"version": 1, "plugins": values}))?,
            None if rows.is_empty() => String::new(),
            None => table(&["REF", "VERSION", "DIGEST"].map(str::to_owned), &rows),
        };
        context.ui.print(&text)?;
        Ok(exit)
    }
}
