//! `HeadscalePreAuthKey`: a key in a Secret, by the protocol of
//! [`headscale_keys::pre_auth_key`].
//!
//! The Secret is made with the intent before the key is, and belongs to the object: it is its
//! controller. A Secret of somebody else is never written and never deleted.
//!
//! | what happens | what becomes of it |
//! | --- | --- |
//! | user, tags, `reusable`, `ephemeral` or `expiration` change | a new key; the old one is expired once the new one is in the Secret |
//! | `secretName` changes | the key moves, and the old Secret is deleted |
//! | the Secret or its text is lost | a new key; the old one is expired |
//! | the key is deleted in Headscale | a new key |
//! | the key expires, or is used and not `reusable` | it is told, and replaced with `rotate` |
//! | a third of its life is left | it is replaced with `rotate`; the old one works until it expires |
//! | the object is deleted | its keys are expired, those that no node can have joined with are deleted |
//!
//! Reasons of `Ready`: `PreAuthKeyReady`; `PreAuthKeyUsed`, `PreAuthKeyExpired`,
//! `PreAuthKeyPending`, `PreAuthKeyCreationFailed`, `PreAuthKeyDeletionFailed`, `SecretConflict`,
//! `InvalidSpec`, `HeadscaleNotFound`, `HeadscaleRefChanged`, `UserNotFound`, `UserNotReady`,
//! `InvalidUserID`. `TagsOwned` says whether the policy has owners for the tags.

pub mod decide;
mod store;
mod turn;

use std::time::Duration;

use headscale_api::kinds::{
    Headscale, HeadscalePreAuthKey, HeadscalePreAuthKeyStatus, HeadscaleUser, names,
};
use headscale_client::User;
use headscale_keys::pre_auth_key::{Need, State};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource as _, ResourceExt as _};

use self::decide::{Owner, Shape};
use self::store::Store;
use self::turn::{Failure, Idle, Turn, Turns};
use crate::conditions::{self, Verdict};
use crate::context::Context;
use crate::instance::AskError;
use crate::kubernetes::KubernetesError;
use crate::names::FORCE_DELETE_ANNOTATION;
use crate::objects::{self, Managed as _};
use crate::stored;
use crate::user::{InstanceView, Next, RECENT, ask_users, instance_view};

/// Reasons of `Ready` that say how a key ended.
pub(crate) const USED: &str = "PreAuthKeyUsed";
/// See [`USED`].
pub(crate) const EXPIRED: &str = "PreAuthKeyExpired";
/// Condition type: the policy says who owns the tags of the key.
const TAGS_OWNED: &str = "TagsOwned";
/// How soon it is looked again where something that nobody tells of is in the way.
const SOON: Duration = Duration::from_secs(30);
/// How old the tag owners may be that are looked at.
const POLICY_AGE: Duration = Duration::from_secs(60);
/// So many steps are taken at a time, at most: those of a whole life.
const STEPS: u32 = 24;

/// Looks at a key, and does what is to be done.
///
/// # Errors
///
/// When the API server cannot be read or written; nothing is lost by it.
pub(crate) async fn reconcile(
    context: &Context,
    seen: &HeadscalePreAuthKey,
) -> Result<Next, KubernetesError> {
    let Some(key) = objects::latest(context, seen).await? else {
        return Ok(Next::Never);
    };
    let namespace = key.namespace().unwrap_or_default();
    let deleted_at = objects::deleted_at(&key);
    let headscale_ref = match deleted_at {
        Some(_) => objects::made_in(&key).unwrap_or(&key.spec.headscale_ref),
        None => &key.spec.headscale_ref,
    };
    let headscale = context.headscale(&namespace, headscale_ref);
    if objects::is_paused(&key)
        || headscale.as_ref().is_some_and(|headscale| objects::is_paused(&**headscale))
    {
        return Ok(Next::Sometime);
    }
    match deleted_at {
        Some(at) => die(context, key, headscale.as_deref(), at).await,
        None => live(context, key, headscale.as_deref()).await,
    }
}

async fn live(
    context: &Context,
    key: HeadscalePreAuthKey,
    headscale: Option<&Headscale>,
) -> Result<Next, KubernetesError> {
    let wrong = unfit(&key, headscale);
    if let Some(verdict) = wrong {
        say(context, key, Some(verdict), None).await?;
        return Ok(Next::After(SOON * 4));
    }
    let Some(headscale) = headscale else { return Ok(Next::Sometime) };
    let namespace = key.namespace().unwrap_or_default();
    let user = decide::user_ref(&key.spec)
        .and_then(|name| context.stores.users.get(&ObjectRef::new(name).within(&namespace)));
    let owners = owners(&key, user.as_deref());
    let key = objects::hold(context, key, Some(owners)).await?;

    let shape = match find_shape(context, &key, headscale, owner(&key, user.as_deref())).await {
        Ok(Ok(shape)) => shape,
        Ok(Err(verdict)) => {
            say(context, key, Some(verdict), None).await?;
            return Ok(Next::After(SOON));
        }
        Err(error) => return failed(context, key, &Failure::Headscale(error)).await,
    };
    let Some(turns) = Turns::new(context, &key, headscale) else { return Ok(Next::Never) };
    for _ in 0..STEPS {
        match turns.live(&shape).await {
            Ok(Turn::Idle(idle)) => {
                drop(turns);
                return rest(context, key, headscale, &shape, idle).await;
            }
            Ok(turn) => did(context, &key, &turn).await,
            Err(failure) => {
                drop(turns);
                return failed(context, key, &failure).await;
            }
        }
    }
    Ok(Next::Failed)
}

/// Whose key it is, `user` being the HeadscaleUser that it names.
fn owner<'u>(key: &HeadscalePreAuthKey, user: Option<&'u HeadscaleUser>) -> Owner<'u> {
    match (decide::user_ref(&key.spec), decide::user_id(&key.spec)) {
        (Some(_), _) => Owner::Reference(user),
        (None, Some(id)) => Owner::Number(id),
        (None, None) => Owner::Nobody,
    }
}

/// What keys like this one are to be; what `Ready` says where there can be none yet, or at all.
///
/// # Errors
///
/// See [`AskError`].
pub(crate) async fn shape_of(
    context: &Context,
    key: &HeadscalePreAuthKey,
    headscale: &Headscale,
) -> Result<Result<Shape, Verdict>, AskError> {
    let namespace = key.namespace().unwrap_or_default();
    let user = decide::user_ref(&key.spec)
        .and_then(|name| context.stores.users.get(&ObjectRef::new(name).within(&namespace)));
    find_shape(context, key, headscale, owner(key, user.as_deref())).await
}

/// What is wrong with the object, before anybody is asked.
fn unfit(key: &HeadscalePreAuthKey, headscale: Option<&Headscale>) -> Option<Verdict> {
    if let Some(verdict) = stored::verdict(key) {
        return Some(verdict);
    }
    let named = &key.spec.headscale_ref;
    if objects::has_moved(key) {
        let made_in = objects::made_in(key).unwrap_or_default();
        let message = format!(
            "spec.headscaleRef is {named}, and the key was made in Headscale {made_in}: set it \
             back, or delete this object and make another"
        );
        return Some(Verdict::bad("HeadscaleRefChanged", message));
    }
    let message = match instance_view(headscale) {
        InstanceView::There => {
            return decide::check(&key.name_any(), &key.spec).err();
        }
        InstanceView::Missing => format!(
            "Referenced Headscale instance {named} not found: make it in namespace {}, or correct \
             spec.headscaleRef",
            key.namespace().unwrap_or_default()
        ),
        InstanceView::Ending => format!("Headscale {named} is being deleted"),
    };
    Some(Verdict::bad("HeadscaleNotFound", message))
}

/// The owners that the object has, with the HeadscaleUser whose key it is: it goes with that one.
fn owners(key: &HeadscalePreAuthKey, user: Option<&HeadscaleUser>) -> Vec<OwnerReference> {
    let is_user = |owner: &OwnerReference| {
        owner.kind == HeadscaleUser::KIND && owner.controller != Some(true)
    };
    let user = user.filter(|user| user.spec.headscale_ref == key.spec.headscale_ref);
    // The Go operator's, which has one more field, is as good.
    let has = key.owner_references().iter().filter(|owner| is_user(owner)).map(|it| &it.uid);
    if user.and_then(|user| user.uid()).iter().eq(has) {
        return key.owner_references().to_vec();
    }
    let others = key.owner_references().iter().filter(|owner| !is_user(owner)).cloned();
    others.chain(user.and_then(|user| user.owner_ref(&()))).collect()
}

/// What the key is to be. Only what is missing in an old answer is asked for again.
async fn find_shape(
    context: &Context,
    key: &HeadscalePreAuthKey,
    headscale: &Headscale,
    owner: Owner<'_>,
) -> Result<Result<Shape, Verdict>, AskError> {
    let name = key.name_any();
    let shape = |users: &[User]| decide::shape(&name, &key.spec, owner, users);
    if matches!(owner, Owner::Nobody) {
        return Ok(shape(&[]));
    }
    let now = context.clock.now();
    let users = ask_users(context, headscale, now.saturating_sub(RECENT)).await?;
    if let Ok(shape) = shape(&users.value) {
        return Ok(Ok(shape));
    }
    Ok(shape(&ask_users(context, headscale, now).await?.value))
}

async fn did(context: &Context, key: &HeadscalePreAuthKey, turn: &Turn) {
    match turn {
        Turn::Published { id, expiration, need } => {
            let reason =
                if *need == Need::First { "PreAuthKeyCreated" } else { "PreAuthKeyReplaced" };
            let note = format!("key {id} works until {expiration} ({})", need.as_str());
            objects::tell(context, key, true, reason, &note).await;
        }
        Turn::Ended { id, waste } => {
            let (namespace, name) = (key.namespace().unwrap_or_default(), key.name_any());
            tracing::info!(namespace, name, id, why = ?waste, "a pre-auth key has ended");
        }
        Turn::Wrote | Turn::Idle(_) => {}
    }
}

/// Writes how things stand, and when to look again.
async fn rest(
    context: &Context,
    key: HeadscalePreAuthKey,
    headscale: &Headscale,
    shape: &Shape,
    idle: Idle,
) -> Result<Next, KubernetesError> {
    let verdict = verdict(&key, &idle);
    let tags = if shape.tags.is_empty() {
        Some(None)
    } else {
        tags_owned(context, headscale, shape).await.map(Some)
    };
    let pause = idle.pause;
    let known = Known { idle, tags };
    say(context, key, Some(verdict), Some(known)).await?;
    Ok(match pause {
        Some(pause) => Next::After(pause.max(Duration::from_millis(100))),
        None => Next::Sometime,
    })
}

fn verdict(key: &HeadscalePreAuthKey, idle: &Idle) -> Verdict {
    let name = key.name_any();
    let secret = decide::secret_name(&name, &key.spec);
    match idle.state {
        State::Works => {
            Verdict::good("PreAuthKeyReady", format!("PreAuthKey is ready in Secret {secret}"))
        }
        State::Ended(Need::Used) => Verdict::bad(
            USED,
            format!(
                "A node has used the key in Secret {secret}, and it lets in no other: set \
                 spec.rotate or spec.reusable, or delete the Secret for a new one"
            ),
        ),
        State::Ended(_) => Verdict::bad(
            EXPIRED,
            format!(
                "The key in Secret {secret} has expired: set spec.rotate, or delete the Secret \
                 for a new one"
            ),
        ),
        State::Gated(need) | State::BackingOff(need) if idle.works => Verdict::good(
            "PreAuthKeyReady",
            format!(
                "PreAuthKey is ready in Secret {secret}, and is about to be replaced ({})",
                need.as_str()
            ),
        ),
        State::Gated(need) => Verdict::bad(
            "PreAuthKeyPending",
            format!(
                "A new key is needed ({}), and waits until a former one can no longer come: for \
                 a minute at most",
                need.as_str()
            ),
        ),
        State::BackingOff(need) => Verdict::bad(
            "PreAuthKeyPending",
            format!("A new key is needed ({}), and waits a while after the last", need.as_str()),
        ),
        State::Released => Verdict::bad("PreAuthKeyPending", "There is no key"),
    }
}

/// Whether the policy says who owns the tags; `None` where that could not be asked.
async fn tags_owned(context: &Context, headscale: &Headscale, shape: &Shape) -> Option<Verdict> {
    let since = context.clock.now().saturating_sub(POLICY_AGE);
    let instance = context.instances.get(headscale).await.ok()?;
    let owned = match instance.tag_owners(since).await {
        Ok(owned) => owned,
        Err(error) if error.is_away() => return None,
        Err(error) => {
            let message = format!("The policy cannot be read: {}", error.with_hint());
            return Some(Verdict::unknown("PolicyUnknown", message));
        }
    };
    let Some(owned) = &*owned.value else {
        return Some(Verdict::good("NoPolicy", "Headscale has no policy, so tags need no owners"));
    };
    let missing: Vec<&str> =
        shape.tags.iter().filter(|tag| !owned.contains(*tag)).map(String::as_str).collect();
    Some(if missing.is_empty() {
        Verdict::good("TagsOwned", "The policy says who owns the tags")
    } else {
        Verdict::bad(
            "TagsNotOwned",
            format!(
                "tagOwners of the policy does not have {}: nodes join with the key, and no rule \
                 of the policy can be about them; add it there",
                missing.join(", ")
            ),
        )
    })
}

/// Writes what failed.
async fn failed(
    context: &Context,
    key: HeadscalePreAuthKey,
    failure: &Failure,
) -> Result<Next, KubernetesError> {
    let (reason, message) = match failure {
        Failure::Kubernetes(error) if error.is_conflict() => {
            tracing::debug!(name = key.name_any(), "{error}");
            return Ok(Next::Failed);
        }
        // It is looked at again when that is seen.
        Failure::Gone => return Ok(Next::Failed),
        Failure::Foreign { name, why } => (
            "SecretConflict",
            format!(
                "Secret {name} is left as it is, because {why}: choose another spec.secretName, \
                 or delete the Secret if nothing uses it"
            ),
        ),
        Failure::Headscale(error) if error.is_away() => {
            let was_ready = conditions::holds(key.conditions(), names::READY)
                && key.observed_generation() == key.metadata.generation;
            if was_ready {
                // The Headscale's own status says that it is away.
                return Ok(Next::Failed);
            }
            ("PreAuthKeyCreationFailed", error.with_hint())
        }
        Failure::Headscale(error) | Failure::Refused(error) => {
            ("PreAuthKeyCreationFailed", error.with_hint())
        }
        failure => ("PreAuthKeyCreationFailed", failure.to_string()),
    };
    tracing::debug!(name = key.name_any(), "{failure}");
    say(context, key, Some(Verdict::bad(reason, message)), None).await?;
    Ok(Next::Failed)
}

/// What a rest found out.
struct Known {
    idle: Idle,
    /// What is said of the tags; `None` leaves what was said.
    tags: Option<Option<Verdict>>,
}

async fn say(
    context: &Context,
    key: HeadscalePreAuthKey,
    ready: Option<Verdict>,
    known: Option<Known>,
) -> Result<(), KubernetesError> {
    let (now, generation) = (Timestamp::now(), key.metadata.generation);
    let old = key.status.clone().unwrap_or_default();
    let mut new = HeadscalePreAuthKeyStatus { observed_generation: generation, ..old.clone() };
    conditions::set(&mut new.conditions, names::READY, ready.as_ref(), generation, now);
    if let Some(Known { idle, tags }) = known {
        if let Some(current) = &idle.current {
            new.key_id = Some(current.key.id.to_string());
            new.expiration = Some(current.token.to_string());
            let is_other = new.key_id != old.key_id;
            new.used = idle.used.or(old.used.filter(|_| !is_other));
        }
        if let Some(tags) = tags {
            conditions::set(&mut new.conditions, TAGS_OWNED, tags.as_ref(), generation, now);
        }
    }
    let before = key.clone();
    let written = objects::write_status(context, key, &old, &new).await?;
    objects::tell_ready(context, &before, written.conditions()).await;
    Ok(())
}

/// Ends all keys of an object that is being deleted, and lets it go.
async fn die(
    context: &Context,
    key: HeadscalePreAuthKey,
    headscale: Option<&Headscale>,
    at: Timestamp,
) -> Result<Next, KubernetesError> {
    if !objects::has_finalizer(&key) {
        return Ok(Next::Never);
    }
    if objects::is_forced(&key) {
        let note = format!(
            "annotation {FORCE_DELETE_ANNOTATION}: the key may go on working until it expires"
        );
        return leave(context, &key, Some(note)).await;
    }
    let Some(headscale) = headscale.filter(|it| instance_view(Some(it)) == InstanceView::There)
    else {
        // Its keys go with it, or outlive it with its volume.
        return leave(context, &key, None).await;
    };
    let Some(turns) = Turns::new(context, &key, headscale) else { return Ok(Next::Never) };
    for _ in 0..STEPS {
        let failure = match turns.die().await {
            Ok(Turn::Idle(Idle { state: State::Released, .. })) => {
                drop(turns);
                return leave(context, &key, None).await;
            }
            Ok(Turn::Idle(idle)) => {
                return Ok(Next::After(idle.pause.unwrap_or(SOON).max(Duration::from_millis(100))));
            }
            Ok(turn) => {
                did(context, &key, &turn).await;
                continue;
            }
            Err(Failure::Kubernetes(error)) => return Err(error),
            Err(failure) => failure,
        };
        let patience = SignedDuration::try_from(context.settings.deletion_patience)
            .unwrap_or(SignedDuration::MAX);
        drop(turns);
        if Timestamp::now().duration_since(at) >= patience {
            let note = format!(
                "the key could not be expired within {patience:#} and may go on working until it \
                 expires: {failure}"
            );
            return leave(context, &key, Some(note)).await;
        }
        let message = format!(
            "Failed to expire the key: {failure}; it is tried for {patience:#}, then left as it is"
        );
        say(context, key, Some(Verdict::bad("PreAuthKeyDeletionFailed", message)), None).await?;
        return Ok(Next::Failed);
    }
    Ok(Next::Failed)
}

/// Removes the Secret and takes the finalizer away.
async fn leave(
    context: &Context,
    key: &HeadscalePreAuthKey,
    note: Option<String>,
) -> Result<Next, KubernetesError> {
    let metrics = context.metrics.clone();
    if let Some(store) = Store::new(context.client.clone(), key, metrics) {
        let name = key.name_any();
        let secret = decide::secret_name(&name, &key.spec).to_owned();
        Turns::abandon(&store, vec![secret]).await?;
    }
    if let Some(note) = note {
        objects::tell(context, key, false, "PreAuthKeyOrphaned", &note).await;
    }
    objects::let_go(context, key).await?;
    Ok(Next::Never)
}
