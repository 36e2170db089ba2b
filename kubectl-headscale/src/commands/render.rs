//! `kubectl headscale render`

use clap::{Args, Subcommand, ValueEnum};
use headscale_api::desired::{Inputs, desired_state};
use headscale_api::kinds::{Headscale, crds, crds_yaml};
use headscale_api::operator::{Options, desired};
use serde_json::Value;

use super::Context;
use super::create::{DraftArgs, InstanceArgs, yaml_documents};
use super::operator::SettingsArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{ConnectionArgs, OPTIONS_HELP, print};

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

const OPERATOR_EXAMPLES: &str = "\
Examples:
  # Install the operator with kubectl
  kubectl headscale render operator | kubectl apply --server-side -f -

  # Keep it in Git, and the kinds elsewhere
  kubectl headscale render operator --crds=false > operator.yaml

  # One that looks after two namespaces, and has no rights elsewhere
  kubectl headscale render operator -n vpn --watch-namespace vpn,lab

Exit codes:
  0  rendered
  2  wrong usage";

/// Writes manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Instance(Box<InstanceManifestArgs>),
    Crds(CrdsArgs),
    Operator(Box<OperatorManifestArgs>),
}

impl Command {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        match self {
            Self::Instance(args) => args.run(context),
            Self::Crds(args) => args.run(context),
            Self::Operator(args) => args.run(context),
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
        self.output.print(&definitions()?, context)
    }
}

fn definitions() -> Result<Vec<Value>, CommandError> {
    let value =
        |crd| serde_json::to_value(crd).map_err(|error| CommandError::failed(error.to_string()));
    crds().iter().map(value).collect()
}

/// Write the objects that the operator is made of
///
/// The definitions of the kinds, and the namespace, account, rights, Service and Deployment of the
/// operator, as `install` applies them and the Helm chart has them. No cluster is asked, and the same
/// input gives the same output. The namespace is headscale-operator-system or that of --namespace.
#[derive(Debug, Args)]
#[command(after_help = OPTIONS_HELP, after_long_help = OPERATOR_EXAMPLES)]
pub(crate) struct OperatorManifestArgs {
    #[command(flatten)]
    settings: SettingsArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,

    #[command(flatten)]
    connection: ConnectionArgs,
}

impl OperatorManifestArgs {
    fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let namespace = self.connection.namespace.as_deref();
        let options = self.settings.options(Options::default(), namespace);
        let objects = desired(&options);
        if !self.settings.crds {
            return self.output.print(&objects, context);
        }
        if self.output == Format::Yaml {
            // Its YAML is that of the files that are released.
            context.ui.print(&crds_yaml())?;
            context.ui.print("---\n")?;
            return self.output.print(&objects, context);
        }
        self.output.print(&[definitions()?, objects].concat(), context)
    }
}
