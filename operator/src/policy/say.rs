//! What the objects of a policy are told.

use headscale_api::kinds::{
    HeadscaleAutoApprover, HeadscaleAutoApproverStatus, HeadscalePolicy, HeadscalePolicyStatus,
    PolicyFinding, ReachabilityDiff, names,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::plugins::PLUGIN_FAILED;
use crate::conditions::{self, Verdict};
use crate::context::Context;
use crate::kubernetes::KubernetesError;
use crate::objects::{self, Managed};
use crate::stored;

/// Reason of `Ready`: it is as declared.
pub(super) const APPLIED: &str = "PolicyApplied";
/// Reason of `Ready`: it was written down that Headscale gets the policy, and not yet that it has it.
pub(super) const PUSHING: &str = "PolicyPushing";
/// Reason of `Ready`: Headscale does not take it.
pub(super) const PUSH_FAILED: &str = "PolicyPushFailed";

/// What changes in the status of a policy; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Saying {
    pub(super) ready: Option<Verdict>,
    pub(super) valid: Option<Verdict>,
    pub(super) findings: Option<Vec<PolicyFinding>>,
    pub(super) reachability: Option<Option<ReachabilityDiff>>,
    pub(super) hash: Option<Option<String>>,
}

/// Why `Ready` is as it is.
pub(super) fn reason<K: Managed>(object: &K) -> Option<&str> {
    conditions::find(object.conditions(), names::READY).map(|ready| &*ready.reason)
}

/// Whether it is ready as it is now.
pub(super) fn is_ready<K: Managed>(object: &K) -> bool {
    conditions::holds(object.conditions(), names::READY)
        && object.observed_generation() == object.meta().generation
}

/// Writes the status of a policy.
///
/// # Errors
///
/// When it cannot be written.
pub(super) async fn say_policy(
    context: &Context,
    policy: HeadscalePolicy,
    saying: Saying,
) -> Result<HeadscalePolicy, KubernetesError> {
    let old = policy.status.clone().unwrap_or_default();
    let generation = policy.metadata.generation;
    let mut new = HeadscalePolicyStatus { observed_generation: generation, ..old.clone() };
    let now = Timestamp::now();
    if let Some(ready) = stored::verdict(&policy).or(saying.ready) {
        conditions::set(&mut new.conditions, names::READY, Some(&ready), generation, now);
    }
    if let Some(valid) = &saying.valid {
        conditions::set(&mut new.conditions, names::POLICY_VALID, Some(valid), generation, now);
    }
    new.findings = saying.findings.unwrap_or(new.findings);
    new.reachability = saying.reachability.unwrap_or(new.reachability);
    new.hash = saying.hash.unwrap_or(new.hash);
    let before = policy.clone();
    let written = objects::write_status(context, policy, &old, &new).await?;
    tell(context, &before, written.conditions()).await;
    Ok(written)
}

/// Writes the status of an approver.
///
/// # Errors
///
/// As [`say_policy`].
pub(super) async fn say_approver(
    context: &Context,
    approver: HeadscaleAutoApprover,
    ready: &Verdict,
) -> Result<(), KubernetesError> {
    let old = approver.status.clone().unwrap_or_default();
    let generation = approver.metadata.generation;
    let mut new = HeadscaleAutoApproverStatus { observed_generation: generation, ..old.clone() };
    conditions::set(&mut new.conditions, names::READY, Some(ready), generation, Timestamp::now());
    let before = approver.clone();
    let written = objects::write_status(context, approver, &old, &new).await?;
    tell(context, &before, written.conditions()).await;
    Ok(())
}

/// Reasons that are told anew with each message: what it says is what was declared.
const EACH_MESSAGE: [&str; 3] = [APPLIED, "PolicyInvalid", PLUGIN_FAILED];

/// One Event for each change.
async fn tell<K: Managed>(context: &Context, before: &K, after: &[Condition]) {
    let Some(now) = conditions::find(after, names::READY) else { return };
    if now.reason == PUSHING {
        return;
    }
    let was = conditions::find(before.conditions(), names::READY);
    let is_told = was.is_some_and(|was| {
        let is_same = (&was.status, &was.reason) == (&now.status, &now.reason);
        is_same && (was.message == now.message || !EACH_MESSAGE.contains(&&*now.reason))
    });
    if !is_told {
        objects::tell(context, before, now.status == "True", &now.reason, &now.message).await;
    }
}
