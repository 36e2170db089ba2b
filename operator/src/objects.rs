//! Objects of the kinds: what is the same for all of them.

use std::fmt::Debug;

use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser, names,
};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};

use crate::conditions;
use crate::context::Context;
use crate::kubernetes::{self, KubernetesError, within};
use crate::names::{FIELD_MANAGER, FORCE_DELETE_ANNOTATION, INSTANCE_ANNOTATION};
use crate::stored::{self, Stored};

/// A kind that the operator looks after.
pub(crate) trait Managed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + stored::Kind
    + Clone
    + Debug
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// The kind's name.
    const KIND: &'static str;
    /// Its finalizer.
    const FINALIZER: &'static str;

    /// The conditions of its status.
    fn conditions(&self) -> &[Condition];
    /// The `metadata.generation` that the status is about.
    fn observed_generation(&self) -> Option<i64>;
}

/// A kind whose objects stand for something in a Headscale.
pub(crate) trait Made: Managed {
    /// The name of the Headscale that the spec has.
    fn headscale_ref(&self) -> &str;
    /// Whether something was made in Headscale, as the status says.
    fn is_made(&self) -> bool;
}

impl Managed for HeadscaleUser {
    const KIND: &'static str = "HeadscaleUser";
    const FINALIZER: &'static str = names::USER_FINALIZER;

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref().and_then(|status| status.observed_generation)
    }
}

impl Made for HeadscaleUser {
    fn headscale_ref(&self) -> &str {
        &self.spec.headscale_ref
    }

    fn is_made(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.user_id.is_some())
    }
}

impl Managed for HeadscalePreAuthKey {
    const KIND: &'static str = "HeadscalePreAuthKey";
    const FINALIZER: &'static str = names::PREAUTHKEY_FINALIZER;

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref().and_then(|status| status.observed_generation)
    }
}

impl Made for HeadscalePreAuthKey {
    fn headscale_ref(&self) -> &str {
        &self.spec.headscale_ref
    }

    fn is_made(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.key_id.is_some())
    }
}

impl Managed for Headscale {
    const KIND: &'static str = "Headscale";
    const FINALIZER: &'static str = names::FINALIZER;

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref().and_then(|status| status.observed_generation)
    }
}

impl Managed for HeadscalePolicy {
    const KIND: &'static str = "HeadscalePolicy";
    const FINALIZER: &'static str = names::POLICY_FINALIZER;

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref().and_then(|status| status.observed_generation)
    }
}

impl Managed for HeadscaleAutoApprover {
    const KIND: &'static str = "HeadscaleAutoApprover";
    const FINALIZER: &'static str = names::AUTOAPPROVER_FINALIZER;

    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref().and_then(|status| status.observed_generation)
    }
}

impl Made for HeadscalePolicy {
    fn headscale_ref(&self) -> &str {
        &self.spec.headscale_ref
    }

    /// It may be for another Headscale at any time.
    fn is_made(&self) -> bool {
        false
    }
}

impl Made for HeadscaleAutoApprover {
    fn headscale_ref(&self) -> &str {
        &self.spec.headscale_ref
    }

    /// As of a policy.
    fn is_made(&self) -> bool {
        false
    }
}

/// Whether an annotation is set to `true`.
fn says_true<K: Managed>(object: &K, annotation: &str) -> bool {
    object.annotations().get(annotation).is_some_and(|value| value == "true")
}

/// Whether the object is to be left as it is.
pub(crate) fn is_paused<K: Resource>(object: &K) -> bool {
    object.annotations().get(names::PAUSED_ANNOTATION).is_some_and(|value| value == "true")
}

/// Whether the object is to go without anything being done in Headscale.
pub(crate) fn is_forced<K: Managed>(object: &K) -> bool {
    says_true(object, FORCE_DELETE_ANNOTATION)
}

pub(crate) fn has_finalizer<K: Managed>(object: &K) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == K::FINALIZER)
}

/// The Headscale in which the object was made, where that is written down.
pub(crate) fn made_in<K: Made>(object: &K) -> Option<&str> {
    object.annotations().get(INSTANCE_ANNOTATION).map(String::as_str)
}

/// Whether the spec names another Headscale than the one in which the object was made.
pub(crate) fn has_moved<K: Made>(object: &K) -> bool {
    object.is_made() && made_in(object).is_some_and(|made_in| made_in != object.headscale_ref())
}

fn api<K: Managed>(context: &Context, object: &K) -> Api<Stored<K>> {
    let namespace = object.namespace().unwrap_or_default();
    Api::namespaced(context.client.clone(), &namespace)
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn version<K: Managed>(object: &K) -> Option<u64> {
    object.resource_version().and_then(|version| version.parse().ok())
}

pub(crate) fn note_written<K: Managed>(context: &Context, object: &K, verb: &'static str) {
    context.metrics.wrote(K::KIND, verb);
    let version = version(object);
    context.memory(&object.uid().unwrap_or_default(), |memory| memory.written = version);
}

/// The object, not older than what was last written of it; `None` where it is gone.
pub(crate) async fn latest<K: Managed>(
    context: &Context,
    seen: &K,
) -> Result<Option<K>, KubernetesError> {
    let uid = seen.uid().unwrap_or_default();
    let (is_gone, written) = context.memory(&uid, |memory| (memory.is_gone, memory.written));
    if is_gone {
        return Ok(None);
    }
    if version(seen) >= written {
        return Ok(Some(seen.clone()));
    }
    read_again(context, seen).await
}

/// The object as the API server has it now; `None` where it is gone.
pub(crate) async fn read_again<K: Managed>(
    context: &Context,
    seen: &K,
) -> Result<Option<K>, KubernetesError> {
    let name = seen.name_any();
    let api = api(context, seen);
    let read = within(|| format!("read {} {name}", K::KIND), api.get_opt(&name)).await?;
    Ok(read.map(|Stored(read)| read).filter(|read| read.uid() == seen.uid()))
}

/// Sets finalizer, the annotation of the Headscale, and owners that are not those of the cluster,
/// in one write that fails where anybody else wrote the object. Nothing is written where nothing
/// would change.
pub(crate) async fn hold<K: Made>(
    context: &Context,
    object: K,
    owners: Option<Vec<OwnerReference>>,
) -> Result<K, KubernetesError> {
    let instance = if object.is_made() { made_in(&object) } else { None };
    let instance = instance.unwrap_or(object.headscale_ref()).to_owned();
    let owners = owners.filter(|owners| *owners != object.owner_references());
    if has_finalizer(&object) && made_in(&object) == Some(&*instance) && owners.is_none() {
        return Ok(object);
    }
    let mut finalizers = object.finalizers().to_vec();
    if !has_finalizer(&object) {
        finalizers.push(K::FINALIZER.to_owned());
    }
    let mut metadata = json!({
        "resourceVersion": object.resource_version(),
        "finalizers": finalizers,
        "annotations": { INSTANCE_ANNOTATION: instance },
    });
    if let (Some(owners), Some(metadata)) = (owners, metadata.as_object_mut()) {
        metadata.insert("ownerReferences".to_owned(), json!(owners));
    }
    patch(context, &object, metadata).await
}

/// Takes the finalizer away.
pub(crate) async fn let_go<K: Managed>(
    context: &Context,
    object: &K,
) -> Result<(), KubernetesError> {
    let left = object.finalizers().iter().filter(|finalizer| *finalizer != K::FINALIZER);
    let metadata = json!({
        "resourceVersion": object.resource_version(),
        "finalizers": left.collect::<Vec<_>>(),
    });
    match patch(context, object, metadata).await {
        Ok(_) => {}
        // It is gone already.
        Err(error) if error.code() == Some(404) => {}
        Err(error) => return Err(error),
    }
    context.memory(&object.uid().unwrap_or_default(), |memory| memory.is_gone = true);
    Ok(())
}

async fn patch<K: Managed>(
    context: &Context,
    object: &K,
    metadata: Value,
) -> Result<K, KubernetesError> {
    let (name, api, params) = (object.name_any(), api(context, object), params());
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    let what = || format!("write the metadata of {} {name}", K::KIND);
    let Stored(written) = within(what, api.patch(&name, &params, &patch)).await?;
    note_written(context, &written, "patch");
    Ok(written)
}

/// Writes a status that differs from the one that there is, or takes the place of one that cannot be
/// read.
pub(crate) async fn write_status<K: Managed, S: Serialize + PartialEq>(
    context: &Context,
    object: K,
    old: &S,
    new: &S,
) -> Result<K, KubernetesError> {
    let unreadable = stored::unreadable_status(&object);
    if old == new && unreadable.is_none() {
        return Ok(object);
    }
    let mut status = json!(new);
    // What is there and should not be is removed by name.
    if let (Some(status), Some(old)) = (status.as_object_mut(), json!(old).as_object()) {
        for name in old.keys().chain(unreadable.iter().flatten()) {
            status.entry(name.clone()).or_insert(Value::Null);
        }
    }
    let (name, api, params) = (object.name_any(), api(context, &object), params());
    let patch = Patch::Merge(json!({ "status": status }));
    let what = || format!("write the status of {} {name}", K::KIND);
    let Stored(written) = within(what, api.patch_status(&name, &params, &patch)).await?;
    note_written(context, &written, "patch_status");
    Ok(written)
}

/// Tells by an Event that `Ready` has another reason than before.
pub(crate) async fn tell_ready<K: Managed>(context: &Context, before: &K, after: &[Condition]) {
    let said = |conditions: &[Condition]| {
        conditions::find(conditions, names::READY)
            .map(|ready| (ready.status.clone(), ready.reason.clone()))
    };
    let Some(ready) = conditions::find(after, names::READY) else { return };
    let now = (ready.status.clone(), ready.reason.clone());
    if said(before.conditions()).as_ref() == Some(&now) {
        return;
    }
    tell(context, before, ready.status == "True", &ready.reason, &ready.message).await;
}

/// Posts an Event, unless it is what was said last of this object. That it cannot be posted is
/// logged, and no failure of anything else.
pub(crate) async fn tell<K: Managed>(
    context: &Context,
    object: &K,
    is_good: bool,
    reason: &str,
    note: &str,
) {
    let said = (reason.to_owned(), note.to_owned());
    let uid = object.uid().unwrap_or_default();
    let is_new = context.memory(&uid, |memory| memory.told.replace(said.clone()) != Some(said));
    if !is_new {
        return;
    }
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    if is_good {
        tracing::info!(kind = K::KIND, namespace, name, reason, "{note}");
    } else {
        tracing::warn!(kind = K::KIND, namespace, name, reason, "{note}");
    }
    let event = Event {
        type_: if is_good { EventType::Normal } else { EventType::Warning },
        reason: reason.to_owned(),
        note: Some(kubernetes::note(note)),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    let posted = context.recorder.publish(&event, &object.object_ref(&())).await;
    if let Err(error) = posted {
        tracing::debug!(%error, reason, "an Event could not be posted");
    }
}

/// Since when the object is being deleted.
pub(crate) fn deleted_at<K: Managed>(object: &K) -> Option<Timestamp> {
    object.meta().deletion_timestamp.as_ref().map(|time| time.0)
}
