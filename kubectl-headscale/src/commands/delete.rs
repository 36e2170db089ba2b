//! `kubectl headscale delete`

use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PropagationPolicy};
use tokio::time::{Instant, sleep};

use super::create::DryRun;
use super::targets::{Target, targets};
use super::{Context, names};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{
    Cluster, ConnectionArgs, Interrupted, OPTIONS_HELP, Resource, block_on, duration, interruptible,
};

/// How often it looks whether an object is gone.
const LOOK_EVERY: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  # Delete a user, and wait until it is gone
  kubectl headscale delete user alice

  # Delete two pre-auth keys, and do not wait
  kubectl headscale delete preauthkeys laptop phone --wait=false

  # Say what would be deleted
  kubectl headscale delete users -l team=red --dry-run=server

  # Delete an instance and keep what it is made of
  kubectl headscale delete instance main --cascade=orphan";

/// Delete instances, users, pre-auth keys, policies and auto approvers
///
/// Does what `kubectl delete` does, by names that are easier to type. Several objects are deleted
/// one by one; where one cannot be, the others still are, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = OPTIONS_HELP, after_long_help = EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// Kind and names, or KIND/NAME; as for `kubectl headscale get`
    #[arg(required = true, value_name = "KIND NAME", add = ArgValueCompleter::new(names::object))]
    objects: Vec<String>,
    /// Delete what these labels select: `key=value`, `key!=value`, `key`, with commas between them
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Delete what these fields select, such as `metadata.name=alice`
    #[arg(long, value_name = "SELECTOR")]
    field_selector: Option<String>,
    /// Delete all objects of the kind in the namespace
    #[arg(long)]
    all: bool,
    /// Names that are not there are no error
    #[arg(long)]
    ignore_not_found: bool,
    /// What becomes of what the object is made of: `background` deletes it later, `foreground`
    /// before the object, `orphan` never
    #[arg(
        long,
        value_name = "HOW",
        default_value = "background",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "background"
    )]
    cascade: Cascade,
    /// Delete nothing: `client` asks the server nothing, `server` lets it do all but the deletion
    #[arg(long, value_name = "WHO", default_value = "none", hide_possible_values = true)]
    dry_run: DryRun,
    /// Wait until the objects are gone
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    wait: bool,
    /// How long to wait, such as `30s`; 0 for as long as it takes
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    timeout: Duration,
    /// `name` prints only the names of what was deleted
    #[arg(short, long, value_name = "FORMAT", value_parser = ["name"])]
    output: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cascade {
    Background,
    Foreground,
    Orphan,
}

/// An object that is being deleted.
struct Going {
    resource: &'static Resource,
    name: String,
    /// Which of those that have had the name; none where it is gone already.
    uid: Option<String>,
}

impl DeleteArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let targets = targets(&self.objects)?;
        self.check(&targets)?;
        block_on(async {
            let cluster = self.connection.connect(context.environment).await?;
            match interruptible(self.delete(&cluster, &targets, context)).await {
                Ok(done) => done,
                Err(Interrupted) => {
                    context
                        .ui
                        .note("interrupted; what is said to be deleted goes away all the same");
                    Ok(Exit::Interrupted)
                }
            }
        })
    }

    fn check(&self, targets: &[Target]) -> Result<(), CommandError> {
        let named = targets.iter().any(|target| !target.names.is_empty());
        let selected = self.selector.is_some() || self.field_selector.is_some();
        let message = match (named, selected, self.all) {
            (true, true, _) => "name cannot be provided when a selector is specified",
            (true, _, true) => "name cannot be provided when --all is specified",
            (false, true, true) => "setting 'all' parameter but found a non empty selector",
            (false, false, false) => {
                return Err(CommandError::failed(
                    "resource(s) were provided, but no name was specified",
                )
                .hint("name some, or select with -l, or delete them all with --all"));
            }
            _ => return Ok(()),
        };
        Err(CommandError::failed(message))
    }

    async fn delete(
        &self,
        cluster: &Cluster,
        targets: &[Target],
        context: &mut Context<'_>,
    ) -> Result<Exit, CommandError> {
        let (mut going, mut exit, mut found) = (Vec::new(), Exit::Success, false);
        for target in targets {
            let selected;
            let names = if target.names.is_empty() {
                selected = self.select(cluster, target.resource).await?;
                &selected
            } else {
                &target.names
            };
            found |= !names.is_empty();
            for name in names {
                match self.delete_one(cluster, target.resource, name).await {
                    Ok(Some(one)) => {
                        // What was done is said before anything else can happen.
                        context.ui.print(&self.told(&one, &cluster.namespace))?;
                        context.ui.flush()?;
                        going.push(one);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        context.ui.error(&error);
                        exit = Exit::FAILED;
                    }
                }
            }
        }
        if !found {
            context.ui.print("No resources found\n")?;
        }
        if !self.wait || self.dry_run != DryRun::None {
            return Ok(exit);
        }
        self.wait_for(cluster, &going).await?;
        Ok(exit)
    }

    async fn select(
        &self,
        cluster: &Cluster,
        resource: &Resource,
    ) -> Result<Vec<String>, CommandError> {
        let params = ListParams {
            label_selector: self.selector.clone(),
            field_selector: self.field_selector.clone(),
            ..ListParams::default()
        };
        let listed = api(cluster, resource).list_metadata(&params).await;
        let listed = listed.map_err(|error| cluster.resource_error(error, resource))?;
        Ok(listed.items.into_iter().filter_map(|object| object.metadata.name).collect())
    }

    /// Deletes one. `None` where it is not there and that is no error.
    async fn delete_one(
        &self,
        cluster: &Cluster,
        resource: &'static Resource,
        name: &str,
    ) -> Result<Option<Going>, CommandError> {
        let mut gone = Going { resource, name: name.to_owned(), uid: None };
        if self.dry_run == DryRun::Client {
            return Ok(Some(gone));
        }
        let policy = match self.cascade {
            Cascade::Background => PropagationPolicy::Background,
            Cascade::Foreground => PropagationPolicy::Foreground,
            Cascade::Orphan => PropagationPolicy::Orphan,
        };
        let params = DeleteParams {
            dry_run: self.dry_run == DryRun::Server,
            propagation_policy: Some(policy),
            ..DeleteParams::default()
        };
        match api(cluster, resource).delete(name, &params).await {
            // The server gives the object as long as something holds it back.
            Ok(answer) => {
                gone.uid = answer.left().and_then(|object| object.metadata.uid);
                Ok(Some(gone))
            }
            Err(kube::Error::Api(status)) if self.ignore_not_found && status.is_not_found() => {
                Ok(None)
            }
            Err(error) => Err(cluster.resource_error(error, resource)),
        }
    }

    fn told(&self, gone: &Going, namespace: &str) -> String {
        let kind = gone.resource.qualified();
        if self.output.is_some() {
            return format!("{kind}/{}\n", gone.name);
        }
        let (name, dry_run) = (&gone.name, self.dry_run.suffix());
        format!("{kind} {name:?} deleted from {namespace} namespace{dry_run}\n")
    }

    /// Waits until all are gone.
    async fn wait_for(&self, cluster: &Cluster, going: &[Going]) -> Result<(), CommandError> {
        let start = Instant::now();
        for one in going {
            let Some(uid) = &one.uid else { continue };
            let api = api(cluster, one.resource);
            loop {
                let left = match api.get_metadata_opt(&one.name).await {
                    Ok(Some(left)) if left.metadata.uid.as_ref() == Some(uid) => left,
                    Ok(_) => break,
                    Err(error) => return Err(cluster.resource_error(error, one.resource)),
                };
                if !self.timeout.is_zero() && start.elapsed() >= self.timeout {
                    let what = format!("{}/{}", one.resource.plural, one.name);
                    let message = format!("timed out waiting for the condition on {what}");
                    let error = CommandError::failed(message);
                    let finalizers = left.metadata.finalizers.unwrap_or_default();
                    return Err(if finalizers.is_empty() {
                        error
                    } else {
                        error.hint(format!(
                            "{} holds it back: does the operator run that takes it away?",
                            finalizers.join(", ")
                        ))
                    });
                }
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }
}

fn api(cluster: &Cluster, resource: &Resource) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource.api())
}
