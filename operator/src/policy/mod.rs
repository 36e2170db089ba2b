//! `HeadscalePolicy`, `HeadscaleAutoApprover` and `spec.acl_policy` of a `Headscale`: one document.
//!
//! The document is looked at by the name of its Headscale, and only there are the objects written
//! that it is made of. It is judged before Headscale gets it: by the engine for the version that
//! runs and for those that an upgrade comes by, by the plugins that the spec names, and, where it is
//! new, for the users and nodes that there are. What is refused is not given to Headscale, which
//! keeps the last good one.
//!
//! Before a change is made, it is written down what it changes: an operator that is killed in
//! between finds by the hash beside it whether the change came.
//!
//! | what happens | what becomes of it |
//! | --- | --- |
//! | a source, an approver, tag owners change | Headscale gets the new document; the status tells the change of reachability |
//! | somebody gives Headscale another policy | it is replaced, an Event tells what that changed |
//! | the policy is wrong | it is told with line and column; Headscale keeps what it has |
//! | an approver's tag has no owner | that approver is left out, and told |
//! | the policy cannot be read | it is told; Headscale keeps what it has |
//! | an approver cannot be read | it is told, and what it approved before stays; the others count |
//! | two sources say the whole policy | it is told; Headscale keeps what it has |
//! | only approvers or tag owners were declared | they go into the policy that Headscale has |
//! | `policy.mode` becomes `file` | the file has the declared policy, or where that is refused, paused or missing, the one that Headscale has in its database; where that is not known the database stays |
//! | `policy.mode` becomes `database` | the file stays until a whole policy is declared that Headscale takes: a database without one allows everything |
//! | the policy is deleted | what is left is given to Headscale; without another it keeps what it has, and an Event tells |
//! | an approver is deleted | it goes once Headscale has the document without it |
//! | the same, and that cannot be done for `--deletion-patience` | it goes, an Event tells |
//! | Headscale's object is gone or being deleted, or with the annotation [`FORCE_DELETE_ANNOTATION`](crate::names::FORCE_DELETE_ANNOTATION) | it goes |
//!
//! Reasons of `Ready`: `PolicyApplied`, `PolicyPushing`; `PolicyInvalid`, `PolicyConflict`,
//! `PolicySourceMissing`, `PolicyUnproven`, `PluginFailed`, `PolicyPushFailed`,
//! `PolicyModeUnsupported`, `HeadscaleNotFound`, `InvalidSpec`; of approvers also
//! `TagOwnerMissing`.

mod change;
mod compose;
mod database;
mod declared;
mod desk;
mod document;
mod fate;
mod file;
mod judge;
mod live;
mod plugins;
mod pulls;
mod push;
mod say;
mod shift;
mod tell;
mod told;

use headscale_api::kinds::{HeadscaleAutoApprover, HeadscalePolicy};
use kube::ResourceExt as _;

pub use change::{Hash, Step, reachability, step};
pub use compose::{
    Approvals, NOTHING, Parts, allows_everything, compose, is_same_policy, owned_tags, unfit,
};
pub(crate) use desk::Desk;
pub(crate) use document::reconcile;
pub use judge::{Judged, Subject, judge, judge_live, judged};
pub(crate) use shift::Configured;
pub(crate) use told::of_instance;

use crate::conditions::Verdict;
use crate::context::Context;
use crate::kubernetes::KubernetesError;
use crate::objects::{self, Made};
use crate::stored;
use crate::user::{InstanceView, Next, instance_view};
use say::{Saying, say_approver, say_policy};

/// Looks at a policy whose Headscale is not there. All else is done where its document is looked at.
///
/// # Errors
///
/// As [`reconcile`].
pub(crate) async fn reconcile_policy(
    context: &Context,
    seen: &HeadscalePolicy,
) -> Result<Next, KubernetesError> {
    let (policy, verdict) = match alone(context, seen).await? {
        Alone::Not(next) => return Ok(next),
        Alone::Yes(policy, verdict) => (policy, verdict),
    };
    say_policy(context, policy, Saying { ready: Some(verdict), ..Saying::default() }).await?;
    Ok(Next::Sometime)
}

/// Looks at an approver whose Headscale is not there. All else is done where its document is looked
/// at.
///
/// # Errors
///
/// As [`reconcile`].
pub(crate) async fn reconcile_approver(
    context: &Context,
    seen: &HeadscaleAutoApprover,
) -> Result<Next, KubernetesError> {
    let (approver, verdict) = match alone(context, seen).await? {
        Alone::Not(next) => return Ok(next),
        Alone::Yes(approver, verdict) => (approver, verdict),
    };
    let verdict = stored::verdict(&approver).unwrap_or(verdict);
    say_approver(context, approver, &verdict).await?;
    Ok(Next::Sometime)
}

/// Whether an object has no Headscale.
enum Alone<K> {
    /// It has one, or there is nothing to be said.
    Not(Next),
    /// It has none, and is told so.
    Yes(K, Verdict),
}

async fn alone<K: Made>(context: &Context, seen: &K) -> Result<Alone<K>, KubernetesError> {
    let Some(object) = objects::latest(context, seen).await? else {
        return Ok(Alone::Not(Next::Never));
    };
    let namespace = object.namespace().unwrap_or_default();
    let headscale = context.headscale(&namespace, object.headscale_ref());
    let view = instance_view(headscale.as_deref());
    let is_paused =
        objects::is_paused(&object) || headscale.as_deref().is_some_and(objects::is_paused);
    if is_paused {
        return Ok(Alone::Not(Next::Sometime));
    }
    if objects::deleted_at(&object).is_some() {
        if !objects::has_finalizer(&object) {
            return Ok(Alone::Not(Next::Never));
        }
        let is_forced = objects::is_forced(&object);
        if view == InstanceView::There && !is_forced {
            return Ok(Alone::Not(Next::Sometime));
        }
        if is_forced {
            let note = "the policy of Headscale stays as it is until it is given the next one";
            objects::tell(context, &object, false, "PolicyOrphaned", note).await;
        }
        objects::let_go(context, &object).await?;
        context.triggers.document(&namespace, object.headscale_ref());
        return Ok(Alone::Not(Next::Never));
    }
    let message = match view {
        InstanceView::There => return Ok(Alone::Not(Next::Sometime)),
        InstanceView::Missing => format!(
            "Referenced Headscale instance {} not found: make it in namespace {namespace}, or \
             correct spec.headscaleRef",
            object.headscale_ref()
        ),
        InstanceView::Ending => format!("Headscale {} is being deleted", object.headscale_ref()),
    };
    Ok(Alone::Yes(object, Verdict::bad("HeadscaleNotFound", message)))
}
