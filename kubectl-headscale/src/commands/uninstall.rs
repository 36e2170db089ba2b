//! `kubectl headscale uninstall`

use std::time::Duration;

use clap::Args;
use headscale_api::operator::DEFAULT_NAMESPACE;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use tokio::time::{Instant, sleep};

use super::Context;
use super::create::DryRun;
use super::operator::{
    Data, Reference, Scope, Survey, ask, ask_for_name, is_of_helm, owned, watched,
};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{
    Cluster, ConnectionArgs, Interrupted, OPTIONS_HELP, block_on, duration, interruptible,
};

const LOOK_EVERY: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  # Remove the operator, and keep all that it looks after
  kubectl headscale uninstall

  # See what would go and what would stay
  kubectl headscale uninstall --dry-run=client

  # Remove all of it, from a script: instances with their data, users, keys, policies and the kinds
  kubectl headscale uninstall --delete-data --delete-crds --confirm headscale-operator-system

Exit codes:
  0    uninstalled
  1    nothing is installed, something is in the way, or the answer was no
  2    wrong usage, or nobody could be asked
  130  Ctrl-C ended it";

/// Remove the operator from a cluster
///
/// Removes its Deployment, its rights, its account and its Services. Instances go on running; the
/// kinds, all objects of them, the namespace and all data stay, and an operator that is installed
/// again takes them up. Objects with a finalizer of the operator cannot be deleted while none runs.
#[derive(Debug, Args)]
#[command(after_help = OPTIONS_HELP, after_long_help = EXAMPLES)]
pub(crate) struct UninstallArgs {
    /// What is uninstalled
    #[arg(value_name = "WHAT", default_value = "operator", value_parser = ["operator"])]
    what: String,

    /// First delete all objects of the kinds that the operator looks after, with the volume claims and
    /// API keys of these instances, while it still runs
    #[arg(long)]
    delete_data: bool,

    /// Delete the kinds at last. It is refused while there are objects of them
    #[arg(long)]
    delete_crds: bool,

    /// Confirm --delete-data or --delete-crds, by the name of the operator's namespace
    #[arg(long, value_name = "NAMESPACE")]
    confirm: Option<String>,

    /// Do it without asking, where no data and no kinds are deleted
    #[arg(short, long)]
    yes: bool,

    /// Delete nothing: `client` tells what would be, `server` has the server judge it
    #[arg(long, value_name = "WHERE", default_value = "none", hide_possible_values = true)]
    dry_run: DryRun,

    /// How long to wait until objects are gone
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// `name` prints only the names of what was deleted
    #[arg(short, long, value_name = "FORMAT", value_parser = ["name"])]
    output: Option<String>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What is deleted, in this order.
struct Going {
    /// What somebody declared, while the operator runs; with what tells it from another one that has
    /// its name later.
    declared: Vec<(Reference, String)>,
    /// What instances leave behind.
    left: Vec<Reference>,
    /// The operator.
    operator: Vec<Reference>,
    /// The kinds.
    definitions: Vec<Reference>,
}

impl UninstallArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let namespace = self.connection.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        block_on(async {
            let cluster = self.connection.connect(context.environment).await?;
            let survey = Survey::of(&cluster, namespace).await?;
            if let Some(own) = survey.own.as_ref().filter(|own| is_of_helm(own)) {
                return Err(CommandError::failed(format!(
                    "deployment/{} -n {namespace} is Helm's",
                    own.name_any()
                ))
                .hint("`helm uninstall` removes it, and keeps the kinds and all data"));
            }
            let operator = owned(&cluster, &survey).await?;
            let is_deeper = self.delete_data || self.delete_crds;
            if operator.is_empty() && !is_deeper {
                return Err(survey.nothing_here());
            }
            let all = Data::of(&cluster).await?;
            let scope = Scope(survey.own.as_ref().map(watched).unwrap_or_default());
            let meant = all.within(&scope);
            self.check(&survey, &all, &meant)?;
            let going = self.going(operator, &all, &meant);
            self.tell(&survey, &going, &all, &meant, context);
            self.agree(&meant, namespace, context)?;
            // Where Ctrl-C comes before this, nothing was done, and the process just ends.
            match interruptible(self.work(&cluster, &going, context)).await {
                Ok(result) => result.map(|()| Exit::Success),
                Err(Interrupted) => Err(CommandError {
                    exit: Exit::Interrupted,
                    ..CommandError::failed_as(
                        "interrupted",
                        "what is said to be deleted goes away all the same",
                    )
                }
                .hint("the same command goes on where this ended")),
            }
        })
    }

    /// Refuses what could not end well.
    fn check(&self, survey: &Survey, all: &Data, meant: &Data) -> Result<(), CommandError> {
        let stays = if self.delete_data {
            all.objects.len().saturating_sub(meant.objects.len())
        } else {
            0
        };
        if self.delete_crds && !self.delete_data && !all.objects.is_empty() {
            return Err(CommandError::failed(format!(
                "there are objects of the kinds, which would be deleted with them: {}",
                all.counted()
            ))
            .hint("--delete-data deletes them first, with their data"));
        }
        if self.delete_crds && stays > 0 {
            return Err(CommandError::failed(format!(
                "{stays} objects of the kinds are in namespaces that this operator does not look \
                 after, and would be deleted with the kinds"
            ))
            .hint(
                "`kubectl headscale get all -A` shows them; leave --delete-crds out to keep them",
            ));
        }
        let runs = |own: &Deployment| {
            own.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0) > 0
        };
        let is_up = survey.own.as_ref().is_some_and(runs);
        if self.delete_data && meant.is_held() && !is_up {
            return Err(CommandError::failed(
                "no operator runs, and objects with finalizers are only gone when one has cleared \
                 away behind them",
            )
            .hint("`kubectl headscale install --wait` starts one")
            .hint(
                "where no Headscale is left either, `kubectl headscale delete` and `kubectl patch` \
                 the finalizers away",
            ));
        }
        Ok(())
    }

    fn going(&self, operator: Vec<Reference>, all: &Data, meant: &Data) -> Going {
        let mut going =
            Going { declared: Vec::new(), left: Vec::new(), operator, definitions: Vec::new() };
        if self.delete_data {
            let declared = meant.objects.iter();
            going.declared = declared.map(|it| (it.reference.clone(), it.uid.clone())).collect();
            going.left = meant.left().0;
        }
        if self.delete_crds {
            going.definitions.clone_from(&all.definitions);
        }
        going
    }

    /// Tells what goes and what stays.
    fn tell(
        &self,
        survey: &Survey,
        going: &Going,
        all: &Data,
        meant: &Data,
        context: &mut Context<'_>,
    ) {
        let declared = going.declared.iter().map(|(reference, _)| reference);
        let gone = declared.chain(&going.left).chain(&going.operator).chain(&going.definitions);
        let lines = gone.map(|reference| format!("  - {}\n", reference.placed()));
        context.ui.tell(&lines.collect::<String>());
        let mut stays = vec![format!("the namespace {}", survey.namespace)];
        if !self.delete_crds && !all.definitions.is_empty() {
            stays.push(format!("{} kinds", all.definitions.len()));
        }
        let data = if self.delete_data { meant.left().1 } else { meant.clone() };
        if !data.is_empty() {
            stays.push(data.counted());
        }
        context.ui.note(&format!("these stay: {}", stays.join(", ")));
        if data.is_held() {
            context.ui.note(
                "objects with finalizers cannot be deleted until an operator runs again: \
                 `kubectl headscale install` takes all of them up",
            );
        }
    }

    fn agree(
        &self,
        meant: &Data,
        namespace: &str,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        if self.dry_run != DryRun::None {
            return Ok(());
        }
        if !self.delete_data && !self.delete_crds {
            return ask("Delete these objects?", self.yes, context);
        }
        let what = match meant.instances().as_slice() {
            instances if self.delete_data && !instances.is_empty() => {
                format!("delete {} with all data", instances.join(", "))
            }
            _ if self.delete_data => "delete all data".to_owned(),
            _ => "delete the kinds".to_owned(),
        };
        ask_for_name(&what, namespace, self.confirm.as_deref(), context)
    }

    async fn work(
        &self,
        cluster: &Cluster,
        going: &Going,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        // What is in an instance is cleared away there, so that instances wait for the others.
        let (instances, parts): (Vec<_>, Vec<_>) =
            going.declared.iter().partition(|(reference, _)| reference.kind == "Headscale");
        for group in [parts, instances] {
            for (reference, _) in &group {
                self.delete(cluster, reference, context).await?;
            }
            self.gone(cluster, &group).await?;
        }
        for reference in going.left.iter().chain(&going.operator) {
            self.delete(cluster, reference, context).await?;
        }
        if !going.definitions.is_empty() && self.dry_run == DryRun::None {
            // Nobody was asked about what came meanwhile.
            let now = Data::of(cluster).await?;
            if !now.objects.is_empty() {
                return Err(CommandError::failed(format!(
                    "the kinds stay, because there are objects of them now: {}",
                    now.counted()
                ))
                .hint("the same command goes on"));
            }
        }
        for reference in &going.definitions {
            self.delete(cluster, reference, context).await?;
        }
        Ok(())
    }

    async fn delete(
        &self,
        cluster: &Cluster,
        reference: &Reference,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        if self.dry_run != DryRun::Client {
            let is_trial = self.dry_run == DryRun::Server;
            let params = DeleteParams { dry_run: is_trial, ..DeleteParams::background() };
            match reference.api(cluster).delete(&reference.name, &params).await {
                // Somebody else was faster.
                Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
                answer => answer.map(drop).map_err(|error| cluster.error(error))?,
            }
        }
        let called = reference.called();
        let line = match self.output {
            Some(_) => format!("{called}\n"),
            None => format!("{called} deleted{}\n", self.dry_run.suffix()),
        };
        context.ui.print(&line)?;
        // Who reads along should see it at once.
        context.ui.flush()
    }

    /// Waits until these are gone, and their data is not deleted under them.
    async fn gone(
        &self,
        cluster: &Cluster,
        declared: &[&(Reference, String)],
    ) -> Result<(), CommandError> {
        if self.dry_run != DryRun::None {
            return Ok(());
        }
        let deadline = Instant::now().checked_add(self.timeout);
        for (reference, uid) in declared {
            let api = reference.api(cluster);
            loop {
                let found = api.get_metadata_opt(&reference.name).await;
                let found = found.map_err(|error| cluster.error(error))?;
                let Some(found) = found.filter(|found| found.uid().as_deref() == Some(uid)) else {
                    break;
                };
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    let namespace = reference.namespace.clone().unwrap_or_default();
                    let called = reference.called();
                    return Err(CommandError::failed(format!(
                        "timed out waiting for the condition on {called} -n {namespace}"
                    ))
                    .hint(format!(
                        "{} holds it back: its conditions say why, as `kubectl headscale describe` \
                         shows",
                        found.finalizers().join(", ")
                    ))
                    .hint(
                        "the operator, the kinds and all volumes are still there; the same command \
                         goes on",
                    ));
                }
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }
}
