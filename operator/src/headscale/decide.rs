//! What an instance is to be made of now.

use headscale_acl::Severity;
use headscale_api::config::ConfigFinding;
use headscale_api::desired::{self, Existing, Inputs, Names, check_name, findings};
use headscale_api::kinds::Headscale;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Container;
use kube::ResourceExt as _;
use serde_json::Value;

use super::requirements::{Keys, missing};
use super::rollout::Rollout;
use super::upgrade::{self, Course, Question, Why};
use crate::names::VERSION_ANNOTATION;
use crate::stored::INVALID_SPEC;

/// So many findings are shown in a condition.
const SHOWN: usize = 10;

/// Everything that a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object.
    pub headscale: &'a Headscale,
    /// What of its spec cannot be read; the rest of it is in `headscale`.
    pub unreadable: Option<&'a str>,
    /// The names of the objects that it has; `None` where it has none.
    pub names: Option<&'a Names>,
    /// The StatefulSet that it has.
    pub set: Option<&'a StatefulSet>,
    /// The keys of the Secrets that the spec names.
    pub secrets: &'a Keys,
    /// Another instance that keeps its API key in the same Secret, and is older.
    pub rival: Option<&'a str>,
    /// The policy, where it is a file: all of it.
    pub policy: Option<&'a str>,
    /// What is wrong with the policy, for the version that is wanted too.
    pub policy_error: Option<&'a str>,
    /// Why the policy that another version is to read is not known.
    pub policy_unknown: Option<&'a str>,
    /// Whether Headscale answers anything but that it works.
    pub is_ailing: bool,
    /// What `desired_state` is told besides.
    pub inputs: &'a Inputs,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What the objects are to be made of; `None` leaves them as they are.
    pub apply: Option<Wanted>,
    /// Why the instance is not what its spec says, and does not become it.
    pub blocked: Option<Block>,
    /// What is told about the configuration; `None` where it was not looked at.
    pub findings: Option<Vec<ConfigFinding>>,
    /// The version that the pod is made from now.
    pub running: Option<String>,
    /// The version that the step leads to, where this decision makes one.
    pub step: Option<String>,
    /// Why the next version waits, where that ends by itself.
    pub waiting: Option<String>,
}

/// What objects are made of.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The object, with the version that is to run.
    pub headscale: Headscale,
    /// What is known besides.
    pub inputs: Inputs,
}

/// Why the instance is not what its spec says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// One word for programs.
    pub reason: &'static str,
    /// What is wrong, where, and what mends it.
    pub message: String,
}

impl Block {
    /// One with this reason.
    #[must_use]
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// The version that the pod of a StatefulSet is made from: that of the image, unless that has a
/// digest.
#[must_use]
pub fn version_of(set: &StatefulSet) -> Option<String> {
    let image = container(set, "headscale")?.image.as_deref()?;
    let (_, name) = image.rsplit_once('/').unwrap_or(("", image));
    match name.rsplit_once(':') {
        Some((_, tag)) if !image.contains('@') => Some(tag.to_owned()),
        _ => set.annotations().get(VERSION_ANNOTATION).cloned(),
    }
}

fn container<'s>(set: &'s StatefulSet, name: &str) -> Option<&'s Container> {
    let pod = set.spec.as_ref()?.template.spec.as_ref()?;
    let init = pod.init_containers.iter().flatten();
    pod.containers.iter().chain(init).find(|container| container.name == name)
}

/// Whether the database is PostgreSQL.
fn is_postgres(headscale: &Headscale) -> bool {
    let config = headscale.spec.config.as_ref();
    let database = config.and_then(|config| config.get("database"));
    database.and_then(|it| it.get("type")).and_then(Value::as_str) == Some("postgres")
}

/// What is to be done. Decides from its arguments alone.
#[must_use]
pub fn decide(observed: &Observed<'_>) -> Decision {
    let Observed { headscale, .. } = observed;
    let spec = &headscale.spec;
    let said = headscale.status.as_ref().and_then(|status| status.version.clone());
    // One whose StatefulSet was deleted still has its database.
    let running = observed.set.map_or(said.clone(), |set| version_of(set).or(said));
    let mut decision = Decision {
        apply: None,
        blocked: None,
        findings: None,
        running: running.clone(),
        step: None,
        waiting: None,
    };
    if let Some(what) = observed.unreadable {
        let message = format!("{what}; what runs is left as it is until that is mended");
        decision.blocked = Some(Block::new(INVALID_SPEC, message));
        return decision;
    }
    if observed.names.is_none()
        && let Err(error) = check_name(&headscale.name_any())
    {
        let message = format!("{error}: make it anew with such a name");
        decision.blocked = Some(Block::new("InvalidName", message));
        return decision;
    }
    if let Some(rival) = observed.rival {
        let message = format!(
            "Headscale {rival} is older and keeps its API key in the same Secret: set \
             spec.api_key.secret_name to another"
        );
        decision.blocked = Some(Block::new("SecretNameTaken", message));
        return decision;
    }
    let image = spec.image.as_deref().unwrap_or_default();
    let rollout = Rollout::of(observed.set);
    let course = upgrade::course(&Question {
        wanted: &spec.version,
        running: running.as_deref(),
        is_healthy: rollout == Rollout::Done && !observed.is_ailing,
        is_off: spec.replicas == 0,
        is_pinned: image.contains('@'),
        is_postgres: is_postgres(headscale),
        consent: spec.upgrade.as_ref().and_then(|upgrade| upgrade.backup_confirmed.as_deref()),
    });
    // A policy that it refuses stops a server when it starts.
    let (version, is_step, why) = match course {
        Course::Run(version) => (Some(version), false, None),
        Course::Step(version) => match (observed.policy_error, observed.policy_unknown) {
            (Some(error), _) => {
                let message =
                    format!("Headscale {version} comes once the policy suits it: {error}");
                decision.blocked = Some(Block::new("PolicyInvalid", message));
                (running.clone(), false, None)
            }
            (None, Some(unknown)) => {
                let message = format!(
                    "Headscale {version} comes once it is known whether the policy suits it: \
                     {unknown}"
                );
                decision.waiting = Some(message);
                (running.clone(), false, None)
            }
            (None, None) => (Some(version), true, None),
        },
        Course::Stay { version, why } => (version, false, Some(why)),
    };
    let inputs = inputs(observed, is_step);
    let goes_on = why.as_ref().is_none_or(Why::is_delay);
    let mut checked: Vec<String> = version.iter().cloned().collect();
    if goes_on {
        let from = version.as_deref().or(running.as_deref()).unwrap_or(&spec.version);
        checked.extend(upgrade::ahead(from, &spec.version));
    }
    for version in &checked {
        let findings = findings(&with_version(headscale, version), &inputs);
        let errors = errors(&findings);
        decision.findings = Some(findings);
        if !errors.is_empty() {
            let message = format!("the configuration does not suit Headscale {version}: {errors}");
            let block = Block::new("ConfigInvalid", left(&message, observed.set.is_some()));
            decision.blocked = Some(block);
            return decision;
        }
    }
    let missing = missing(spec, observed.secrets);
    if !missing.is_empty() {
        let message = format!("{}: make it, or correct the spec", missing.join("; "));
        let block = Block::new("SecretNotFound", left(&message, observed.set.is_some()));
        decision.blocked = Some(block);
        return decision;
    }
    match why {
        Some(why) if why.is_passing() => decision.waiting = Some(why.to_string()),
        Some(Why::Off { .. }) | None => {}
        Some(why) => {
            let runs = running.as_ref().map_or_else(String::new, |running| {
                format!("; Headscale {running} is left as it is")
            });
            decision.blocked = Some(Block::new(why.reason(), format!("{why}{runs}")));
        }
    }
    // Of an image with a digest there is no other version than the one it is.
    let is_pinned_elsewhere = version.as_deref() != Some(&*spec.version) && image.contains('@');
    if let Some(version) = version.filter(|_| !is_pinned_elsewhere) {
        decision.step = is_step.then(|| version.clone());
        let headscale = with_version(headscale, &version);
        decision.apply = Some(Wanted { headscale, inputs });
    }
    decision
}

/// What is said of what runs, where nothing is done about the spec.
fn left(message: &str, has_set: bool) -> String {
    if has_set {
        format!("{message}; what runs is left as it is")
    } else {
        format!("{message}; no server is started")
    }
}

fn with_version(headscale: &Headscale, version: &str) -> Headscale {
    let mut headscale = headscale.clone();
    version.clone_into(&mut headscale.spec.version);
    headscale
}

/// Once a copy is made before the server starts, that stays: taking it away would replace the pod.
fn inputs(observed: &Observed<'_>, is_step: bool) -> Inputs {
    let has_backup = observed.set.is_some_and(|set| container(set, "backup").is_some());
    Inputs {
        policy: observed.policy.map(str::to_owned),
        existing: Existing { names: observed.names.cloned(), stateful_set: observed.set.cloned() },
        backup: is_step || has_backup,
        ..observed.inputs.clone()
    }
}

/// The errors in one sentence; empty without any.
fn errors(findings: &[ConfigFinding]) -> String {
    sentences(findings, |severity| severity == Severity::Error)
}

/// What is told, with fields and what to do, of these severities; empty where nothing is.
pub(super) fn sentences(findings: &[ConfigFinding], of: impl Fn(Severity) -> bool) -> String {
    let all = findings.iter().filter(|finding| of(finding.finding.severity));
    let shown: Vec<String> = all.clone().take(SHOWN).map(sentence).collect();
    let shown = shown.join("; ");
    match all.count().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more (`kubectl headscale config check`)"),
    }
}

/// A finding with its field and what to do.
fn sentence(finding: &ConfigFinding) -> String {
    let path = finding.pointer.replace('/', ".");
    let help = finding.finding.help.iter().map(|help| format!(" ({help})")).collect::<String>();
    format!("spec.config{path}: {}{help}", finding.finding.message)
}

/// The name of the Secret of the API key.
#[must_use]
pub fn api_key_secret(headscale: &Headscale, names: Option<&Names>) -> String {
    let given = headscale.spec.api_key().secret_name.filter(|name| !name.is_empty());
    let own = names.map(|names| names.api_key.clone());
    let own = || own.unwrap_or_else(|| Names::of(&headscale.name_any()).api_key);
    given.unwrap_or_else(own)
}

/// The objects of what is wanted.
#[must_use]
pub fn objects(wanted: &Wanted) -> Vec<desired::Object> {
    desired::desired_state(&wanted.headscale, &wanted.inputs)
}
