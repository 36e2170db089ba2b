//! Holds what Headscale has against what was said of it: Headscale tells nobody of changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, HeadscaleUser, names};
use headscale_client::{PreAuthKey, User};
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;

use crate::conditions;
use crate::context::Context;
use crate::objects::Managed as _;
use crate::pause::jittered;

/// Looks from time to time, for as long as it is polled: two calls for each Headscale, whatever
/// number of objects it has. One that takes long to answer holds up no other.
pub(crate) async fn poll(context: Arc<Context>) {
    let mut asked = HashSet::new();
    let mut answers = FuturesUnordered::new();
    loop {
        let pause = tokio::time::sleep(jittered(context.settings.check_interval));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                Some(answered) = answers.next() => asked.remove(&answered),
            };
        }
        for headscale in context.stores.headscales.state() {
            let context = &context;
            let place = ObjectRef::from_obj(&*headscale);
            if asked.insert(place.clone()) {
                answers.push(async move {
                    check(context, &headscale).await;
                    place
                });
            }
        }
    }
}

async fn check(context: &Context, headscale: &Headscale) {
    let (namespace, name) = (headscale.namespace().unwrap_or_default(), headscale.name_any());
    let users = context.users_of(&namespace, &name);
    let keys = context.keys_of(&namespace, &name);
    let is_ending = headscale.metadata.deletion_timestamp.is_some();
    if is_ending || (users.is_empty() && keys.is_empty()) {
        return;
    }
    // One that is away is seen as such by whoever asks it for something.
    let Ok(instance) = context.instances.get(headscale).await else { return };
    let now = context.clock.now();
    if !users.is_empty()
        && let Ok(listed) = instance.users(now).await
    {
        let listed: HashMap<u64, &User> = listed.value.iter().map(|it| (it.id, it)).collect();
        for user in users.iter().filter(|user| has_changed_user(user, &listed)) {
            context.triggers.user(user);
        }
    }
    if !keys.is_empty()
        && let Ok(listed) = instance.keys(now).await
    {
        let listed: HashMap<u64, &PreAuthKey> = listed.value.iter().map(|it| (it.id, it)).collect();
        for key in keys.iter().filter(|key| has_changed_key(key, &listed)) {
            context.triggers.key(key);
        }
    }
}

/// Whether a user that is said to be ready may not be. Others are looked at by themselves.
fn has_changed_user(user: &HeadscaleUser, listed: &HashMap<u64, &User>) -> bool {
    let id = user.status.as_ref().and_then(|status| status.user_id.as_ref()?.parse().ok());
    let is_as_said = id.is_some_and(|id: u64| {
        listed.get(&id).is_some_and(|listed| listed.name == user.spec.username)
    });
    conditions::holds(user.conditions(), names::READY) && !is_as_said
}

/// Whether a key that is said to be ready may not be.
fn has_changed_key(key: &HeadscalePreAuthKey, listed: &HashMap<u64, &PreAuthKey>) -> bool {
    let Some(status) = &key.status else { return false };
    let id = status.key_id.as_ref().and_then(|id| id.parse::<u64>().ok());
    let is_as_said = id.and_then(|id| listed.get(&id)).is_some_and(|listed| {
        let expiration = listed.expiration.map(|time| time.to_string());
        expiration == status.expiration && Some(listed.used) == status.used
    });
    conditions::holds(key.conditions(), names::READY) && !is_as_said
}
