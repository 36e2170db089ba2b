//! What applying would do.

use std::fmt::Write as _;

use headscale_api::operator::NAME;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Reference, Survey, differences, owned};
use crate::error::CommandError;
use crate::kubernetes::Cluster;

const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It is not there yet.
    Create,
    /// It differs, in these places.
    Change(Vec<String>),
    /// It is as it should be.
    Keep,
    /// It is not wanted any more.
    Delete,
}

impl Action {
    /// What was done, in kubectl's words.
    pub(super) const fn done(&self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Change(_) => "configured",
            Self::Keep => "unchanged",
            Self::Delete => "deleted",
        }
    }
}

/// One object and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Which object.
    pub(super) reference: Reference,
    /// As it is applied; nothing of one that is deleted.
    pub(super) manifest: Value,
    /// What becomes of it.
    pub(super) action: Action,
}

/// All of them, in the order in which they are done.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The steps.
    pub(super) steps: Vec<Step>,
}

impl Plan {
    /// What applying `manifests` with `params` would do, as the server itself says where that can be
    /// asked; and what is there that would not be wanted any more.
    ///
    /// # Errors
    ///
    /// What the server says: who may not do it, or whose fields are somebody else's, is told here.
    pub(super) async fn of(
        cluster: &Cluster,
        manifests: Vec<Value>,
        params: &PatchParams,
        survey: &Survey,
    ) -> Result<Self, CommandError> {
        let trial = PatchParams { dry_run: true, ..params.clone() };
        let mut steps = Vec::new();
        let mut missing = None;
        for manifest in manifests {
            let reference = Reference::of(&manifest);
            let api = reference.api(cluster);
            let there = api.get_opt(&reference.name).await;
            let there = there.map_err(|error| cluster.error(error))?;
            let is_namespace = reference.kind == "Namespace";
            if is_namespace && there.is_some() {
                // Whose it is and what it has is not ours to say.
                continue;
            }
            // What is in a namespace that is not there yet, or about a role that is not, cannot be
            // judged yet.
            let is_open = reference.namespace.is_some() && reference.namespace == missing;
            let is_binding = there.is_none() && reference.kind.ends_with("Binding");
            if is_namespace {
                missing = Some(reference.name.clone());
            }
            let action = if is_open || is_binding {
                Action::Create
            } else {
                let applied = api.patch(&reference.name, &trial, &Patch::Apply(&manifest)).await;
                let applied = applied.map_err(|error| conflict(cluster.error(error)))?;
                match there {
                    None => Action::Create,
                    Some(there) => changed(&json!(there), &json!(applied)),
                }
            };
            steps.push(Step { reference, manifest, action });
        }
        let unwanted = owned(cluster, survey).await?.into_iter();
        let unwanted = unwanted.filter(|found| !steps.iter().any(|step| step.reference == *found));
        let unwanted: Vec<Reference> = unwanted.collect();
        let delete = |reference| Step { reference, manifest: Value::Null, action: Action::Delete };
        steps.extend(unwanted.into_iter().map(delete));
        Ok(Self { steps })
    }

    /// The steps that change something.
    pub(super) fn changes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.action != Action::Keep)
    }

    /// The Deployment of the operator.
    pub(super) fn deployment(&self) -> Option<&Step> {
        let is_it = |it: &&Step| it.reference.kind == "Deployment" && it.reference.name == NAME;
        self.steps.iter().find(is_it)
    }

    /// What it comes to, for the one who is asked: a line for each object that changes, with where it
    /// differs below it.
    pub(super) fn told(&self) -> String {
        let (mut text, mut relabelled) = (String::new(), 0_usize);
        for step in self.changes() {
            let (sign, lines): (_, &[String]) = match &step.action {
                Action::Create => ('+', &[]),
                // Every release changes it everywhere, and nobody needs to read that.
                Action::Change(lines) if matches!(&lines[..], [only] if is_of_version(only)) => {
                    relabelled += 1;
                    continue;
                }
                Action::Change(lines) => ('~', lines),
                Action::Delete => ('-', &[]),
                Action::Keep => continue,
            };
            // Writing to a text does not fail.
            writeln!(text, "  {sign} {}", step.reference.placed()).ok();
            for line in lines {
                writeln!(text, "      {line}").ok();
            }
        }
        if relabelled > 0 {
            writeln!(text, "  ~ the label {VERSION_LABEL} of {relabelled} more").ok();
        }
        text
    }
}

/// Whether a line is about the label with the version.
fn is_of_version(line: &str) -> bool {
    line.starts_with(&format!("metadata.labels[{VERSION_LABEL:?}]: "))
}

/// The same, with what to do where others own fields.
pub(super) fn conflict(error: CommandError) -> CommandError {
    if error.message.starts_with("Apply failed") {
        error.hint("--force-conflicts takes the fields over from whoever set them")
    } else {
        error
    }
}

fn changed(old: &Value, new: &Value) -> Action {
    let lines = differences::lines(old, new);
    if lines.is_empty() { Action::Keep } else { Action::Change(lines) }
}
