//! Tells all that a document is made of what became of it.

use headscale_api::kinds::{Headscale, HeadscaleAutoApprover, HeadscalePolicy, ReachabilityDiff};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::declared::Declared;
use super::fate::{Fate, Look, verdict};
use super::plugins::PLUGIN_FAILED;
use super::say::{self, APPLIED, PUSH_FAILED, PUSHING, Saying, say_approver, say_policy};
use crate::conditions::Verdict;
use crate::context::Context;
use crate::kubernetes::KubernetesError;
use crate::objects::{self, Managed};
use crate::stored;
use crate::user::Next;

/// Writes what became of the document to all that it was made of, and lets those go that are no part
/// of it any more.
pub(super) async fn tell(
    context: &Context,
    headscale: &Headscale,
    declared: Declared,
    look: &Look,
    fate: &Fate,
) -> Result<Next, KubernetesError> {
    let mut next = match fate {
        Fate::Failed { .. } => Next::Failed,
        Fate::Refused(verdict) if look.is_live || verdict.reason == PLUGIN_FAILED => Next::Failed,
        _ => Next::Sometime,
    };
    let approvers = declared.approvers.into_iter().zip(look.unfit.iter().cloned());
    for (approver, unfit) in approvers {
        let verdict = match unfit.or_else(|| stored::verdict(&approver)) {
            Some(verdict) => Some(verdict),
            None => approver_verdict(&approver, fate),
        };
        if let Some(verdict) = verdict {
            say_approver(context, approver, &verdict).await?;
        }
    }
    for approver in declared.unreadable {
        if let Some(verdict) = stored::verdict(&approver) {
            say_approver(context, approver, &verdict).await?;
        }
    }
    if let Some(policy) = declared.policy {
        let saying = policy_saying(&policy, look, fate.clone());
        say_policy(context, policy, saying).await?;
    }
    for policy in declared.others {
        let message = format!(
            "Headscale {} has another HeadscalePolicy, which is older and counts: delete one of \
             them",
            headscale.name_any()
        );
        let ready = Some(Verdict::bad("PolicyConflict", message));
        say_policy(context, policy, Saying { ready, ..Saying::default() }).await?;
    }
    for approver in declared.leaving_approvers {
        next = leave(context, approver, fate, next).await?;
    }
    for policy in declared.leaving_policies {
        let was_applied = policy.status.as_ref().is_some_and(|status| status.hash.is_some());
        if look.is_bare && was_applied && matches!(fate, Fate::Applied { .. }) {
            let note = "no other policy was declared: Headscale keeps the one that it has";
            objects::tell(context, &policy, false, "PolicyLeft", note).await;
        }
        next = leave(context, policy, fate, next).await?;
    }
    Ok(next)
}

fn applied(hash: &str, change: Option<&ReachabilityDiff>) -> Verdict {
    let change = change.map(|change| format!("; by its last change {}", verdict(Some(change))));
    let message = format!("Headscale has the policy {hash}{}", change.unwrap_or_default());
    Verdict::good(APPLIED, message)
}

fn policy_saying(policy: &HeadscalePolicy, look: &Look, fate: Fate) -> Saying {
    let status = policy.status.as_ref();
    let is_pushing = say::reason(policy) == Some(PUSHING);
    let saying = Saying {
        valid: look.valid.clone(),
        findings: look.valid.as_ref().map(|_| look.judged.findings.clone()),
        ..Saying::default()
    };
    match fate {
        Fate::Applied { hash, change } => {
            let known = status.and_then(|status| status.reachability.as_ref());
            let last = change.as_ref().map_or(known, Option::as_ref);
            let ready = Some(applied(&hash, last));
            Saying { ready, reachability: change, hash: Some(Some(hash)), ..saying }
        }
        Fate::Refused(verdict) => {
            // A change that was about to come may not have come.
            let hash = look.has.clone().filter(|_| is_pushing);
            Saying { ready: Some(verdict), hash, ..saying }
        }
        Fate::Unsupported(verdict) => Saying { ready: Some(verdict), ..saying },
        Fate::Pushing(hash) => {
            let message = format!("The pod does not run with the policy {hash} yet");
            let ready = Some(Verdict::unknown(PUSHING, message));
            Saying { ready, hash: Some(Some(hash)), ..saying }
        }
        Fate::Failed { verdict, hash: None, .. } => {
            // Nothing is known that would change what was said.
            let ready = match verdict {
                _ if say::is_ready(policy) => None,
                verdict if is_pushing => Some(Verdict::unknown(PUSHING, verdict.message)),
                verdict => Some(verdict),
            };
            Saying { ready, ..saying }
        }
        Fate::Failed { verdict, hash: Some(hash), reachability, .. } => {
            Saying { ready: Some(verdict), hash: Some(hash), reachability, ..saying }
        }
    }
}

/// What an approver that fits is told; `None` leaves what was said.
fn approver_verdict(approver: &HeadscaleAutoApprover, fate: &Fate) -> Option<Verdict> {
    let failed =
        |message: String| (!say::is_ready(approver)).then(|| Verdict::bad(PUSH_FAILED, message));
    match fate {
        Fate::Applied { .. } => {
            Some(Verdict::good(APPLIED, "The policy of Headscale has the approvals"))
        }
        Fate::Refused(verdict) => {
            failed(format!("The policy is not given to Headscale: {}", verdict.message))
        }
        Fate::Failed { verdict, .. } => failed(verdict.message.clone()),
        Fate::Pushing(_) if say::is_ready(approver) => None,
        Fate::Pushing(_) => {
            Some(Verdict::unknown(PUSHING, "The pod does not run with the approvals yet"))
        }
        Fate::Unsupported(verdict) => Some(verdict.clone()),
    }
}

/// Lets an object go once Headscale has the document without it.
async fn leave<K: Managed>(
    context: &Context,
    object: K,
    fate: &Fate,
    next: Next,
) -> Result<Next, KubernetesError> {
    let why = match fate {
        Fate::Applied { .. } | Fate::Unsupported(_) => None,
        Fate::Pushing(_) => Some("the pod does not run without it yet".to_owned()),
        Fate::Refused(verdict) | Fate::Failed { verdict, .. } => Some(verdict.message.clone()),
    };
    if let Some(why) = why {
        let patience = context.settings.deletion_patience;
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        let since = objects::deleted_at(&object).unwrap_or(Timestamp::UNIX_EPOCH);
        let left = patience.saturating_sub(Timestamp::now().duration_since(since));
        if left.is_positive() {
            let left = left.unsigned_abs();
            return Ok(match next {
                Next::Failed => Next::Failed,
                _ => Next::After(left.min(context.settings.check_interval)),
            });
        }
        let note = format!("the policy of Headscale may still have it: {why}");
        objects::tell(context, &object, false, "PolicyOrphaned", &note).await;
    }
    objects::let_go(context, &object).await?;
    Ok(next)
}
