//! `kubectl headscale create policy`

use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCandidates;
use headscale_policy_registry::Reference;
use serde_json::{Value, json};

use super::draft::Draft;
use super::findings::check_policy;
use super::instance::reference;
use super::make::MakeArgs;
use crate::commands::{Context, complete};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::{self, Place};
use crate::plugins::Values;

const EXAMPLES: &str = "\
Examples:
  # Give the only instance in the namespace a policy
  kubectl headscale create policy main --from-file policy.hujson

  # Take the policy from a ConfigMap, and wait until Headscale has it
  kubectl headscale create policy main --config-map acl:policy.hujson --wait

  # Have a plugin make the policy, and another one check it
  kubectl headscale create policy main --render builtin:keystone --values values.yaml \\
    --plugin builtin:guardrails

Exit codes:
  0    made
  1    Headscale would refuse the policy, the cluster refused it, or it was not ready in time
  2    wrong usage, or input that cannot be read
  130  Ctrl-C ended it";

/// Give an instance a policy
///
/// Writes a HeadscalePolicy. A policy that Headscale would refuse is not sent.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PolicyArgs {
    /// Name of the object
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,

    /// Instance whose policy it is; the only one in the namespace where none is named
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,

    /// Policy as HuJSON, `-` for standard input
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["config_map", "render"]
    )]
    from_file: Option<PathBuf>,

    /// Key of a ConfigMap that has the policy
    #[arg(
        long,
        value_name = "NAME:KEY",
        value_parser = reference,
        conflicts_with = "render"
    )]
    config_map: Option<(String, String)>,

    /// Plugin that makes the policy: builtin:NAME or oci://REGISTRY/REPOSITORY:TAG@sha256:DIGEST
    #[arg(long, value_name = "TEMPLATE", add = ArgValueCandidates::new(complete::plugins))]
    render: Option<Reference>,

    /// What that plugin makes the policy from, as YAML or JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "render")]
    values: Option<PathBuf>,

    /// Plugin that checks the policy before Headscale gets it (can be repeated)
    #[arg(
        long = "plugin",
        value_name = "PLUGIN",
        add = ArgValueCandidates::new(complete::plugins)
    )]
    plugins: Vec<Reference>,

    /// Send the policy although Headscale would refuse it
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    make: MakeArgs,
}

impl PolicyArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let name = self.name.as_deref();
        let mut draft = Draft::new("HeadscalePolicy", name, &self.make.draft, context)?;
        draft.put_if("spec.headscaleRef", self.instance.as_deref());
        let mut source = self.make.draft.filename.clone();
        if let Some(file) = &self.from_file {
            let text = self.read(file, context)?;
            self.only(&mut draft, "inline", text.into());
            source = Some(file.clone());
        }
        if let Some((name, key)) = &self.config_map {
            self.only(&mut draft, "configMapRef", json!({ "name": name, "key": key }));
        }
        if let Some(plugin) = &self.render {
            let values = match &self.values {
                Some(file) => Values::read(&context.environment.cwd, file)?.value,
                None => json!({}),
            };
            let render = json!({ "plugin": plugin.to_string(), "values": values });
            self.only(&mut draft, "render", render);
        }
        if !self.plugins.is_empty() {
            let plugins = self.plugins.iter();
            let plugins = plugins.map(|plugin| json!({ "ref": plugin.to_string() }));
            draft.put("spec.plugins", plugins.collect::<Vec<Value>>());
        }
        if !["inline", "configMapRef", "render"]
            .iter()
            .any(|field| draft.has(&format!("/spec/{field}")))
        {
            return Err(CommandError::usage("which policy?").hint(
                "--from-file names a file with one, --config-map a ConfigMap, --render a plugin",
            ));
        }
        if let Some(text) = draft.text("/spec/inline") {
            let name = source.map_or_else(
                || "<policy>".to_owned(),
                |file| match file.to_str() {
                    Some("-") => "<stdin>".to_owned(),
                    _ => file.display().to_string(),
                },
            );
            check_policy(&name, text, self.force, context)?;
        }
        self.make.make(draft, context)
    }

    /// Has the policy come from `field`, and from nowhere else.
    fn only(&self, draft: &mut Draft, field: &str, value: Value) {
        for other in ["inline", "configMapRef", "render"] {
            draft.put(&format!("spec.{other}"), Value::Null);
        }
        draft.put(&format!("spec.{field}"), value);
    }

    fn read(
        &self,
        file: &std::path::Path,
        context: &mut Context<'_>,
    ) -> Result<String, CommandError> {
        let is_stdin = file.to_str() == Some("-");
        if is_stdin && self.make.draft.filename.as_deref() == Some(file) {
            return Err(CommandError::usage(
                "standard input is read once, by -f or by --from-file",
            ));
        }
        let place = if is_stdin {
            Place::Stdin("<stdin>".to_owned())
        } else {
            Place::Path(file.to_owned())
        };
        let mut failed = None;
        let cwd = &context.environment.cwd;
        let mut policies = input::read(&[place], cwd, context.stdin, |error| failed = Some(error));
        if let Some(error) = failed {
            return Err(error.into());
        }
        let name = file.display();
        let (Some(policy), true) = (policies.pop(), policies.is_empty()) else {
            return Err(CommandError::usage(format!("{name} holds more than one policy")));
        };
        String::from_utf8(policy.text)
            .map_err(|_| CommandError::usage(format!("{name}: the policy is not UTF-8")))
    }
}
