//! `HeadscaleUser`: a user in Headscale.
//!
//! Names are unique in Headscale, so a user that was made and not written down is found by its
//! name. What tells it from others is its number with the time at which it was made.
//!
//! | what happens | what becomes of it |
//! | --- | --- |
//! | Headscale has a user of that name | it is adopted: from then on it goes with the object |
//! | the user is deleted in Headscale | it is made anew |
//! | the user is renamed in Headscale | it is told; when the object goes, that user stays |
//! | two objects for one user | the older stands for it; when that goes, the other inherits the user |
//! | the spec cannot be read | nothing; where the object is deleted and `username` cannot be read, the user stays there, an Event tells |
//! | the object is deleted | so is the user, once it has no nodes |
//! | the same, and Headscale does not answer for `--deletion-patience` | the user stays there, an Event tells |
//! | the same, and Headscale's object is gone or being deleted | the user stays there |
//! | the same, with the annotation [`FORCE_DELETE_ANNOTATION`](crate::names::FORCE_DELETE_ANNOTATION) | the user stays there, an Event tells |
//!
//! Reasons of `Ready`: `UserReady`; `UserCreationFailed`, `UserVerificationFailed`, `UserRenamed`,
//! `UserClaimed`, `UserHasNodes`, `UserDeletionFailed`, `InvalidSpec`, `HeadscaleNotFound`,
//! `HeadscaleRefChanged`. While Headscale does not answer, a user that was ready stays so.

mod decide;

use std::sync::Arc;
use std::time::Duration;

use headscale_api::kinds::{HeadscaleUser, HeadscaleUserStatus, names};
use headscale_client::{HeadscaleApi as _, User};
use jiff::Timestamp;
use kube::ResourceExt as _;

pub use decide::{Decision, Done, Identity, InstanceView, Observed, Users, decide};

use crate::conditions::{self, Verdict};
use crate::context::Context;
use crate::instance::{AskError, Snapshot};
use crate::kubernetes::KubernetesError;
use crate::objects::{self, Managed as _};
use crate::stored;

/// How old an answer of Headscale may be that is only to show what is expected.
pub(crate) const RECENT: Duration = Duration::from_secs(10);
/// So many things are done at a time, at most.
const STEPS: u32 = 12;

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// After this.
    After(Duration),
    /// When it is looked at all objects.
    Sometime,
    /// After a pause that gets longer each time.
    Failed,
    /// Never: the object is gone, or not ours.
    Never,
}

/// What is known beside the object.
#[derive(Debug, Default)]
struct Known {
    users: Option<Result<Snapshot<Vec<User>>, AskError>>,
    fresh: bool,
    done: Outcome,
}

#[derive(Debug, Default)]
enum Outcome {
    #[default]
    Nothing,
    Created(User),
    Deleted,
    Failed(AskError),
}

/// Looks at a user, and does what is to be done.
///
/// # Errors
///
/// When the API server cannot be read or written; nothing is lost by it.
pub(crate) async fn reconcile(
    context: &Context,
    seen: &HeadscaleUser,
) -> Result<Next, KubernetesError> {
    let Some(mut user) = objects::latest(context, seen).await? else {
        return Ok(Next::Never);
    };
    let namespace = user.namespace().unwrap_or_default();
    let mut known = Known::default();
    for _ in 0..STEPS {
        let headscale_ref = match objects::deleted_at(&user) {
            Some(_) => objects::made_in(&user).unwrap_or(&user.spec.headscale_ref),
            None => &user.spec.headscale_ref,
        };
        let headscale = context.headscale(&namespace, headscale_ref);
        if objects::is_paused(&user)
            || headscale.as_ref().is_some_and(|headscale| objects::is_paused(&**headscale))
        {
            return Ok(Next::Sometime);
        }
        let (elder, heir) = namesakes(context, &user, headscale_ref);
        let observed = Observed {
            user: &user,
            instance: instance_view(headscale.as_deref()),
            elder: elder.as_deref(),
            heir: heir.as_deref(),
            users: match &known.users {
                None => Users::NotAsked,
                Some(Err(error)) => Users::Failed(error),
                Some(Ok(users)) => Users::Known { users: &users.value, fresh: known.fresh },
            },
            done: match &known.done {
                Outcome::Nothing => Done::Nothing,
                Outcome::Created(user) => Done::Created(user),
                Outcome::Deleted => Done::Deleted,
                Outcome::Failed(error) => Done::Failed(error),
            },
            patience: context.settings.deletion_patience,
            now: Timestamp::now(),
        };
        let decision = decide(&observed);
        tracing::debug!(namespace, name = user.name_any(), ?decision, "decided");
        match (decision, headscale) {
            (Decision::Nothing, _) => return Ok(Next::Never),
            (Decision::Hold, _) => user = objects::hold(context, user, None).await?,
            (Decision::LetGo(note), _) => {
                if let Some((reason, note)) = note {
                    objects::tell(context, &user, false, reason, &note).await;
                }
                objects::let_go(context, &user).await?;
                release(context, &user);
                return Ok(Next::Never);
            }
            (Decision::Say { ready, user: identity, again, is_failure }, _) => {
                say(context, user, ready, identity).await?;
                return Ok(match again {
                    Some(again) => Next::After(again),
                    None if is_failure => Next::Failed,
                    None => Next::Sometime,
                });
            }
            (Decision::Ask { fresh }, Some(headscale)) => {
                let now = context.clock.now();
                let since = if fresh { now } else { now.saturating_sub(RECENT) };
                known.users = Some(ask_users(context, &headscale, since).await);
                known.fresh = fresh;
            }
            (Decision::Create(new), Some(headscale)) => {
                // What is seen may be old, and a user that is made for an object that is gone would
                // be nobody's.
                let Some(there) = objects::read_again(context, &user).await? else {
                    return Ok(Next::Failed);
                };
                if objects::deleted_at(&there).is_some()
                    || stored::unreadable(&there).is_some()
                    || there.spec != user.spec
                {
                    user = there;
                    continue;
                }
                let made = match context.instances.get(&headscale).await {
                    Ok(instance) => {
                        let call = async |http: &headscale_client::HttpClient| {
                            http.create_user(&new).await
                        };
                        instance.ask("create_user", call).await
                    }
                    Err(error) => Err(error),
                };
                known.done = made.map_or_else(Outcome::Failed, Outcome::Created);
                // Whoever was faster is not in the list.
                known.users = None;
                if matches!(known.done, Outcome::Failed(_)) {
                    known.users = Some(ask_users(context, &headscale, context.clock.now()).await);
                    known.fresh = true;
                }
            }
            (Decision::Delete(id), Some(headscale)) => {
                let gone = match context.instances.get(&headscale).await {
                    Ok(instance) => {
                        let call =
                            async |http: &headscale_client::HttpClient| http.delete_user(id).await;
                        instance.ask("delete_user", call).await
                    }
                    Err(error) => Err(error),
                };
                known.done = gone.map_or_else(Outcome::Failed, |()| Outcome::Deleted);
                // Headscale 0.28 deletes the pre-auth keys of all users with one.
                for key in context.keys_of(&namespace, &headscale.name_any()) {
                    context.triggers.key(&key);
                }
            }
            (Decision::Ask { .. } | Decision::Create(_) | Decision::Delete(_), None) => {
                return Ok(Next::Failed);
            }
        }
    }
    Ok(Next::Failed)
}

pub(crate) fn instance_view(headscale: Option<&headscale_api::kinds::Headscale>) -> InstanceView {
    match headscale {
        None => InstanceView::Missing,
        Some(headscale) if headscale.metadata.deletion_timestamp.is_some() => InstanceView::Ending,
        Some(_) => InstanceView::There,
    }
}

/// The users of a Headscale, asked for at `since` or later; asked again with what its Secret holds
/// now where it does not take the API key.
pub(crate) async fn ask_users(
    context: &Context,
    headscale: &headscale_api::kinds::Headscale,
    since: Duration,
) -> Result<Snapshot<Vec<User>>, AskError> {
    let instance = context.instances.get(headscale).await?;
    match instance.users(since).await {
        Err(error) if error.kind() == Some(headscale_client::ErrorKind::Unauthorized) => {
            let again = context.instances.get(headscale).await?;
            if Arc::ptr_eq(&again, &instance) {
                return Err(error);
            }
            again.users(since).await
        }
        users => users,
    }
}

/// Other objects for the same user of this Headscale that are not being deleted: one that comes
/// first, and any. One whose user's name cannot be read stands for the user that its status names.
fn namesakes(
    context: &Context,
    user: &HeadscaleUser,
    headscale_ref: &str,
) -> (Option<String>, Option<String>) {
    let rank = |user: &HeadscaleUser| {
        (user.metadata.creation_timestamp.as_ref().map(|time| time.0), user.uid())
    };
    let id = |user: &HeadscaleUser| user.status.as_ref().and_then(|it| it.user_id.clone());
    let namespace = user.namespace().unwrap_or_default();
    let others: Vec<_> = context
        .users_of(&namespace, headscale_ref)
        .into_iter()
        .filter(|it| {
            let is_same = match stored::is_unreadable(&**it, "username") {
                true => id(it).is_some() && id(it) == id(user),
                false => it.spec.username == user.spec.username,
            };
            is_same && it.uid() != user.uid() && it.metadata.deletion_timestamp.is_none()
        })
        .collect();
    let elder = others.iter().filter(|it| rank(it) < rank(user)).map(|it| it.name_any()).min();
    (elder, others.iter().map(|it| it.name_any()).min())
}

/// Has those looked at who waited for this one to go.
fn release(context: &Context, gone: &HeadscaleUser) {
    let namespace = gone.namespace().unwrap_or_default();
    for user in context.users_of(&namespace, &gone.spec.headscale_ref) {
        if user.spec.username == gone.spec.username && user.uid() != gone.uid() {
            context.triggers.user(&user);
        }
    }
}

async fn say(
    context: &Context,
    user: HeadscaleUser,
    ready: Option<Verdict>,
    identity: Option<Identity>,
) -> Result<(), KubernetesError> {
    let Some(ready) = ready else { return Ok(()) };
    let old = user.status.clone().unwrap_or_default();
    let mut new =
        HeadscaleUserStatus { observed_generation: user.metadata.generation, ..old.clone() };
    if let Some(identity) = identity {
        new.user_id = Some(identity.id.to_string());
        // What the Go operator wrote without fractions of a second stays.
        if Identity::from_status(&user).as_ref().is_none_or(|said| said.id != identity.id)
            || new.created_at.is_none()
            || !is_same_time(new.created_at.as_deref(), identity.created_at)
        {
            new.created_at = identity.created_at.map(|time| time.to_string());
        }
    }
    let now = Timestamp::now();
    conditions::set(&mut new.conditions, names::READY, Some(&ready), user.metadata.generation, now);
    let before = user.clone();
    let written = objects::write_status(context, user, &old, &new).await?;
    objects::tell_ready(context, &before, written.conditions()).await;
    Ok(())
}

fn is_same_time(said: Option<&str>, is: Option<Timestamp>) -> bool {
    match (said.and_then(|said| said.parse().ok()), is) {
        (Some(said), Some(is)) => decide::is_same_time(said, is),
        (said, is) => said.is_none() && is.is_none(),
    }
}
