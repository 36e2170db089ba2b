//! Installs or upgrades: looks, shows, asks, applies and waits.

use std::time::Duration;

use clap::Args;
use headscale_api::kinds::crds;
use headscale_api::operator::{Options, VERSION, desired};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::Value;

use super::plan::{Action, Plan, Step, conflict};
use super::settings::{self, SettingsArgs};
use super::{Reference, Survey, consent, rollout};
use crate::commands::Context;
use crate::commands::create::{DryRun, ObjectFormat, yaml_documents};
use crate::commands::install::{established, installed, note_of};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{
    Cluster, ConnectionArgs, FIELD_MANAGER, Interrupted, block_on, duration, interruptible, print,
};

const CRD: &str = "CustomResourceDefinition";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The flags say all.
    Install,
    /// An operator must be there, and keeps its settings where flags say nothing.
    Upgrade,
}

/// How the operator is installed or upgraded.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    settings: SettingsArgs,

    /// Do it without asking
    #[arg(short, long)]
    yes: bool,

    /// Only try: `client` asks nobody, `server` has the server judge it
    #[arg(long, value_name = "WHERE", default_value = "none")]
    dry_run: DryRun,

    /// Wait until the operator runs, and tell how far it has come
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// Print the objects instead of a line about each
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ObjectFormat>,

    /// Take over fields that others own
    #[arg(long)]
    force_conflicts: bool,

    /// Go back to older definitions of the kinds than the cluster has, and install beside another
    /// operator that is at work
    #[arg(long)]
    force: bool,

    /// Name under which the fields are owned
    #[arg(long, value_name = "NAME", default_value = FIELD_MANAGER)]
    field_manager: String,

    #[command(flatten)]
    connection: ConnectionArgs,
}

impl ApplyArgs {
    /// Runs the command.
    pub(crate) fn run(self, mode: Mode, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let namespace = self.connection.namespace.as_deref();
        let options = self.settings.options(Options::default(), namespace);
        if self.dry_run == DryRun::Client {
            let manifests = self.manifests(&options)?;
            let lines = manifests.iter().map(|manifest| {
                let called = Reference::of(manifest).called();
                format!("{called} serverside-applied{}\n", self.dry_run.suffix())
            });
            let lines: Vec<String> = lines.collect();
            self.print(&lines, manifests, context)?;
            return Ok(Exit::Success);
        }
        block_on(async {
            let cluster = self.connection.connect(context.environment).await?;
            let survey = Survey::of(&cluster, &options.namespace).await?;
            let options = self.settled(mode, options, &survey, &cluster, context).await?;
            for note in survey.judge(&options.watch_namespaces, self.force)? {
                context.ui.warning(&note);
            }
            if self.settings.crds
                && let Some(note) = note_of(&installed(&cluster).await?, self.force)?
            {
                context.ui.note(&note);
            }
            let manifests = self.manifests(&options)?;
            let plan = Plan::of(&cluster, manifests, &self.params(), &survey).await?;
            self.agree(&plan, &options.namespace, context)?;
            // Where Ctrl-C comes before this, nothing was done, and the process just ends.
            let mut done = 0;
            let work = self.work(&cluster, &plan, &options.namespace, &mut done, context);
            match interruptible(work).await {
                Ok(result) => result.map(|()| Exit::Success),
                Err(Interrupted) => {
                    context.ui.progress(None);
                    Err(interrupted(done, plan.steps.len(), mode))
                }
            }
        })
    }

    /// The settings that count: with [`Mode::Upgrade`] those that are there where flags say nothing.
    async fn settled(
        &self,
        mode: Mode,
        options: Options,
        survey: &Survey,
        cluster: &Cluster,
        context: &mut Context<'_>,
    ) -> Result<Options, CommandError> {
        let Some(own) = &survey.own else {
            return if mode == Mode::Upgrade { Err(survey.nothing_here()) } else { Ok(options) };
        };
        match settings::version(own) {
            Some(VERSION) => {}
            Some(from) => {
                context.ui.note(&format!("the operator goes from version {from} to {VERSION}"));
            }
            None => context.ui.note(&format!("the operator goes to version {VERSION}")),
        }
        if mode == Mode::Install {
            return Ok(options);
        }
        let role = "rbac.authorization.k8s.io/v1";
        let role = Reference::new(role, "ClusterRole", None, "headscale-viewer");
        let roles = role.api(cluster).get_opt(&role.name).await;
        let has_roles = roles.map_err(|error| cluster.error(error))?.is_some();
        let base = settings::of(own, has_roles);
        let options = self.settings.options(base, Some(&options.namespace));
        if settings::version(own) != Some(VERSION)
            && settings::image(own) == Some(options.image.as_str())
        {
            context
                .ui
                .warning(&format!("the image stays {}: --image names another", options.image));
        }
        Ok(options)
    }

    fn manifests(&self, options: &Options) -> Result<Vec<Value>, CommandError> {
        let mut manifests = Vec::new();
        if self.settings.crds {
            for crd in crds() {
                let manifest = serde_json::to_value(crd);
                manifests.push(manifest.map_err(|error| CommandError::failed(error.to_string()))?);
            }
        }
        manifests.extend(desired(options));
        Ok(manifests)
    }

    fn params(&self) -> PatchParams {
        let mut params = PatchParams::apply(&self.field_manager).validation_strict();
        params.force = self.force_conflicts;
        params.dry_run = self.dry_run == DryRun::Server;
        params
    }

    /// Shows what would be done, and asks where something would.
    fn agree(
        &self,
        plan: &Plan,
        namespace: &str,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let count = plan.changes().count();
        if count == 0 {
            context.ui.note(&format!("the operator in {namespace} is as it should be"));
            return Ok(());
        }
        context.ui.tell(&plan.told());
        if self.dry_run == DryRun::Server {
            return Ok(());
        }
        let objects =
            if count == 1 { "this object".to_owned() } else { format!("{count} objects") };
        consent::ask(&format!("Change {objects}?"), self.yes, context)
    }

    async fn work(
        &self,
        cluster: &Cluster,
        plan: &Plan,
        namespace: &str,
        done: &mut usize,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let params = self.params();
        let (mut lines, mut objects, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for step in &plan.steps {
            if step.reference.kind == CRD {
                names.push(step.reference.name.clone());
            } else if !names.is_empty() && !params.dry_run {
                // The operator looks for the kinds as soon as it starts.
                let api = Api::all(cluster.client.clone());
                established(cluster, &api, &std::mem::take(&mut names)).await?;
            }
            objects.extend(self.step(cluster, step, &params).await?);
            *done += 1;
            let called = step.reference.called();
            let line = format!("{called} {}{}\n", step.action.done(), self.dry_run.suffix());
            match self.output {
                // Who reads along should see it at once.
                None => {
                    context.ui.print(&line)?;
                    context.ui.flush()?;
                }
                Some(_) => lines.push(line),
            }
        }
        if self.output.is_some() {
            self.print(&lines, objects, context)?;
        }
        if self.wait && !params.dry_run && plan.deployment().is_some() {
            rollout::wait(cluster, namespace, self.timeout, &mut context.ui).await?;
            if self.output.is_none() {
                let called = Reference::deployment(namespace).called();
                context.ui.print(&format!("{called} condition met\n"))?;
            }
        }
        Ok(())
    }

    /// Does a step; gives the object as it then is.
    async fn step(
        &self,
        cluster: &Cluster,
        step: &Step,
        params: &PatchParams,
    ) -> Result<Option<Value>, CommandError> {
        let (api, name) = (step.reference.api(cluster), &step.reference.name);
        if step.action == Action::Delete {
            let params = DeleteParams { dry_run: params.dry_run, ..DeleteParams::background() };
            return match api.delete(name, &params).await {
                Ok(_) => Ok(None),
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
                Err(error) => Err(cluster.error(error)),
            };
        }
        if params.dry_run && step.action == Action::Create {
            // Its namespace may not be there; what can be judged was.
            return Ok(Some(step.manifest.clone()));
        }
        let applied = api.patch(name, params, &Patch::Apply(&step.manifest)).await;
        let applied = applied.map_err(|error| conflict(cluster.error(error)))?;
        let applied = serde_json::to_value(applied);
        applied.map(Some).map_err(|error| CommandError::failed(error.to_string()))
    }

    /// Prints lines, or the objects instead.
    fn print(
        &self,
        lines: &[String],
        objects: Vec<Value>,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let objects: Vec<Value> = objects.into_iter().map(print::without_managed_fields).collect();
        let text = match self.output {
            None => lines.concat(),
            Some(ObjectFormat::Name) => objects
                .iter()
                .map(|object| format!("{}\n", Reference::of(object).called()))
                .collect(),
            Some(ObjectFormat::Json) => print::json(&print::list(&objects)),
            Some(ObjectFormat::Yaml) => yaml_documents(&objects)?,
        };
        context.ui.print(&text)
    }
}

fn interrupted(done: usize, all: usize, mode: Mode) -> CommandError {
    let command = if mode == Mode::Install { "install" } else { "upgrade" };
    let message = if done == all {
        "all objects are applied; whether the operator runs is not known".to_owned()
    } else {
        format!("{done} of {all} objects were looked after")
    };
    CommandError { exit: Exit::Interrupted, ..CommandError::failed_as("interrupted", message) }
        .hint(format!("`kubectl headscale {command}` goes on where this ended"))
}
