//! What the status of an instance says.

use headscale_acl::Severity;
use headscale_api::kinds::{Headscale, HeadscaleStatus, names};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::Value;

use super::decide::{Block, Decision, sentences};
use super::rollout::{Rollout, Trouble};
use super::upgrade;
use crate::conditions::{self, Verdict};
use crate::stored;

/// What the status is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The object.
    pub headscale: &'a Headscale,
    /// What was decided.
    pub decision: &'a Decision,
    /// Why it could not be done.
    pub refused: Option<&'a Block>,
    /// The StatefulSet, after what was done.
    pub set: Option<&'a StatefulSet>,
    /// What keeps its pod from being ready.
    pub trouble: Option<&'a Trouble>,
    /// Whether the pod has not been ready for longer than it may take.
    pub is_overdue: bool,
    /// Why the volume is not as large as it should be.
    pub volume: Option<&'a Block>,
    /// What is said of the policy.
    pub policy: Option<&'a Verdict>,
    /// What is said of the API key.
    pub api_key: Option<&'a Verdict>,
    /// What time it is.
    pub now: Timestamp,
}

/// The status.
#[must_use]
pub fn status(facts: &Facts<'_>) -> HeadscaleStatus {
    let Facts { headscale, decision, set, .. } = facts;
    let old = headscale.status.clone().unwrap_or_default();
    let rollout = Rollout::of(*set);
    let version = match rollout {
        Rollout::Done => set.and_then(super::decide::version_of).or_else(|| old.version.clone()),
        _ => old.version.clone(),
    };
    let generation = headscale.metadata.generation;
    let mut conditions = old.conditions.clone();
    let verdicts = [
        (names::READY, Some(ready(facts, rollout))),
        (names::PROGRESSING, Some(progressing(facts, rollout))),
        (names::DEGRADED, Some(degraded(facts, rollout))),
        (names::CONFIG_VALID, Some(config_valid(decision))),
        (names::POLICY_VALID, facts.policy.cloned()),
        (names::API_KEY_READY, facts.api_key.cloned()),
        (names::SINGLE_ACTIVE, single_active(headscale)),
    ];
    for (type_, verdict) in verdicts {
        conditions::set(&mut conditions, type_, verdict.as_ref(), generation, facts.now);
    }
    let count = set.and_then(|set| set.status.as_ref());
    let config = headscale.spec.config.as_ref();
    let url = match stored::is_unreadable(*headscale, "config") {
        true => old.url.as_deref(),
        false => config.and_then(|config| config.get("server_url")).and_then(Value::as_str),
    };
    HeadscaleStatus {
        conditions,
        observed_generation: generation,
        version,
        url: url.filter(|url| !url.is_empty()).map(str::to_owned),
        replicas: Some(count.map_or(0, |count| count.replicas)),
        ready_replicas: Some(count.and_then(|count| count.ready_replicas).unwrap_or(0)),
    }
}

/// What keeps the spec from being done.
fn block<'a>(facts: &Facts<'a>) -> Option<&'a Block> {
    facts.refused.or(facts.decision.blocked.as_ref())
}

/// The version that the pod is made from and the one that ran before, where a minor version is
/// being stepped to.
fn step<'a>(facts: &Facts<'a>) -> Option<(&'a str, String)> {
    let before = facts.headscale.status.as_ref()?.version.as_deref()?;
    let now = facts.set.and_then(super::decide::version_of)?;
    (upgrade::minor(before) != upgrade::minor(&now)).then_some((before, now))
}

/// How to go back, where a step has failed.
fn way_back(facts: &Facts<'_>) -> String {
    let Some((before, now)) = step(facts) else { return String::new() };
    let name = facts.set.and_then(|set| set.metadata.name.clone()).unwrap_or_default();
    let copy = if facts.decision.apply.as_ref().is_some_and(|wanted| wanted.inputs.backup) {
        "the copy in the folder `backup` beside it"
    } else {
        "your backup"
    };
    format!(
        ". The step from {before} to {now} stops here, and no other follows. To go back: set \
         spec.replicas to 0, put {copy} in the place of the database, delete StatefulSet {name}, \
         and set spec.version to {before} and spec.replicas to 1"
    )
}

fn ready(facts: &Facts<'_>, rollout: Rollout) -> Verdict {
    if let Some(block) = block(facts) {
        return Verdict::bad(block.reason, block.message.clone());
    }
    let spec = &facts.headscale.spec;
    if spec.replicas == 0 {
        return Verdict::bad("ScaledToZero", "spec.replicas is 0: no server runs");
    }
    if rollout != Rollout::Done {
        return match facts.trouble {
            Some(trouble) => Verdict::bad(trouble.reason, trouble.message.clone()),
            None => Verdict::bad("PodNotReady", "the pod of the server is not ready"),
        };
    }
    let runs = facts.set.and_then(super::decide::version_of).unwrap_or_default();
    if upgrade::minor(&runs) != upgrade::minor(&spec.version) {
        let message = format!("Headscale {runs} runs, on the way to {}", spec.version);
        return Verdict::bad("Upgrading", message);
    }
    let is_managed = spec.api_key().auto_manage.unwrap_or(true);
    if let Some(key) = facts.api_key.filter(|key| is_managed && !is_true(key)) {
        return Verdict::bad("APIKeyNotReady", key.message.clone());
    }
    Verdict::good("Reconciled", "Headscale is running")
}

fn is_true(verdict: &Verdict) -> bool {
    verdict.holds == conditions::Holds::True
}

fn progressing(facts: &Facts<'_>, rollout: Rollout) -> Verdict {
    if let Some(block) = block(facts) {
        return Verdict::bad(block.reason, block.message.clone());
    }
    let spec = &facts.headscale.spec;
    if spec.replicas == 0 {
        return match rollout {
            Rollout::Off => Verdict::bad("ScaledToZero", "spec.replicas is 0: no server runs"),
            _ => Verdict::good("ScalingDown", "the server is being stopped"),
        };
    }
    if rollout != Rollout::Done {
        if facts.is_overdue {
            let why = match facts.trouble {
                Some(trouble) => trouble.message.clone(),
                None => "the pod is not ready, and says nothing of why".to_owned(),
            };
            let message = format!("{why}{}", way_back(facts));
            return Verdict::bad("ProgressDeadlineExceeded", message);
        }
        return match step(facts) {
            Some((before, now)) => {
                Verdict::good("Upgrading", format!("Headscale is stepping from {before} to {now}"))
            }
            None => Verdict::good("RollingOut", "the pod is being made"),
        };
    }
    let runs = facts.set.and_then(super::decide::version_of).unwrap_or_default();
    if upgrade::minor(&runs) != upgrade::minor(&spec.version) {
        let message = match &facts.decision.waiting {
            Some(waiting) => waiting.clone(),
            None => format!("Headscale {runs} runs, on the way to {}", spec.version),
        };
        return Verdict::good("Upgrading", message);
    }
    Verdict::bad("Complete", "no change is under way")
}

fn degraded(facts: &Facts<'_>, rollout: Rollout) -> Verdict {
    if let Some(block) = block(facts) {
        return Verdict::good(block.reason, block.message.clone());
    }
    if facts.headscale.spec.replicas != 0 && rollout != Rollout::Done {
        if let Some(trouble) = facts.trouble {
            return Verdict::good(
                trouble.reason,
                format!("{}{}", trouble.message, way_back(facts)),
            );
        }
        if facts.is_overdue {
            let message =
                format!("the pod is not ready, and says nothing of why{}", way_back(facts));
            return Verdict::good("ProgressDeadlineExceeded", message);
        }
    }
    if let Some(volume) = facts.volume {
        return Verdict::good(volume.reason, volume.message.clone());
    }
    Verdict::bad("AsExpected", "nothing is broken")
}

fn config_valid(decision: &Decision) -> Verdict {
    let Some(findings) = &decision.findings else {
        return Verdict::unknown("NotChecked", "the configuration was not checked");
    };
    let errors = sentences(findings, |severity| severity == Severity::Error);
    if !errors.is_empty() {
        return Verdict::bad("ConfigInvalid", errors);
    }
    let warnings = sentences(findings, |severity| severity == Severity::Warning);
    if warnings.is_empty() {
        return Verdict::good("ConfigValid", "Headscale takes the configuration");
    }
    Verdict::good("ConfigValid", format!("Headscale takes the configuration, but: {warnings}"))
}

fn single_active(headscale: &Headscale) -> Option<Verdict> {
    let replicas = headscale.spec.replicas;
    (replicas > 1).then(|| {
        let message = format!(
            "spec.replicas is {replicas}, and one server runs: Headscale keeps its state in \
             memory, and two would know different things"
        );
        Verdict::good("OneServer", message)
    })
}
