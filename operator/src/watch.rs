//! What happens in the cluster, and who is looked at because of it.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, HeadscaleUser, names};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, store};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};

use crate::conditions;
use crate::context::{Context, Stores};
use crate::instance::secret_names;
use crate::names::{MANAGED_BY, MANAGED_BY_LABEL};
use crate::objects::{self, Managed};
use crate::pre_auth_key::decide::{secret_name, user_ref};

/// Label of the Secret of an API key, and its value.
const API_KEY: (&str, &str) = ("app.kubernetes.io/component", "api-key");

/// The writing ends of [`Stores`].
pub(crate) struct Writers {
    headscales: store::Writer<Headscale>,
    users: store::Writer<HeadscaleUser>,
    keys: store::Writer<HeadscalePreAuthKey>,
    secrets: store::Writer<PartialObjectMeta<Secret>>,
}

/// Empty stores, and what fills them.
pub(crate) fn stores() -> (Stores, Writers) {
    let (headscales, headscales_writer) = reflector::store();
    let (users, users_writer) = reflector::store();
    let (keys, keys_writer) = reflector::store();
    let (secrets, secrets_writer) = reflector::store();
    (
        Stores { headscales, users, keys, secrets },
        Writers {
            headscales: headscales_writer,
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
    let headscales = watcher(api::<Headscale>(client, namespace), Config::default())
        .default_backoff()
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
    tokio::join!(headscales, users, keys, secrets);
}

fn strip<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
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

async fn secret_changed(context: &Context, secret: &PartialObjectMeta<Secret>) {
    let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
    for owner in secret.owner_references() {
        if owner.kind == HeadscalePreAuthKey::KIND {
            let key = ObjectRef::new(&owner.name).within(&namespace);
            // It fails when the operator ends.
            context.triggers.keys.send(key).ok();
        }
    }
    if secret.labels().get(API_KEY.0).is_some_and(|value| value == API_KEY.1) {
        let headscales = context.stores.headscales.state_filter(|headscale| {
            headscale.namespace().as_deref() == Some(&*namespace)
                && secret_names(headscale).contains(&name)
        });
        for headscale in headscales {
            let headscale = headscale.name_any();
            context.instances.forget(&namespace, &headscale).await;
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
        key.namespace().as_deref() == Some(&*namespace)
            && secret_name(&key.name_any(), &key.spec) == name
            && !conditions::holds(key.conditions(), names::READY)
    });
    for key in waiting {
        context.triggers.key(&key);
    }
}
