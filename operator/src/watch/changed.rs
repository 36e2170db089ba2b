//! Who is looked at because of what happened.

use std::collections::HashMap;

use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, HeadscaleUser, names};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt as _};

use crate::conditions;
use crate::context::Context;
use crate::instance::secret_names;
use crate::names::{OWNER_LABEL, REISSUE_CONFIG, REISSUE_TO_ANNOTATION, TYPE_LABEL};
use crate::objects::{self, Managed};
use crate::pre_auth_key::decide::{secret_name, user_ref};
use crate::reissue;

/// A namespace and a name.
pub(super) type Place = (Option<String>, String);

/// What of a Headscale matters to its users and keys.
#[derive(PartialEq, Eq)]
pub(super) struct SeenHeadscale {
    uid: Option<String>,
    generation: Option<i64>,
    is_deleted: bool,
    is_paused: bool,
    is_ready: bool,
}

/// Has looked at who depends on an instance, where it is another than before.
pub(super) fn headscale_changed(
    context: &Context,
    seen: &mut HashMap<Place, SeenHeadscale>,
    headscale: &Headscale,
    is_gone: bool,
) {
    let (namespace, name) = (headscale.namespace().unwrap_or_default(), headscale.name_any());
    context.triggers.headscale(&namespace, &name);
    context.triggers.document(&namespace, &name);
    if is_gone {
        context.forget(&headscale.uid().unwrap_or_default());
        context.desk.forget(&namespace, &name);
        context.instances.remove(&namespace, &name);
    }
    let place = (headscale.namespace(), headscale.name_any());
    let conditions = headscale.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let now = SeenHeadscale {
        uid: headscale.uid(),
        generation: headscale.metadata.generation,
        is_deleted: headscale.metadata.deletion_timestamp.is_some(),
        is_paused: objects::is_paused(headscale),
        is_ready: conditions::holds(conditions, names::READY),
    };
    let before = if is_gone { seen.remove(&place) } else { seen.insert(place, now) };
    let place = (headscale.namespace().unwrap_or_default(), headscale.name_any());
    let is_same = !is_gone
        && before.is_some_and(|before| {
            seen.get(&(Some(place.0.clone()), place.1.clone())) == Some(&before)
        });
    if is_same {
        return;
    }
    for user in context.users_of(&place.0, &place.1) {
        context.triggers.user(&user);
    }
    for key in context.keys_of(&place.0, &place.1) {
        context.triggers.key(&key);
        nodes_changed(context, &place.0, &key.name_any());
    }
    for policy in context.policies_of(&place.0, &place.1) {
        context.triggers.policies.send(ObjectRef::from_obj(&*policy)).ok();
    }
    for approver in context.approvers_of(&place.0, &place.1) {
        context.triggers.approvers.send(ObjectRef::from_obj(&*approver)).ok();
    }
}

/// Has looked at a user, and at the keys of it where that matters to them.
pub(super) fn user_changed(
    context: &Context,
    seen: &mut HashMap<Place, (Option<String>, bool)>,
    user: &HeadscaleUser,
    is_gone: bool,
) {
    context.triggers.user(user);
    let place = (user.namespace(), user.name_any());
    let id = user.status.as_ref().and_then(|status| status.user_id.clone());
    let now = (id, user.metadata.deletion_timestamp.is_some());
    let before = if is_gone {
        context.forget(&user.uid().unwrap_or_default());
        seen.remove(&place);
        None
    } else {
        seen.insert(place, now.clone())
    };
    if before == Some(now) {
        return;
    }
    let (namespace, name) = (user.namespace().unwrap_or_default(), user.name_any());
    for key in context.keys_of(&namespace, &user.spec.headscale_ref) {
        if user_ref(&key.spec) == Some(&*name) {
            context.triggers.key(&key);
        }
    }
}

/// What of a key matters to the nodes whose keys are like it.
pub(super) type SeenTemplate = (Option<String>, Option<i64>, bool, bool, Option<String>);

/// Has the nodes looked at whose keys are like this one, where that matters to them.
pub(super) fn template_changed(
    context: &Context,
    seen: &mut HashMap<Place, SeenTemplate>,
    key: &HeadscalePreAuthKey,
    is_gone: bool,
) {
    let place = (key.namespace(), key.name_any());
    let now = (
        key.uid(),
        key.metadata.generation,
        key.metadata.deletion_timestamp.is_some(),
        objects::is_paused(key),
        key.annotations().get(REISSUE_TO_ANNOTATION).cloned(),
    );
    let before = if is_gone { seen.remove(&place) } else { seen.insert(place, now.clone()) };
    if is_gone || before != Some(now) {
        nodes_changed(context, &key.namespace().unwrap_or_default(), &key.name_any());
    }
}

/// Has the nodes looked at whose keys are like this one.
fn nodes_changed(context: &Context, namespace: &str, key: &str) {
    for node in context.nodes_of(namespace, key) {
        context.triggers.node(namespace, &node.name_any());
    }
}

/// Label of the Secret of an API key, and its value.
const API_KEY: (&str, &str) = ("app.kubernetes.io/component", "api-key");

/// Has looked at whoever owns a Secret, or reads it.
pub(super) async fn secret_changed(context: &Context, secret: &PartialObjectMeta<Secret>) {
    let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
    let is_config = secret.labels().get(TYPE_LABEL).is_some_and(|value| value == REISSUE_CONFIG);
    if let Some(state) = name.strip_suffix(reissue::SUFFIX).filter(|_| is_config) {
        context.triggers.node(&namespace, state);
        return;
    }
    for owner in secret.owner_references() {
        if owner.kind == HeadscalePreAuthKey::KIND {
            let key = ObjectRef::new(&owner.name).within(&namespace);
            // It fails when the operator ends.
            context.triggers.keys.send(key).ok();
        }
    }
    child_changed(context, secret);
    let owner = secret.labels().get(OWNER_LABEL);
    if let Some(owner) = owner.filter(|_| secret.owner_references().is_empty()) {
        // Somebody took its owner out of it.
        for key in context.stores.keys.state_filter(|key| key.metadata.uid.as_ref() == Some(owner))
        {
            context.triggers.key(&key);
        }
    }
    if secret.labels().get(API_KEY.0).is_some_and(|value| value == API_KEY.1) {
        let headscales = context.stores.headscales.state_filter(|headscale| {
            headscale.namespace().as_deref() == Some(&*namespace)
                && secret_names(headscale).contains(&name)
        });
        for headscale in headscales {
            let uid = headscale.uid().unwrap_or_default();
            context.memory(&uid, |memory| memory.instance.key = None);
            let headscale = headscale.name_any();
            context.instances.forget(&namespace, &headscale).await;
            context.triggers.headscale(&namespace, &headscale);
            let is_waiting = |conditions: &[_]| !conditions::holds(conditions, names::READY);
            for user in context.users_of(&namespace, &headscale) {
                if is_waiting(user.conditions()) {
                    context.triggers.user(&user);
                }
            }
            for key in context.keys_of(&namespace, &headscale) {
                if is_waiting(key.conditions()) {
                    context.triggers.key(&key);
                }
            }
        }
        return;
    }
    let waiting = context.stores.keys.state_filter(|key| {
        key.metadata.namespace.as_deref() == Some(&*namespace)
            && secret_name(key.metadata.name.as_deref().unwrap_or_default(), &key.spec) == name
            && !conditions::holds(key.conditions(), names::READY)
    });
    for key in waiting {
        context.triggers.key(&key);
    }
}

/// Has the instance looked at that the object belongs to.
pub(super) fn child_changed<K: Resource>(context: &Context, child: &K) {
    let owner = child.owner_references().iter().find(|owner| owner.controller == Some(true));
    if let Some(owner) = owner.filter(|owner| owner.kind == Headscale::KIND) {
        context.triggers.headscale(&child.namespace().unwrap_or_default(), &owner.name);
    }
}

/// Has the policy looked at that a pod may run with by now.
pub(super) fn rolled(context: &Context, set: &StatefulSet) {
    let owner = set.owner_references().iter().find(|owner| owner.controller == Some(true));
    if let Some(owner) = owner.filter(|owner| owner.kind == Headscale::KIND) {
        context.triggers.document(&set.namespace().unwrap_or_default(), &owner.name);
    }
}

/// Has the policies looked at that stand in this ConfigMap.
pub(super) fn text_changed(context: &Context, map: &PartialObjectMeta<ConfigMap>) {
    let (namespace, name) = (map.namespace().unwrap_or_default(), map.name_any());
    let named = context.stores.policies.state_filter(|policy| {
        policy.namespace().as_deref() == Some(&*namespace)
            && policy.spec.config_map_ref.as_ref().is_some_and(|map| map.name == name)
    });
    for policy in named {
        context.triggers.document(&namespace, &policy.spec.headscale_ref);
    }
}

/// Has all policies looked at that stand in a ConfigMap.
pub(super) fn texts_changed(context: &Context) {
    let named = context.stores.policies.state_filter(|it| it.spec.config_map_ref.is_some());
    for policy in named {
        let namespace = policy.namespace().unwrap_or_default();
        context.triggers.document(&namespace, &policy.spec.headscale_ref);
    }
}

/// Has all instances looked at.
pub(super) fn instances_changed(context: &Context) {
    for headscale in context.stores.headscales.state() {
        let (namespace, name) = (headscale.namespace().unwrap_or_default(), headscale.name_any());
        context.triggers.headscale(&namespace, &name);
        context.triggers.document(&namespace, &name);
    }
}

/// Has everything looked at that is for an instance.
pub(super) fn members_changed(context: &Context) {
    for user in context.stores.users.state() {
        context.triggers.user(&user);
    }
    for key in context.stores.keys.state() {
        context.triggers.key(&key);
    }
    for node in context.stores.nodes.state() {
        context.triggers.node(&node.namespace().unwrap_or_default(), &node.name_any());
    }
    // They fail when the operator ends.
    for policy in context.stores.policies.state() {
        context.triggers.policies.send(ObjectRef::from_obj(&*policy)).ok();
    }
    for approver in context.stores.approvers.state() {
        context.triggers.approvers.send(ObjectRef::from_obj(&*approver)).ok();
    }
}
