//! `kubectl headscale install crds`

use std::time::Duration;

use clap::Args;
use headscale_api::kinds::{CRD_VERSION, crds, names};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};

use crate::commands::Context;
use crate::commands::create::DryRun;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubernetes::{
    Cluster, ConnectionArgs, FIELD_MANAGER, Interrupted, block_on, interruptible,
};

const KIND: &str = "customresourcedefinition.apiextensions.k8s.io";
/// The server needs a second for a definition.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  # Install the kinds of Headscale, or renew them
  kubectl headscale install crds

  # See what the server would say
  kubectl headscale install crds --dry-run=server

  # Take over the kinds that a chart or kubectl installed
  kubectl headscale install crds --force-conflicts

Exit codes:
  0    installed
  1    the cluster refused it, or has newer ones
  2    wrong usage
  130  Ctrl-C ended it";

/// Install the kinds, or renew them
///
/// Applies the five definitions on the server's side, and waits until they are served. Objects that
/// are there stay.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CrdsArgs {
    /// Only try: `client` asks nobody, `server` has the server judge it
    #[arg(long, value_name = "WHERE", default_value = "none")]
    dry_run: DryRun,

    /// Take over fields that others own
    #[arg(long)]
    force_conflicts: bool,

    /// Go back to older definitions than the cluster has
    #[arg(long)]
    force: bool,

    /// Name under which the fields are owned
    #[arg(long, value_name = "NAME", default_value = FIELD_MANAGER)]
    field_manager: String,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What a cluster has of the kinds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    /// None of them.
    Nothing,
    /// Some or all, without a version: another program's.
    Foreign,
    /// The oldest and the newest version among them, and how many there are.
    Versions { oldest: u32, newest: u32, count: usize },
}

/// What the cluster has of the kinds.
pub(crate) async fn installed(cluster: &Cluster) -> Result<Installed, CommandError> {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let mut found = Vec::new();
    for crd in crds() {
        let name = crd.metadata.name.unwrap_or_default();
        found.extend(api.get_opt(&name).await.map_err(|error| cluster.error(error))?);
    }
    Ok(of_definitions(&found))
}

fn of_definitions(found: &[CustomResourceDefinition]) -> Installed {
    let version = |crd: &CustomResourceDefinition| -> Option<u32> {
        let annotations = crd.metadata.annotations.as_ref()?;
        annotations.get(names::CRD_VERSION_ANNOTATION)?.parse().ok()
    };
    let versions: Vec<u32> = found.iter().filter_map(version).collect();
    match (versions.iter().min(), versions.iter().max()) {
        _ if found.is_empty() => Installed::Nothing,
        (Some(oldest), Some(newest)) if versions.len() == found.len() => {
            Installed::Versions { oldest: *oldest, newest: *newest, count: found.len() }
        }
        // A newer one among foreign ones still must not be overwritten.
        (_, Some(newest)) => Installed::Versions { oldest: 0, newest: *newest, count: found.len() },
        _ => Installed::Foreign,
    }
}

impl CrdsArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        if self.dry_run == DryRun::Client {
            for crd in crds() {
                self.print(&crd, context)?;
            }
            return Ok(Exit::Success);
        }
        block_on(async {
            let cluster = self.connection.connect(context.environment).await?;
            let mut done = Vec::new();
            match interruptible(self.install(&cluster, &mut done, context)).await {
                Ok(result) => result.map(|()| Exit::Success),
                Err(Interrupted) => Err(interrupted(&done)),
            }
        })
    }

    async fn install(
        &self,
        cluster: &Cluster,
        done: &mut Vec<String>,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        if let Some(note) = note_of(&installed(cluster).await?, self.force)? {
            context.ui.note(&note);
        }
        let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
        let mut params = PatchParams::apply(&self.field_manager).validation_strict();
        params.force = self.force_conflicts;
        params.dry_run = self.dry_run == DryRun::Server;
        for crd in crds() {
            let name = crd.metadata.name.clone().unwrap_or_default();
            let applied = api.patch(&name, &params, &Patch::Apply(&crd)).await;
            applied.map_err(|error| conflict(cluster.error(error)))?;
            self.print(&crd, context)?;
            done.push(name);
        }
        if self.dry_run == DryRun::None {
            established(cluster, &api, done).await?;
        }
        Ok(())
    }

    fn print(
        &self,
        crd: &CustomResourceDefinition,
        context: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        let name = crd.metadata.name.as_deref().unwrap_or_default();
        context.ui.print(&format!("{KIND}/{name} serverside-applied{}\n", self.dry_run.suffix()))
    }
}

/// What a user should know who installs the kinds over those that are there.
///
/// # Errors
///
/// That those are newer, unless that is no hindrance.
pub(crate) fn note_of(
    installed: &Installed,
    is_forced: bool,
) -> Result<Option<String>, CommandError> {
    match installed {
        Installed::Versions { newest, .. } if *newest > CRD_VERSION && !is_forced => {
            Err(CommandError::failed(format!(
                "the cluster has newer kinds, version {newest}: this program has version \
                 {CRD_VERSION}"
            ))
            .hint("`kubectl krew upgrade headscale` gets a newer program")
            .hint("--force goes back to these; fields that they do not know are lost"))
        }
        Installed::Versions { oldest, newest, .. }
            if (*oldest, *newest) != (CRD_VERSION, CRD_VERSION) =>
        {
            let there = if *newest > CRD_VERSION { newest } else { oldest };
            Ok(Some(format!(
                "the cluster has version {there} of the kinds, this is version {CRD_VERSION}"
            )))
        }
        Installed::Foreign => Ok(Some(
            "the cluster has the kinds from another program, such as the Go operator; what they \
             have is kept"
                .to_owned(),
        )),
        Installed::Nothing | Installed::Versions { .. } => Ok(None),
    }
}

fn conflict(error: CommandError) -> CommandError {
    if error.message.starts_with("Apply failed") {
        error.hint("--force-conflicts takes the fields over from whoever installed the kinds")
    } else {
        error
    }
}

fn interrupted(done: &[String]) -> CommandError {
    let message = match done {
        [] => "nothing was installed".to_owned(),
        done => format!("installed were {}", done.join(", ")),
    };
    CommandError { exit: Exit::Interrupted, ..CommandError::failed_as("interrupted", message) }
        .hint("`kubectl headscale install crds` goes on where this ended")
}

/// Waits until all are served.
pub(crate) async fn established(
    cluster: &Cluster,
    api: &Api<CustomResourceDefinition>,
    names: &[String],
) -> Result<(), CommandError> {
    for name in names {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let crd = api.get(name).await.map_err(|error| cluster.error(error))?;
            let conditions =
                crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let mut conditions = conditions.filter(|condition| condition.status == "True");
            if conditions.any(|condition| condition.type_ == "Established") {
                break;
            }
            if tokio::time::Instant::now() > deadline {
                return Err(CommandError::failed(format!(
                    "timed out waiting for the condition on customresourcedefinitions/{name}"
                ))
                .hint(format!("`kubectl describe crd {name}` says why")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(version: Option<&str>) -> CustomResourceDefinition {
        let mut crd = CustomResourceDefinition::default();
        crd.metadata.annotations = version
            .map(|version| [(names::CRD_VERSION_ANNOTATION.to_owned(), version.to_owned())].into());
        crd
    }

    #[test]
    fn a_cluster_has_nothing_or_foreign_kinds_or_versions_of_ours() {
        assert_eq!(of_definitions(&[]), Installed::Nothing);
        assert_eq!(of_definitions(&[definition(None)]), Installed::Foreign);
        assert_eq!(
            of_definitions(&[definition(Some("1")), definition(Some("3"))]),
            Installed::Versions { oldest: 1, newest: 3, count: 2 }
        );
        assert_eq!(
            of_definitions(&[definition(None), definition(Some("3"))]),
            Installed::Versions { oldest: 0, newest: 3, count: 2 }
        );
    }
}
