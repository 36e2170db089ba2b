//! `kubectl headscale doctor`

mod cluster;
mod instance;
mod keys;
mod report;

use clap::{Args, ValueEnum};
use headscale_api::kinds::Headscale;
use kube::api::{Api, ListParams};

use self::report::{Report, State};
use super::Context;
use crate::environment::Environment;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::instance::{Target, Want, read};
use crate::kubernetes::{Cluster, ConnectionArgs, block_on, print};

const EXAMPLES: &str = "\
Examples:
  # Look for what is wrong in the namespace of the context
  kubectl headscale doctor

  # Look at one instance
  kubectl headscale doctor vpn -n vpn

  # List what is broken, for a script
  kubectl headscale doctor -o json | jq -r '.checks[] | select(.state == \"error\") | .id'

Checks:
  kubeconfig            the kubeconfig names a cluster
  cluster-reachable     the API server answers
  kinds-installed       the cluster has the kinds, of this version
  rights                you may do what the commands do
  instance-exists       the instance is there
  instance-paused       nobody paused it
  instance-ready        its operator says that it is ready
  instance-statefulset  it has its pod
  instance-config       its version takes its configuration
  instance-policy       it has one policy, which its version takes
  api-key-secret        the Secret of its API key has one
  api-key-expiration    the API key is good for some days
  users-ready           its users are in Headscale
  preauthkeys-ready     the Secrets of its pre-auth keys have them
  preauthkeys-expired   no pre-auth key has expired
  headscale-answers     Headscale answers, and takes the API key

Exit codes:
  0  nothing is broken
  1  something is
  2  wrong usage";

/// Look for what is wrong between the kubeconfig, the cluster, instances and their keys
///
/// Nothing is changed, and no key is shown.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// Instance to look at; all in the namespace where none is named
    #[arg(value_name = "INSTANCE")]
    instance: Option<String>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,

    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

impl DoctorArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let mut report = Report::default();
        let environment = context.environment;
        let ready = block_on(async { Ok(self.examine(environment, &mut report).await) })?;
        for name in ready {
            self.ask(name, environment, &mut report);
        }
        let text = match self.output {
            Format::Text => {
                let color = context.ui.style().color;
                report.text(color && is_utf8(environment), color)
            }
            Format::Json => print::json(
                &serde_json::to_value(&report)
                    .map_err(|error| CommandError::failed(error.to_string()))?,
            ),
        };
        context.ui.print(&text)?;
        Ok(if report.is_broken() { Exit::FAILED } else { Exit::Success })
    }

    /// Looks at all that the API server knows. Gives the instances that have a pod to talk to.
    async fn examine(&self, environment: &Environment, report: &mut Report) -> Vec<String> {
        report.begin("kubeconfig");
        let cluster = match self.connection.connect(environment).await {
            Ok(cluster) => cluster,
            Err(error) => {
                report.add("kubeconfig", State::Error, error.message, error.hints);
                return Vec::new();
            }
        };
        report.ok("kubeconfig", format!("the namespace is {:?}", cluster.namespace));
        if !cluster::server(&cluster, report).await || !cluster::kinds(&cluster, report).await {
            return Vec::new();
        }
        cluster::rights(&cluster, report).await;
        self.instances(&cluster, environment, report).await
    }

    async fn instances(
        &self,
        cluster: &Cluster,
        environment: &Environment,
        report: &mut Report,
    ) -> Vec<String> {
        report.begin("instances");
        let api: Api<Headscale> = cluster.api();
        let mut params = ListParams::default();
        if let Some(name) = &self.instance {
            params = params.fields(&format!("metadata.name={name}"));
        }
        let instances = match api.list(&params).await {
            Ok(list) => list.items,
            Err(error) => {
                let error = cluster.error(error);
                report.add("instance-exists", State::Error, error.message, error.hints);
                return Vec::new();
            }
        };
        let namespace = &cluster.namespace;
        match (&self.instance, instances.as_slice()) {
            (Some(name), []) => report.error(
                "instance-exists",
                format!("there is no instance {name:?} in {namespace:?}"),
                "`kubectl headscale get instances -A` lists all of the cluster",
            ),
            (None, []) => report.warning(
                "instance-exists",
                format!("there is no instance in {namespace:?}"),
                "`kubectl headscale create instance NAME --server-url URL` makes one",
            ),
            _ => {}
        }
        let mut ready = Vec::new();
        for instance in instances {
            let name = instance.metadata.name.clone().unwrap_or_default();
            match instance::look(cluster, &name, &instance, environment, report).await {
                Ok(true) => ready.push(name.clone()),
                Ok(false) => {}
                Err(error) => unseen(error, report),
            }
            if let Err(error) = keys::look(cluster, &name, &instance, environment, report).await {
                unseen(error, report);
            }
        }
        ready
    }

    /// Asks Headscale itself.
    fn ask(&self, name: String, environment: &Environment, report: &mut Report) {
        const ID: &str = "headscale-answers";
        report.begin(format!("Headscale of {name}"));
        let target = Target::InCluster { name, connection: self.connection.clone() };
        match read(&target, Want::default(), environment) {
            Ok(live) => report.ok(ID, format!("Headscale {} answers", live.reported)),
            Err(error) => report.add(ID, State::Error, error.message, error.hints),
        }
    }
}

/// What could not be looked at, for want of rights most likely.
fn unseen(error: CommandError, report: &mut Report) {
    report.add("rights", State::Warning, error.message, error.hints);
}

/// Whether the terminal shows more than ASCII.
fn is_utf8(environment: &Environment) -> bool {
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"];
    let mut set = variables.iter().filter_map(|name| (environment.variable)(name));
    let locale = set.find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_string_lossy().to_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8")
}
