//! `kubectl headscale policy render`

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCandidates;
use headscale_acl::hujson::{Document, format};
use headscale_acl::{Options, Severity, Version, check};
use headscale_policy_registry::Reference;

use super::FromArgs;
use super::subject::tell;
use crate::commands::sandbox::SandboxArgs;
use crate::commands::{Context, complete};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::Policy;
use crate::plugins::Values;

const EXAMPLES: &str = "\
Examples:
  # The policy of a Keystone cluster from its people and machines
  kubectl headscale policy render builtin:keystone --values values.yaml > policy.hujson

  # Render it, and hold it against what must never be
  kubectl headscale policy render builtin:keystone --values values.yaml |
    kubectl headscale policy check --plugin builtin:guardrails --params guardrails.yaml -

Exit codes:
  0  rendered
  1  Headscale would refuse what was rendered
  2  wrong usage or configuration, or input that cannot be read
  3  the plugin failed
  4  the plugin's registry cannot be used
  5  the plugin is not what was agreed to";

/// Write a policy by a plugin, from a file of values
///
/// What is written is in the standard format, and Headscale takes it, or the command fails.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RenderArgs {
    /// The plugin: ./x.wasm, builtin:NAME or oci://REGISTRY/REPOSITORY:TAG@sha256:DIGEST
    #[arg(value_name = "TEMPLATE", add = ArgValueCandidates::new(complete::plugins))]
    template: Reference,

    /// Its parameters, as YAML or JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    values: Option<PathBuf>,

    /// Headscale version that must take the policy: 0.28, 0.29 or 0.30 [default: 0.29]
    #[arg(long, value_name = "VERSION", add = ArgValueCandidates::new(complete::versions))]
    headscale_version: Option<Version>,

    #[command(flatten)]
    sandbox: SandboxArgs,

    #[command(flatten)]
    from: FromArgs,
}

impl RenderArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let cwd = &context.environment.cwd;
        let config = self.from.config(context)?;
        let values = match &self.values {
            Some(file) => Values::read(cwd, file)?,
            None => Values::new(serde_json::Map::new()),
        };
        let source = self.sandbox.source(&config, context)?;
        let plugin = source.load(&self.template, Path::new(""), &mut context.ui)?;
        let rendered = plugin.render(&values.value).map_err(|error| values.error(&error))?;
        let newest = config.versions.iter().max().copied();
        let version = self.headscale_version.or(newest).unwrap_or(Version::DEFAULT);
        let options = Options { versions: &[version], ..Options::default() };
        let checked = check(rendered.text.as_bytes(), &options);
        if checked.findings.iter().any(|finding| finding.severity == Severity::Error) {
            let name = format!("{} rendered", self.template);
            let policy = Policy::new(name, rendered.text);
            tell(&policy, checked, &mut context.ui);
            return Ok(Exit::Findings);
        }
        let text = format(&Document::parse(rendered.text.as_bytes()));
        context.ui.print(&text)?;
        Ok(Exit::Success)
    }
}
