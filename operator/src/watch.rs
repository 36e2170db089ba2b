//! What happens in the cluster, and who is looked at because of it.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use headscale_api::desired::referenced_secrets;
use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser, names,
};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, store};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};

use crate::conditions;
use crate::context::{Context, Stores};
use crate::headscale::children::{self, Children};
use crate::headscale::tolerant::Stored;
use crate::instance::secret_names;
use crate::names::{
    MANAGED_BY, MANAGED_BY_LABEL, OWNER_LABEL, REISSUE_CONFIG, REISSUE_LABEL,
    REISSUE_TO_ANNOTATION, TYPE_LABEL,
};
use crate::objects::{self, Managed};
use crate::pre_auth_key::decide::{secret_name, user_ref};
use crate::reissue;

/// Label of the Secret of an API key, and its value.
const API_KEY: (&str, &str) = ("app.kubernetes.io/component", "api-key");

/// The writing ends of [`Stores`].
pub(crate) struct Writers {
    headscales: store::Writer<Headscale>,
    policies: store::Writer<HeadscalePolicy>,
    approvers: store::Writer<HeadscaleAutoApprover>,
    stateful_sets: store::Writer<StatefulSet>,
    children: children::Writers,
    nodes: store::Writer<PartialObjectMeta<Secret>>,
    users: store::Writer<HeadscaleUser>,
    keys: store::Writer<HeadscalePreAuthKey>,
    secrets: store::Writer<PartialObjectMeta<Secret>>,
}

/// Empty stores, and what fills them.
pub(crate) fn stores() -> (Stores, Writers) {
    let (headscales, headscales_writer) = reflector::store();
    let (policies, policies_writer) = reflector::store();
    let (approvers, approvers_writer) = reflector::store();
    let (stateful_sets, stateful_sets_writer) = reflector::store();
    let (children, children_writers) = Children::new();
    let (nodes, nodes_writer) = reflector::store();
    let (users, users_writer) = reflector::store();
    let (keys, keys_writer) = reflector::store();
    let (secrets, secrets_writer) = reflector::store();
    (
        Stores {
            headscales,
            policies,
            approvers,
            stateful_sets,
            children,
            nodes,
            users,
            keys,
            secrets,
        },
        Writers {
            headscales: headscales_writer,
            policies: policies_writer,
            approvers: approvers_writer,
            stateful_sets: stateful_sets_writer,
            children: children_writers,
            nodes: nodes_writer,
            users: users_writer,
            keys: keys_writer,
            secrets: secrets_writer,
        },
    )
}

impl Stores {
    /// Waits until all have been filled once. It never comes where a kind is not defined.
    pub(crate) async fn wait_until_ready(&self) {
        // They fail when their writers are gone, which is when the operator ends.
        self.headscales.wait_until_ready().await.ok();
        self.policies.wait_until_ready().await.ok();
        self.approvers.wait_until_ready().await.ok();
        self.stateful_sets.wait_until_ready().await.ok();
        self.children.wait_until_ready().await;
        self.nodes.wait_until_ready().await.ok();
        self.users.wait_until_ready().await.ok();
        self.keys.wait_until_ready().await.ok();
        self.secrets.wait_until_ready().await.ok();
    }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Follows what happens in a namespace, or everywhere, for as long as it is polled.
pub(crate) async fn watch(context: Arc<Context>, namespace: Option<String>, writers: Writers) {
    let (client, namespace) = (&context.client, namespace.as_deref());
    let mut headscales_seen = HashMap::new();
    let headscales = watcher(api::<Stored>(client, namespace), Config::default())
        .default_backoff()
        .map(|event| event.map(|event| readable(&context, event)))
        .modify(strip)
        .reflect(writers.headscales)
        .for_each(|event| {
            if let Some((headscale, is_gone)) = touched(event, "Headscale") {
                headscale_changed(&context, &mut headscales_seen, &headscale, is_gone);
            }
            std::future::ready(())
        });
    let mut users_seen = HashMap::new();
    let users = watcher(api::<HeadscaleUser>(client, namespace), Config::default())
        .default_backoff()
        .modify(strip)
        .reflect(writers.users)
        .for_each(|event| {
            if let Some((user, is_gone)) = touched(event, HeadscaleUser::KIND) {
                user_changed(&context, &mut users_seen, &user, is_gone);
            }
            std::future::ready(())
        });
    let mut templates_seen = HashMap::new();
    let keys = watcher(api::<HeadscalePreAuthKey>(client, namespace), Config::default())
        .default_backoff()
        .modify(strip)
        .reflect(writers.keys)
        .for_each(|event| {
            if let Some((key, is_gone)) = touched(event, HeadscalePreAuthKey::KIND) {
                if is_gone {
                    context.forget(&key.uid().unwrap_or_default());
                }
                context.triggers.key(&key);
                template_changed(&context, &mut templates_seen, &key, is_gone);
            }
            std::future::ready(())
        });
    let label = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
    // Of these, names, labels and owners are all that is asked for.
    let secrets: Api<PartialObjectMeta<Secret>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let secrets = watcher(secrets, Config::default().labels(&label))
        .default_backoff()
        .modify(|secret| {
            secret.metadata.managed_fields = None;
            secret.metadata.annotations = None;
        })
        .reflect(writers.secrets)
        .for_each(|event| {
            let changed = touched(event, "Secret");
            let context = &context;
            async move {
                if let Some((secret, _)) = changed {
                    secret_changed(context, &secret).await;
                }
            }
        });
    let policies = watcher(api::<HeadscalePolicy>(client, namespace), Config::default())
        .default_backoff()
        .modify(strip)
        .reflect(writers.policies)
        .for_each(|event| {
            if let Some((policy, is_gone)) = touched(event, HeadscalePolicy::KIND) {
                if is_gone {
                    context.forget(&policy.uid().unwrap_or_default());
                }
                let namespace = policy.namespace().unwrap_or_default();
                context.triggers.document(&namespace, &policy.spec.headscale_ref);
                // It fails when the operator ends.
                context.triggers.policies.send(ObjectRef::from_obj(&policy)).ok();
            }
            std::future::ready(())
        });
    let approvers = watcher(api::<HeadscaleAutoApprover>(client, namespace), Config::default())
        .default_backoff()
        .modify(strip)
        .reflect(writers.approvers)
        .for_each(|event| {
            if let Some((approver, is_gone)) = touched(event, HeadscaleAutoApprover::KIND) {
                if is_gone {
                    context.forget(&approver.uid().unwrap_or_default());
                }
                let namespace = approver.namespace().unwrap_or_default();
                context.triggers.document(&namespace, &approver.spec.headscale_ref);
                context.triggers.approvers.send(ObjectRef::from_obj(&approver)).ok();
            }
            std::future::ready(())
        });
    let stateful_sets = watcher(api(client, namespace), Config::default().labels(&label))
        .default_backoff()
        .modify(strip)
        .reflect(writers.stateful_sets)
        .for_each(|event| {
            if let Some((set, _)) = touched(event, "StatefulSet") {
                child_changed(&context, &set);
                rolled(&context, &set);
            }
            std::future::ready(())
        });
    let nodes: Api<PartialObjectMeta<Secret>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let nodes = watcher(nodes, Config::default().labels(REISSUE_LABEL))
        .default_backoff()
        .modify(|secret| {
            secret.metadata.managed_fields = None;
            secret.metadata.annotations = None;
        })
        .reflect(writers.nodes)
        .for_each(|event| {
            if let Some((node, is_gone)) = touched(event, "Secret") {
                if is_gone {
                    context.forget(&node.uid().unwrap_or_default());
                }
                context.triggers.nodes.send(ObjectRef::from_obj(&node)).ok();
            }
            std::future::ready(())
        });
    let kinds = writers.children;
    let children = async {
        tokio::join!(
            children(&context, namespace, &label, "ConfigMap", kinds.config_maps),
            children(&context, namespace, &label, "Service", kinds.services),
            children(&context, namespace, &label, "ServiceAccount", kinds.service_accounts),
            children(&context, namespace, &label, "Role", kinds.roles),
            children(&context, namespace, &label, "RoleBinding", kinds.role_bindings),
            children(&context, namespace, &label, "Ingress", kinds.ingresses),
            named_secrets(&context, namespace),
        )
    };
    tokio::join!(
        headscales,
        users,
        keys,
        secrets,
        policies,
        approvers,
        stateful_sets,
        nodes,
        children,
        texts(&context, namespace)
    );
}

/// The instance, noting what of it cannot be read.
fn readable(context: &Context, event: Event<Stored>) -> Event<Headscale> {
    let note = |stored: Stored| {
        let uid = stored.headscale.uid().unwrap_or_default();
        let unreadable = stored.unreadable;
        context.memory(&uid, |memory| memory.instance.unreadable = unreadable);
        stored.headscale
    };
    match event {
        Event::Apply(stored) => Event::Apply(note(stored)),
        Event::InitApply(stored) => Event::InitApply(note(stored)),
        Event::Delete(stored) => Event::Delete(stored.headscale),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// Follows all Secrets, of which nothing is kept, for those that instances name: they carry no label
/// of ours.
async fn named_secrets(context: &Context, namespace: Option<&str>) {
    let secrets: Api<PartialObjectMeta<Secret>> = match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    watcher(secrets, Config::default())
        .default_backoff()
        .for_each(|event| {
            if matches!(event, Ok(Event::Init)) {
                context.secrets.all_changed();
            }
            if let Some((secret, _)) = touched(event, "Secret") {
                let namespace = secret.namespace().unwrap_or_default();
                let name = secret.name_any();
                let headscales = context.stores.headscales.state_filter(|headscale| {
                    headscale.namespace().as_deref() == Some(&*namespace)
                        && referenced_secrets(headscale).contains(&name)
                });
                if !headscales.is_empty() {
                    context.secrets.changed(&namespace, &name);
                }
                for headscale in headscales {
                    context.triggers.headscale(&namespace, &headscale.name_any());
                }
            }
            std::future::ready(())
        })
        .await;
}

/// Follows the objects of this kind that instances are made of.
async fn children<K>(
    context: &Context,
    namespace: Option<&str>,
    label: &str,
    kind: &'static str,
    writer: store::Writer<PartialObjectMeta<K>>,
) where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let api: Api<PartialObjectMeta<K>> = match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    watcher(api, Config::default().labels(label))
        .default_backoff()
        .modify(|child| {
            child.metadata.managed_fields = None;
            child.metadata.annotations = None;
        })
        .reflect(writer)
        .for_each(|event| {
            if let Some((child, _)) = touched(event, kind) {
                child_changed(context, &child);
            }
            std::future::ready(())
        })
        .await;
}

/// Has the instance looked at that the object belongs to.
fn child_changed<K: Resource>(context: &Context, child: &K) {
    let owner = child.owner_references().iter().find(|owner| owner.controller == Some(true));
    if let Some(owner) = owner.filter(|owner| owner.kind == Headscale::KIND) {
        context.triggers.headscale(&child.namespace().unwrap_or_default(), &owner.name);
    }
}

/// Has the policy looked at that a pod may run with by now.
fn rolled(context: &Context, set: &StatefulSet) {
    let owner = set.owner_references().iter().find(|owner| owner.controller == Some(true));
    if let Some(owner) = owner.filter(|owner| owner.kind == Headscale::KIND) {
        context.triggers.document(&set.namespace().unwrap_or_default(), &owner.name);
    }
}

/// Follows the ConfigMaps that policies may stand in, of which nothing is kept.
async fn texts(context: &Context, namespace: Option<&str>) {
    let api: Api<PartialObjectMeta<ConfigMap>> = match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    watcher(api, Config::default())
        .default_backoff()
        .for_each(|event| {
            if let Some((map, _)) = touched(event, "ConfigMap") {
                text_changed(context, &map);
            }
            std::future::ready(())
        })
        .await;
}

/// Has the policies looked at that stand in this ConfigMap.
fn text_changed(context: &Context, map: &PartialObjectMeta<ConfigMap>) {
    let (namespace, name) = (map.namespace().unwrap_or_default(), map.name_any());
    let named = context.stores.policies.state_filter(|policy| {
        policy.namespace().as_deref() == Some(&*namespace)
            && policy.spec.config_map_ref.as_ref().is_some_and(|map| map.name == name)
    });
    for policy in named {
        context.triggers.document(&namespace, &policy.spec.headscale_ref);
    }
}

/// What kubectl remembers of an object: the object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Removes what nobody reads, and what may be most of the object.
fn strip<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// The object that something happened to, and whether it is gone.
fn touched<K>(event: watcher::Result<Event<K>>, kind: &'static str) -> Option<(K, bool)> {
    match event {
        Ok(Event::Apply(object) | Event::InitApply(object)) => Some((object, false)),
        Ok(Event::Delete(object)) => Some((object, true)),
        Ok(Event::Init | Event::InitDone) => None,
        Err(error) => {
            tracing::warn!(kind, "cannot be watched: {error}; it is tried again");
            None
        }
    }
}

type Place = (Option<String>, String);

/// What of a Headscale matters to its users and keys.
#[derive(PartialEq, Eq)]
pub(crate) struct SeenHeadscale {
    uid: Option<String>,
    generation: Option<i64>,
    is_deleted: bool,
    is_paused: bool,
    is_ready: bool,
}

fn headscale_changed(
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

fn user_changed(
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
type SeenTemplate = (Option<String>, Option<i64>, bool, bool, Option<String>);

fn template_changed(
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

async fn secret_changed(context: &Context, secret: &PartialObjectMeta<Secret>) {
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
