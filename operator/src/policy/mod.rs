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
//! | two sources say the whole policy | it is told; Headscale keeps what it has |
//! | only approvers or tag owners were declared | they go into the policy that Headscale has |
//! | the policy is deleted | what is left is given to Headscale; without another it keeps what it has, and an Event tells |
//! | an approver is deleted | it goes once Headscale has the document without it |
//! | the same, and that cannot be done for `--deletion-patience` | it goes, an Event tells |
//! | Headscale's object is gone or being deleted, or with the annotation [`FORCE_DELETE_ANNOTATION`](crate::names::FORCE_DELETE_ANNOTATION) | it goes |
//!
//! Reasons of `Ready`: `PolicyApplied`, `PolicyPushing`; `PolicyInvalid`, `PolicyConflict`,
//! `PolicySourceMissing`, `PolicyUnproven`, `PluginFailed`, `PolicyPushFailed`,
//! `PolicyModeUnsupported`, `HeadscaleNotFound`; of approvers also `TagOwnerMissing` and
//! `InvalidSpec`.

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
mod push;
mod say;
mod tell;

use headscale_api::desired::{PolicyPlace, policy_hash};
use headscale_api::kinds::{Headscale, HeadscaleAutoApprover, HeadscalePolicy};
use kube::ResourceExt as _;

pub use change::{Hash, Step, reachability, step};
pub use compose::{Approvals, NOTHING, Parts, compose, is_same_policy, owned_tags, unfit};
pub(crate) use desk::Desk;
pub(crate) use document::reconcile;
pub use judge::{Judged, Subject, judge, judge_live, judged};

use crate::conditions::{Holds, Verdict};
use crate::context::Context;
use crate::kubernetes::KubernetesError;
use crate::objects::{self, Made};
use crate::user::{InstanceView, Next, instance_view};
use declared::{Declared, place, versions};
use say::{Saying, say_approver, say_policy};

/// What is allowed where a policy was declared that Headscale must not have, or not yet, and none
/// runs: nothing.
const DENY_ALL: &str = "{\"acls\": []}\n";

/// What an instance is told of its policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The policy that its ConfigMap should hold where its mode is `file`: that of the sources where
    /// Headscale takes it, else the one that runs. `None`: that of `spec.acl_policy`, as
    /// `desired_state` makes it.
    pub(crate) text: Option<String>,
    /// What the condition `PolicyValid` of the instance says; `None` where there is no policy.
    pub(crate) valid: Option<Verdict>,
    /// Why it is not known whether the policy suits the version that is to come: Headscale alone has
    /// it, and does not answer.
    pub(crate) unknown: Option<String>,
}

/// The policy of an instance whose ConfigMap holds `running` now.
///
/// A new one of a `HeadscalePolicy` comes only once its status says what it changes. Where none runs
/// and the declared one is refused or paused, a new instance starts with a policy that allows
/// nothing.
///
/// # Errors
///
/// When the API server cannot be read.
pub(crate) async fn of_instance(
    context: &Context,
    headscale: &Headscale,
    running: Option<&str>,
) -> Result<Told, KubernetesError> {
    let at = (headscale.namespace().unwrap_or_default(), headscale.name_any());
    let Some(declared) = Declared::read(context, &at).await? else {
        // One that waits is not there yet, and its instance does not start open without it.
        let is_new = file::stateful_set(context, headscale).is_none();
        let is_ours = place(headscale, true).0 == PolicyPlace::File;
        let waits = is_new && is_ours && !context.policies_of(&at.0, &at.1).is_empty();
        let text = running.or_else(|| waits.then_some(DENY_ALL)).map(str::to_owned);
        let valid = context.desk.outcome(&at).flatten();
        return Ok(Told { text, valid, ..Told::default() });
    };
    let base = declared.base(context, &context.desk, headscale).await?;
    let (place, randomize) = place(headscale, !matches!(base, Ok(None)));
    let outcome = context.desk.outcome(&at).flatten();
    let is_database = match place {
        PolicyPlace::OwnFile(_) => return Ok(Told { valid: outcome, ..Told::default() }),
        PolicyPlace::Database => true,
        PolicyPlace::File => false,
    };
    let keep = |valid: Verdict| {
        let has_pod = file::stateful_set(context, headscale).is_some();
        let text = match running {
            Some(running) => Some(running),
            None if !has_pod => Some(DENY_ALL),
            // A file that says nothing would replace the pod.
            None => declared::says_something(headscale).then_some(NOTHING),
        };
        let text = text.filter(|_| !is_database).map(str::to_owned);
        Told { text, valid: Some(valid), ..Told::default() }
    };
    let base = match base {
        Ok(base) => base,
        Err(verdict) => return Ok(keep(verdict)),
    };
    let versions = versions(headscale);
    let is_upgrading = versions.len() > 1;
    let asked;
    let running_now = if is_database {
        let is_asked = declared.needs_running(headscale, base.as_ref()) || is_upgrading;
        asked = match is_asked {
            true => match database::ask_policy(context, headscale).await {
                Ok(policy) => policy,
                // Without a key nobody ever knows.
                Err(error) if is_upgrading && base.is_none() && error.kind().is_some() => {
                    let unknown = Some(fate::said(&error));
                    return Ok(Told { text: None, valid: outcome, unknown });
                }
                Err(_) => None,
            },
            false => None,
        };
        asked.as_deref()
    } else {
        running
    };
    let assembled =
        declared.assemble(headscale, base.as_ref(), running_now, randomize && is_database);
    let document = match (assembled.document, running_now) {
        (Some(document), _) => document,
        // What nobody declared is checked too before another version reads it.
        (None, Some(running)) if is_upgrading => desk::Document {
            text: running.into(),
            base: running.into(),
            name: "policy of Headscale".into(),
        },
        (None, _) => {
            let text = running.filter(|_| !is_database).map(str::to_owned);
            return Ok(Told { text, ..Told::default() });
        }
    };
    let judged = context.desk.judge(&at, &document, &versions, declared.plugins()).await;
    if let Some(verdict) = &judged.refused {
        return Ok(keep(verdict.clone()));
    }
    let outcome = outcome.filter(|outcome| outcome.holds == Holds::False);
    let good = fate::valid(&versions);
    if is_database {
        return Ok(Told { valid: Some(outcome.unwrap_or(good)), ..Told::default() });
    }
    let text = file::final_text(&document.text, randomize);
    if running == Some(&*text) {
        return Ok(Told { text: Some(text), valid: Some(good), ..Told::default() });
    }
    if judged.needs_users || running.is_some() {
        match live::live(context, headscale, &document, &versions, &judged).await {
            Ok(live) => {
                if let Some(verdict) = live.refused {
                    return Ok(keep(verdict));
                }
            }
            Err(error) if judged.needs_users => return Ok(keep(live::unproven(&error))),
            Err(_) => {}
        }
    }
    let hash = policy_hash(&text);
    let is_told = declared.policy.as_ref().is_none_or(|policy| {
        policy.status.as_ref().is_some_and(|status| status.hash.as_deref() == Some(&*hash))
    });
    if running.is_some() && !is_told {
        context.triggers.document(&at.0, &at.1);
        return Ok(Told { text: running.map(str::to_owned), valid: Some(good), ..Told::default() });
    }
    Ok(Told { text: Some(text), valid: Some(good), ..Told::default() })
}

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
