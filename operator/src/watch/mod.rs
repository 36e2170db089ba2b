//! What happens in the cluster, as it is followed. Who is looked at because of it is in
//! `changed.rs`.

mod changed;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use headscale_api::desired::referenced_secrets;
use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser,
};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, store};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};

use crate::context::{Context, Stores};
use crate::headscale::children::{self, Children};
use crate::names::{MANAGED_BY, MANAGED_BY_LABEL, REISSUE_LABEL};
use crate::objects::Managed;
use crate::stored::Stored;
use changed::{
    child_changed, headscale_changed, instances_changed, members_changed, rolled, secret_changed,
    template_changed, text_changed, texts_changed, user_changed,
};

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
    let mut headscales_listed = Listed::default();
    let headscales =
        stored::<Headscale>(client, namespace).reflect(writers.headscales).for_each(|event| {
            if headscales_listed.is_again(&event) {
                members_changed(&context);
            }
            if let Some((headscale, is_gone)) = touched(event, Headscale::KIND) {
                headscale_changed(&context, &mut headscales_seen, &headscale, is_gone);
            }
            std::future::ready(())
        });
    let mut users_seen = HashMap::new();
    let mut users_listed = Listed::default();
    let users =
        stored::<HeadscaleUser>(client, namespace).reflect(writers.users).for_each(|event| {
            if users_listed.is_again(&event) {
                members_changed(&context);
            }
            if let Some((user, is_gone)) = touched(event, HeadscaleUser::KIND) {
                user_changed(&context, &mut users_seen, &user, is_gone);
            }
            std::future::ready(())
        });
    let mut templates_seen = HashMap::new();
    let keys =
        stored::<HeadscalePreAuthKey>(client, namespace).reflect(writers.keys).for_each(|event| {
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
    let mut secrets_listed = Listed::default();
    let secrets = watcher(secrets, Config::default().labels(&label))
        .default_backoff()
        .modify(|secret| {
            secret.metadata.managed_fields = None;
            secret.metadata.annotations = None;
        })
        .reflect(writers.secrets)
        .for_each(|event| {
            if secrets_listed.is_again(&event) {
                members_changed(&context);
                instances_changed(&context);
            }
            let changed = touched(event, "Secret");
            let context = &context;
            async move {
                if let Some((secret, _)) = changed {
                    secret_changed(context, &secret).await;
                }
            }
        });
    let mut policies_listed = Listed::default();
    let policies =
        stored::<HeadscalePolicy>(client, namespace).reflect(writers.policies).for_each(|event| {
            if policies_listed.is_again(&event) {
                instances_changed(&context);
            }
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
    let mut approvers_listed = Listed::default();
    let approvers = stored::<HeadscaleAutoApprover>(client, namespace)
        .reflect(writers.approvers)
        .for_each(|event| {
            if approvers_listed.is_again(&event) {
                instances_changed(&context);
            }
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
    let mut stateful_sets_listed = Listed::default();
    let stateful_sets = watcher(api(client, namespace), Config::default().labels(&label))
        .default_backoff()
        .modify(strip)
        .reflect(writers.stateful_sets)
        .for_each(|event| {
            if stateful_sets_listed.is_again(&event) {
                instances_changed(&context);
            }
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

/// What happens to the objects of a kind. One that cannot be read stops no other.
fn stored<K: Managed>(
    client: &Client,
    namespace: Option<&str>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send {
    let events = watcher(api::<Stored<K>>(client, namespace), Config::default()).default_backoff();
    let read = |event: Event<Stored<K>>| match event {
        Event::Apply(Stored(object)) => Event::Apply(object),
        Event::InitApply(Stored(object)) => Event::InitApply(object),
        Event::Delete(Stored(object)) => Event::Delete(object),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    };
    events.map(move |event| event.map(read)).modify(strip)
}

/// Follows all Secrets, of which nothing is kept, for those that instances name: they carry no label
/// of ours.
async fn named_secrets(context: &Context, namespace: Option<&str>) {
    let secrets: Api<PartialObjectMeta<Secret>> = match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    let mut listed = Listed::default();
    watcher(secrets, Config::default())
        .default_backoff()
        .for_each(|event| {
            if matches!(event, Ok(Event::Init)) {
                context.secrets.all_changed();
            }
            if listed.is_again(&event) {
                instances_changed(context);
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
    let mut listed = Listed::default();
    watcher(api, Config::default().labels(label))
        .default_backoff()
        .modify(|child| {
            child.metadata.managed_fields = None;
            child.metadata.annotations = None;
        })
        .reflect(writer)
        .for_each(|event| {
            if listed.is_again(&event) {
                instances_changed(context);
            }
            if let Some((child, _)) = touched(event, kind) {
                child_changed(context, &child);
            }
            std::future::ready(())
        })
        .await;
}

/// Follows the ConfigMaps that policies may stand in, of which nothing is kept.
async fn texts(context: &Context, namespace: Option<&str>) {
    let api: Api<PartialObjectMeta<ConfigMap>> = match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    let mut listed = Listed::default();
    watcher(api, Config::default())
        .default_backoff()
        .for_each(|event| {
            if listed.is_again(&event) {
                texts_changed(context);
            }
            if let Some((map, _)) = touched(event, "ConfigMap") {
                text_changed(context, &map);
            }
            std::future::ready(())
        })
        .await;
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

/// Whether all objects of a kind were listed before.
#[derive(Default)]
struct Listed(bool);

impl Listed {
    /// Whether all were listed once more, because it is not known what happened since. Of those that
    /// went meanwhile no event tells: whoever misses one has to be looked at.
    fn is_again<K>(&mut self, event: &watcher::Result<Event<K>>) -> bool {
        matches!(event, Ok(Event::InitDone)) && std::mem::replace(&mut self.0, true)
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
