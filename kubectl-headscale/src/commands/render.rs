//! `kubectl headscale render`

use clap::{Args, Subcommand, ValueEnum};
use headscale_api::desired::{Inputs, desired_state};
use headscale_api::kinds::{Headscale, crds, crds_yaml};
use serde_json::Value;

use super::Context;
use super::create::{DraftArgs, InstanceArgs, yaml_documents};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{ConnectionArgs, print};

const INSTANCE_EXAMPLES: &str = "\
Examples:
  # Run an instance without an operator
  kubectl headscale render instance vpn --server-url https://vpn.example.com -n vpn |
    kubectl apply --server-side -f -

  # See what an object of kind Headscale comes to
  kubectl headscale render instance -f vpn.yaml

  # See what a flag changes
  kubectl headscale render instance -f vpn.yaml --set replicas=0 | kubectl diff -f -

Exit codes:
  0  rendered
  1  Headscale would not start with the configuration
  2  wrong usage, or input that cannot be read";

const CRDS_EXAMPLES: &str = "\
Examples:
  # Install the kinds with kubectl
  kubectl headscale render crds | kubectl apply --server-side -f -

  # Keep them in Git
  kubectl headscale render crds > crds.yaml";

/// Writes manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Instance(Box<InstanceManifestArgs>),
    Crds(CrdsArgs),
}

impl Command {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self {
            Self::Instance(args) => args.run(context),
            Self::Crds(args) => args.run(context),
        }
    }
}

/// How manifests come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As YAML documents.
    #[default]
    Yaml,
    /// As a JSON list.
    Json,
}

impl Format {
    fn print(self, values: &[Value], context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let text = match self {
            Self::Yaml => yaml_documents(values)?,
            Self::Json => print::json(&print::list(values)),
        };
        context.ui.print(&text)?;
        Ok(Exit::Success)
    }
}

/// Write the objects that an instance is made of
///
/// The StatefulSet, Services, ConfigMap and so on, as the operator makes them: for GitOps, to look
/// at, or to run an instance without an operator. No cluster is asked, and the same input gives the
/// same output. The policy, users and keys of an instance need the operator, or a policy in
/// `spec.acl_policy` with the mode `file`.
#[derive(Debug, Args)]
#[command(after_long_help = INSTANCE_EXAMPLES)]
pub(crate) struct InstanceManifestArgs {
    /// Name of the instance
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,

    #[command(flatten)]
    draft: DraftArgs,

    #[command(flatten)]
    instance: InstanceArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,

    #[command(flatten)]
    connection: ConnectionArgs,
}

impl InstanceManifestArgs {
    fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let draft = self.instance.draft(self.name.as_deref(), &self.draft, context)?;
        let mut headscale: Headscale = serde_json::from_value(draft.object).map_err(|error| {
            CommandError::usage(format!("the instance does not fit its kind: {error}"))
        })?;
        let namespace = match headscale.metadata.namespace.take() {
            Some(own) if self.connection.namespace.is_none() => own,
            _ => self.connection.namespace(context.environment)?,
        };
        headscale.metadata.namespace = Some(namespace);
        let objects = desired_state(&headscale, &Inputs::default());
        let values: Vec<Value> = objects.iter().map(|object| object.to_value()).collect();
        self.output.print(&values, context)
    }
}

/// Write the definitions of the kinds
#[derive(Debug, Args)]
#[command(after_long_help = CRDS_EXAMPLES)]
pub(crate) struct CrdsArgs {
    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

impl CrdsArgs {
    fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        if self.output == Format::Yaml {
            context.ui.print(&crds_yaml())?;
            return Ok(Exit::Success);
        }
        let value = |crd| {
            serde_json::to_value(crd).map_err(|error| CommandError::failed(error.to_string()))
        };
        let values: Vec<Value> = crds().iter().map(value).collect::<Result<_, _>>()?;
        self.output.print(&values, context)
    }
}
