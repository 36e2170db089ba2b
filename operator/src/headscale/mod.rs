//! `Headscale`: an instance.
//!
//! What it is made of is [`desired_state`](headscale_api::desired::desired_state)'s to say. It is
//! applied where something differs, and what others changed is undone; objects that it does not
//! control are never touched.
//!
//! | what happens | what becomes of it |
//! | --- | --- |
//! | the spec changes | its objects are applied; the pod is replaced once, where its template changes |
//! | a Secret that the pod reads changes | the pod is replaced |
//! | the configuration has errors, a Secret is missing, the spec cannot be read | nothing is applied, and what runs stays |
//! | `spec.version` is of a later minor version | each minor version in between is run until it is ready, with a copy of the SQLite database before |
//! | `spec.version` is of an earlier one | what runs stays: Headscale refuses to go back |
//! | a child is changed or deleted by hand | it is made anew |
//! | an object of another has the name of one of ours | nothing is applied |
//! | the instance is the Go operator's | its objects become ours, in one roll of the pod |
//! | the object is deleted | its objects go with it; volume and Secret of the API key stay |
//!
//! No finalizer is set: nothing has to be done before the object goes, since its children have it
//! for an owner. That of the Go operator is removed when the object is deleted.
//!
//! Reasons of `Ready`: `Reconciled`; `PodNotReady`, `ImagePullFailed`, `CrashLoop`,
//! `ContainerFailed`, `BackupFailed`, `Unschedulable`, `PodFailed`, `VolumeLost`; `Upgrading`,
//! `ScaledToZero`, `APIKeyNotReady`; `InvalidSpec`, `InvalidName`, `ConfigInvalid`,
//! `SecretNotFound`, `SecretNameTaken`, `NameTaken`, `ObjectRefused`, `NamespaceTerminating`;
//! `PolicyInvalid`, `PolicyModeHeld`, `VersionUnsupported`, `DowngradeRefused`, `UpgradeRefused`,
//! `BackupNotConfirmed`.

mod api_key;
mod apply;
pub(crate) mod children;
pub mod decide;
pub mod requirements;
pub mod rollout;
pub(crate) mod secrets;
pub mod status;
pub mod subset;
pub mod takeover;
pub mod upgrade;
mod volume;

use std::sync::Arc;
use std::time::Duration;

use headscale_api::desired::{Inputs, Names, referenced_secrets};
use headscale_api::kinds::{Headscale, HeadscaleStatus, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Preconditions};
use kube::runtime::reflector::ObjectRef;

use crate::conditions::{self, Holds};
use crate::context::Context;
use crate::kubernetes::{KubernetesError, within};
use crate::objects::{self, Managed as _};
use crate::policy;
use crate::stored;
use crate::user::Next;
use apply::{Apply, Outcome};
use children::{Child, version};
use decide::{Block, Decision, Observed, api_key_secret, decide};
use requirements::Keys;
use rollout::{Rollout, Trouble, is_in_the_way, trouble};
use status::{Facts, status};

/// How soon it is looked again where something that nobody tells of is in the way.
const SOON: Duration = Duration::from_secs(30);

/// What is remembered of an instance.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    children: apply::Remembered,
    /// The policy by its ConfigMap, by the version of that.
    policy: Option<(u64, policy::Configured)>,
    pub(crate) key: Option<api_key::Asked>,
    volume: Option<volume::Looked>,
}

/// Looks at an instance, and does what is to be done.
///
/// # Errors
///
/// When the API server cannot be read or written; nothing is lost by it.
pub(crate) async fn reconcile(
    context: &Context,
    seen: &Headscale,
) -> Result<Next, KubernetesError> {
    let Some(headscale) = objects::latest(context, seen).await? else {
        return Ok(Next::Never);
    };
    if objects::deleted_at(&headscale).is_some() {
        return end(context, &headscale).await;
    }
    if objects::is_paused(&headscale) {
        return Ok(Next::Sometime);
    }
    let (namespace, uid) =
        (headscale.namespace().unwrap_or_default(), headscale.uid().unwrap_or_default());
    let children = children::of(&context.stores, &namespace, &uid);
    let names = names_of(&headscale, &children);
    let set = stateful_set(context, &namespace, &uid, &children).await?;
    let (keys, inputs) = known_secrets(context, &headscale, &namespace).await?;
    let configured = configured_policy(context, &namespace, &uid, &children).await?;
    let told = policy::of_instance(context, &headscale, &configured).await?;
    let secret = api_key_secret(&headscale, names.as_ref());
    let rollout = Rollout::of(set.as_ref());
    let (_, is_ailing) = api_key::look(context, &headscale, &secret, rollout).await;
    let rival = rival(context, &headscale, &secret);
    let unreadable = stored::unreadable(&headscale);
    let policy_error = told.valid.as_ref().filter(|verdict| verdict.holds == Holds::False);
    let made = told.held.as_ref().map(|held| held.apply(&headscale));
    let mut decision = decide(&Observed {
        headscale: made.as_ref().unwrap_or(&headscale),
        unreadable: unreadable.as_deref(),
        names: names.as_ref(),
        set: set.as_ref(),
        secrets: &keys,
        rival: rival.as_deref(),
        policy: told.text.as_deref(),
        policy_error: policy_error.map(|verdict| verdict.message.as_str()),
        policy_unknown: told.unknown.as_deref(),
        is_ailing,
        inputs: &inputs,
    });
    if let Some(held) = told.held.as_ref().filter(|_| decision.blocked.is_none()) {
        decision.blocked = Some(Block::new("PolicyModeHeld", held.message.clone()));
    }
    tracing::debug!(
        namespace,
        name = headscale.name_any(),
        running = decision.running,
        step = decision.step,
        blocked = ?decision.blocked,
        "decided"
    );
    let apply = Apply {
        context,
        headscale: &headscale,
        namespace: &namespace,
        uid: &uid,
        children: &children,
    };
    let (set, refused) = carry_out(&apply, &decision, set).await?;
    let watched = look_at_pod(context, &headscale, set.as_ref()).await?;
    let volume = match &set {
        Some(set) => volume::grow(context, &headscale, set).await?,
        None => None,
    };
    // The pod may have been replaced meanwhile.
    let rollout = Rollout::of(set.as_ref());
    let (api_key, _) = api_key::look(context, &headscale, &secret, rollout).await;
    let facts = Facts {
        headscale: &headscale,
        decision: &decision,
        refused: refused.as_ref(),
        set: set.as_ref(),
        trouble: watched.trouble.as_ref(),
        is_overdue: watched.is_overdue,
        volume: volume.as_ref(),
        policy: told.valid.as_ref(),
        api_key: Some(&api_key),
        now: Timestamp::now(),
    };
    say(context, &headscale, &status(&facts)).await?;
    Ok(match (&refused, &decision.blocked) {
        (Some(block), _) if block.reason == "NameTaken" => Next::After(SOON),
        (Some(_), _) => Next::Failed,
        // Whatever ends it is watched.
        (None, Some(_)) if decision.apply.is_none() => Next::After(SOON),
        _ => Next::After(context.settings.check_interval),
    })
}

/// Lets an object go that is deleted.
async fn end(context: &Context, headscale: &Headscale) -> Result<Next, KubernetesError> {
    if !objects::has_finalizer(headscale) {
        return Ok(Next::Never);
    }
    let (namespace, uid) =
        (headscale.namespace().unwrap_or_default(), headscale.uid().unwrap_or_default());
    let children = children::of(&context.stores, &namespace, &uid);
    let names = names_of(headscale, &children);
    let secret = api_key_secret(headscale, names.as_ref());
    let set = names.unwrap_or_else(|| Names::of(&headscale.name_any())).main;
    let note = format!(
        "PersistentVolumeClaim data-{set}-0 with the database, and Secret {secret} with the API \
         key, stay: delete them by hand where they are not wanted any more"
    );
    objects::tell(context, headscale, true, "DataKept", &note).await;
    objects::let_go(context, headscale).await?;
    Ok(Next::Never)
}

/// The names of the objects that an instance has; `None` where it has none.
fn names_of(headscale: &Headscale, children: &[Child]) -> Option<Names> {
    let has = |kind: &str, name: &str| {
        children.iter().any(|child| child.kind == kind && child.name == name)
    };
    let legacy = Names::legacy();
    let is_legacy = has("StatefulSet", &legacy.main)
        || has("Service", &legacy.main)
        || has("ConfigMap", &legacy.config);
    match children {
        [] => None,
        _ if is_legacy => Some(legacy),
        _ => Some(Names::of(&headscale.name_any())),
    }
}

/// The StatefulSet, not older than what was last written of it.
async fn stateful_set(
    context: &Context,
    namespace: &str,
    uid: &str,
    children: &[Child],
) -> Result<Option<StatefulSet>, KubernetesError> {
    let child = children.iter().find(|child| child.kind == "StatefulSet");
    let written = context.memory(uid, |memory| {
        let mut all = memory.instance.children.iter();
        all.find(|((kind, _), _)| *kind == "StatefulSet")
            .map(|((_, name), applied)| (name.clone(), applied.version))
    });
    let name = match (child, written) {
        (Some(child), Some((_, written))) if child.version < written => child.name.clone(),
        (None, Some((name, _))) => name,
        (Some(child), _) => {
            let key = ObjectRef::new(&child.name).within(namespace);
            let set = context.stores.stateful_sets.get(&key);
            return Ok(set.map(|set| (*set).clone()));
        }
        (None, None) => return Ok(None),
    };
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), namespace);
    let set = within(|| format!("read StatefulSet {name}"), sets.get_opt(&name)).await?;
    Ok(set.filter(|set| children::is_controlled_by(set, uid)))
}

/// What is known of the Secrets that the spec names, and what the objects are made from besides.
async fn known_secrets(
    context: &Context,
    headscale: &Headscale,
    namespace: &str,
) -> Result<(Keys, Inputs), KubernetesError> {
    let mut keys = Keys::new();
    let mut inputs =
        Inputs { sidecar_image: context.settings.sidecar_image.clone(), ..Inputs::default() };
    for name in referenced_secrets(headscale) {
        let known = context.secrets.get(&context.client, namespace, &name).await?;
        if let Some(known) = &known {
            inputs.secret_hashes.insert(name.clone(), known.version.clone());
        }
        keys.insert(name, known.map(|known| known.keys));
    }
    Ok((keys, inputs))
}

/// Where the policy is by the ConfigMap that there is.
async fn configured_policy(
    context: &Context,
    namespace: &str,
    uid: &str,
    children: &[Child],
) -> Result<policy::Configured, KubernetesError> {
    let child = children.iter().find(|child| child.kind == "ConfigMap");
    let (kept, written) = context.memory(uid, |memory| {
        let written = memory.instance.children.iter().find(|((kind, _), _)| *kind == "ConfigMap");
        let written = written.map(|((_, name), applied)| (name.clone(), applied.version));
        (memory.instance.policy.clone(), written)
    });
    // What was written last may not have been seen yet, or is gone by now.
    let (name, newest) = match (child, written) {
        (Some(child), written) => {
            (child.name.clone(), written.map_or(child.version, |it| it.1.max(child.version)))
        }
        (None, Some((name, _))) => (name, u64::MAX),
        (None, None) => return Ok(policy::Configured::default()),
    };
    if let Some((_, configured)) = kept.filter(|(version, _)| *version >= newest) {
        return Ok(configured);
    }
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
    let what = || format!("read ConfigMap {name}");
    let map = within(what, maps.get_opt(&name)).await?;
    let Some(map) = map else { return Ok(policy::Configured::default()) };
    let configured = policy::Configured::of(&map);
    let read = version(map.metadata.resource_version.as_deref());
    context.memory(uid, |memory| memory.instance.policy = Some((read, configured.clone())));
    Ok(configured)
}

/// An older instance whose API key is kept in the same Secret.
fn rival(context: &Context, headscale: &Headscale, secret: &str) -> Option<String> {
    let is_managed = |it: &Headscale| it.spec.api_key().auto_manage.unwrap_or(true);
    let rank = |it: &Headscale| (it.metadata.creation_timestamp.as_ref().map(|it| it.0), it.uid());
    if !is_managed(headscale) {
        return None;
    }
    let namespace = headscale.namespace().unwrap_or_default();
    let others = context.stores.headscales.state_filter(|it| {
        it.namespace().as_deref() == Some(&*namespace)
            && it.uid() != headscale.uid()
            && it.metadata.deletion_timestamp.is_none()
            && is_managed(it)
            && rank(it) < rank(headscale)
    });
    let is_same = |other: &&Arc<Headscale>| {
        let uid = other.uid().unwrap_or_default();
        let names = names_of(other, &children::of(&context.stores, &namespace, &uid));
        api_key_secret(other, names.as_ref()) == secret
    };
    others.iter().find(is_same).map(|other| other.name_any())
}

/// Does what was decided; gives the StatefulSet afterwards, and why it could not be done.
async fn carry_out(
    apply: &Apply<'_>,
    decision: &Decision,
    set: Option<StatefulSet>,
) -> Result<(Option<StatefulSet>, Option<Block>), KubernetesError> {
    let (context, headscale) = (apply.context, apply.headscale);
    let Some(wanted) = &decision.apply else {
        let runs = set.as_ref().and_then(|set| set.spec.as_ref()?.replicas).unwrap_or(1);
        return match set {
            Some(set)
                if headscale.spec.replicas == 0
                    && !stored::is_unreadable(headscale, "replicas")
                    && runs != 0 =>
            {
                Ok((Some(apply.stop(&set).await?), None))
            }
            set => Ok((set, None)),
        };
    };
    match apply.all(wanted).await? {
        Outcome::Refused(block) => Ok((set, Some(block))),
        Outcome::Done { set: written } => {
            if let (Some(step), Some(_)) = (&decision.step, &written) {
                let from = decision.running.clone().unwrap_or_default();
                let note = format!("stepping from Headscale {from} to {step}");
                objects::tell(context, headscale, true, "UpgradeStep", &note).await;
            }
            Ok((written.map(|set| *set).or(set), None))
        }
    }
}

/// How the pod is.
#[derive(Debug, Default)]
struct Watched {
    trouble: Option<Trouble>,
    is_overdue: bool,
}

/// Looks at the pod where it is not ready, and removes one that a StatefulSet would wait for in
/// vain.
async fn look_at_pod(
    context: &Context,
    headscale: &Headscale,
    set: Option<&StatefulSet>,
) -> Result<Watched, KubernetesError> {
    let Some(set) = set.filter(|set| Rollout::of(Some(set)) == Rollout::Rolling) else {
        return Ok(Watched::default());
    };
    let namespace = headscale.namespace().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
    let name = format!("{}-0", set.name_any());
    let pod = within(|| format!("read Pod {name}"), pods.get_opt(&name)).await?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &namespace);
    let claim = volume::claim_name(set);
    let what = || format!("read PersistentVolumeClaim {claim}");
    let claim = within(what, claims.get_opt(&claim)).await?;
    if let Some(stuck) = pod.as_ref().filter(|pod| is_in_the_way(set, pod)) {
        let params = DeleteParams::default().preconditions(Preconditions {
            uid: stuck.uid(),
            resource_version: stuck.resource_version(),
        });
        let gone = within(|| format!("delete Pod {name}"), pods.delete(&name, &params)).await;
        match gone {
            Ok(_) => {
                context.metrics.wrote("Pod", "delete");
                tracing::info!(namespace, name, "a pod of a former template would never be ready");
            }
            Err(error) if matches!(error.code(), Some(404 | 409)) => {}
            Err(error) => return Err(error),
        }
        return Ok(Watched::default());
    }
    let is_overdue = waited(headscale, pod.as_ref()) >= context.settings.progress_deadline;
    Ok(Watched { trouble: trouble(pod.as_ref(), claim.as_ref()), is_overdue })
}

/// For how long the pod has not been ready.
fn waited(headscale: &Headscale, pod: Option<&Pod>) -> Duration {
    let now = Timestamp::now();
    let since = |type_, status: &str| {
        let found = conditions::find(headscale.conditions(), type_)?;
        (found.status == status).then_some(found.last_transition_time.0)
    };
    let made = pod.and_then(|pod| pod.metadata.creation_timestamp.as_ref()).map(|time| time.0);
    // One that was ready a moment ago has been waited for since now.
    let Some(unready) = since(names::READY, "False") else { return Duration::ZERO };
    let all = [Some(unready), made, since(names::PROGRESSING, "True")];
    let last = all.into_iter().flatten().max().unwrap_or(now);
    let waited = now.duration_since(last).max(SignedDuration::ZERO);
    waited.try_into().unwrap_or_default()
}

/// Writes the status where it differs, and tells of it.
async fn say(
    context: &Context,
    headscale: &Headscale,
    new: &HeadscaleStatus,
) -> Result<(), KubernetesError> {
    let old = headscale.status.clone().unwrap_or_default();
    objects::write_status(context, headscale.clone(), &old, new).await?;
    objects::tell_ready(context, headscale, &new.conditions).await;
    Ok(())
}
