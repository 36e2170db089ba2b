//! `kubectl headscale describe`

mod approver;
mod instance;
mod key;
mod look;
mod policy;
mod text;
mod user;

use clap::Args;
use clap_complete::ArgValueCompleter;
use headscale_acl::Date;
use kube::api::{Api, DynamicObject, ListParams};

use self::look::Look;
use super::targets::{Target, targets};
use super::{Context, names};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{Cluster, ConnectionArgs, OPTIONS_HELP, Resource, block_on};

const EXAMPLES: &str = "\
Examples:
  # Describe an instance: what it is made of, its users and keys, and when its API key ends
  kubectl headscale describe instance main

  # Describe a pre-auth key: where it is, when it ends, and who uses it
  kubectl headscale describe preauthkey laptop

  # Describe a policy with its findings
  kubectl headscale describe policy main

  # Describe all users with a label
  kubectl headscale describe users -l team=red";

/// Describe an object, and what stands around it
///
/// Tells what `kubectl describe` cannot know: who uses a key, which findings a policy has, what an
/// instance is made of. What you may not see is said, and is no error. No key is ever printed.
#[derive(Debug, Args)]
#[command(after_help = OPTIONS_HELP, after_long_help = EXAMPLES)]
pub(crate) struct DescribeArgs {
    /// Kind and names, or KIND/NAME; as for `kubectl headscale get`. Without a name: all of them
    #[arg(required = true, value_name = "KIND [NAME]", add = ArgValueCompleter::new(names::object))]
    objects: Vec<String>,
    /// Select by labels: `key=value`, `key!=value`, `key`, with commas between them
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl DescribeArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let targets = targets(&self.objects)?;
        if self.selector.is_some() && targets.iter().any(|target| !target.names.is_empty()) {
            return Err(CommandError::failed(
                "name cannot be provided when a selector is specified",
            ));
        }
        block_on(async {
            let cluster = self.connection.connect(context.environment).await?;
            self.describe(&cluster, &targets, context).await
        })
    }

    async fn describe(
        &self,
        cluster: &Cluster,
        targets: &[Target],
        context: &mut Context<'_>,
    ) -> Result<Exit, CommandError> {
        let (mut exit, mut described) = (Exit::Success, 0);
        for target in targets {
            for found in self.find(cluster, target).await {
                let text = match found {
                    Ok(object) => self.one(cluster, target.resource, object, context).await?,
                    Err(error) => {
                        context.ui.error(&error);
                        exit = Exit::FAILED;
                        continue;
                    }
                };
                if described > 0 {
                    context.ui.print("\n\n")?;
                }
                described += 1;
                context.ui.print(&text)?;
            }
        }
        if described == 0 && exit == Exit::Success {
            let namespace = &cluster.namespace;
            context.ui.tell(&format!("No resources found in {namespace} namespace.\n"));
        }
        Ok(exit)
    }

    async fn find(
        &self,
        cluster: &Cluster,
        target: &Target,
    ) -> Vec<Result<DynamicObject, CommandError>> {
        let resource = target.resource;
        let api: Api<DynamicObject> =
            Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource.api());
        if target.names.is_empty() {
            let params =
                ListParams { label_selector: self.selector.clone(), ..ListParams::default() };
            return match api.list(&params).await {
                Ok(listed) => listed.items.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(cluster.resource_error(error, resource))],
            };
        }
        let mut found = Vec::new();
        for name in &target.names {
            let object = api.get(name).await;
            found.push(object.map_err(|error| cluster.resource_error(error, resource)));
        }
        found
    }

    async fn one(
        &self,
        cluster: &Cluster,
        resource: &Resource,
        object: DynamicObject,
        context: &Context<'_>,
    ) -> Result<String, CommandError> {
        let look = Look { cluster, now: context.environment.now };
        let today: Date = context.environment.today;
        let broken = |error: kube::core::dynamic::ParseDynamicObjectError| {
            CommandError::failed(format!("the object cannot be read: {error}"))
        };
        match resource.kind {
            "Headscale" => instance::describe(&look, &object.try_parse().map_err(broken)?).await,
            "HeadscaleUser" => user::describe(&look, &object.try_parse().map_err(broken)?).await,
            "HeadscalePreAuthKey" => {
                key::describe(&look, &object.try_parse().map_err(broken)?).await
            }
            "HeadscalePolicy" => {
                policy::describe(&look, &object.try_parse().map_err(broken)?, today).await
            }
            _ => approver::describe(&look, &object.try_parse().map_err(broken)?).await,
        }
    }
}
