//! What is declared held against what there is.

use std::collections::BTreeMap;

use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::PreAuthKey;
use headscale_keys::AuthKey;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use crate::bench::{Bench, said};
use crate::program::Running;

/// What is not as it should be where there are these users and keys and no others: objects, users
/// of Headscale, keys that let nodes in, and Secrets. Users of Headscale whose names begin with
/// `by-hand` are nobody's business, nor are their keys.
pub(crate) async fn differences(bench: &Bench, users: &[&str], keys: &[&str]) -> Vec<String> {
    differences_but(bench, users, keys, 0).await
}

/// As [`differences`], where up to `spare` keys more may let nodes in.
pub(crate) async fn differences_but(
    bench: &Bench,
    users: &[&str],
    keys: &[&str],
    spare: usize,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut note = |is_right: bool, what: String| {
        if !is_right {
            wrong.push(what);
        }
    };
    let objects: Api<HeadscaleUser> = bench.api();
    let objects = objects.list(&ListParams::default()).await.expect("users").items;
    let is: BTreeMap<String, u64> =
        bench.users().await.into_iter().map(|user| (user.name, user.id)).collect();
    let (by_hand, is): (BTreeMap<_, _>, BTreeMap<_, _>) =
        is.into_iter().partition(|(name, _)| name.starts_with("by-hand"));
    let names = |names: &mut dyn Iterator<Item = String>| {
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let wanted = names(&mut users.iter().map(|name| (*name).to_owned()));
    let objects_named = names(&mut objects.iter().map(|user| user.name_any()));
    note(objects_named == wanted, format!("HeadscaleUsers: {objects_named:?}"));
    let in_headscale = names(&mut is.keys().cloned());
    note(in_headscale == wanted, format!("users of Headscale: {in_headscale:?}"));
    for user in &objects {
        let (name, generation) = (user.name_any(), user.metadata.generation);
        let status = user.status.clone().unwrap_or_default();
        let ready = said(&status.conditions, "Ready", generation);
        note(ready.0 == "True", format!("HeadscaleUser {name}: {ready:?}"));
        let id = status.user_id.and_then(|id| id.parse().ok());
        note(
            id.as_ref() == is.get(&user.spec.username),
            format!("HeadscaleUser {name}: id {id:?}"),
        );
    }

    let objects: Api<HeadscalePreAuthKey> = bench.api();
    let objects = objects.list(&ListParams::default()).await.expect("keys").items;
    let wanted = names(&mut keys.iter().map(|name| (*name).to_owned()));
    let objects_named = names(&mut objects.iter().map(|key| key.name_any()));
    note(objects_named == wanted, format!("HeadscalePreAuthKeys: {objects_named:?}"));
    let is_by_hand = |key: &PreAuthKey| {
        key.user.as_ref().is_some_and(|user| by_hand.values().any(|id| *id == user.id))
    };
    let mut working = bench.working().await;
    working.retain(|key| !is_by_hand(key));
    let extra = working.len().checked_sub(wanted.len());
    note(extra.is_some_and(|it| it <= spare), format!("keys that work: {working:?}"));
    let secrets: Api<Secret> = bench.api();
    let params = ListParams::default().labels("headscale.infrado.cloud/type=preauth-key");
    let secrets = secrets.list(&params).await.expect("Secrets").items;
    let of_keys: Vec<_> =
        secrets.iter().map(|it| (it.name_any(), it.labels(), it.owner_references())).collect();
    note(secrets.len() == wanted.len(), format!("Secrets of keys: {of_keys:?}"));
    for key in &objects {
        let (name, generation) = (key.name_any(), key.metadata.generation);
        let status = key.status.clone().unwrap_or_default();
        let ready = said(&status.conditions, "Ready", generation);
        note(ready.0 == "True", format!("HeadscalePreAuthKey {name}: {ready:?}"));
        let named = key.spec.secret_name.clone().unwrap_or_else(|| name.clone());
        let secret = secrets.iter().find(|secret| secret.name_any() == named);
        let text = secret.and_then(|secret| secret.data.as_ref()?.get("key"));
        let text = text.and_then(|text| String::from_utf8(text.0.clone()).ok());
        let text = text.map(|text| AuthKey::new(&text));
        let listed = working.iter().find(|it| {
            it.prefix.is_some() && it.prefix.as_ref() == text.as_ref().and_then(|it| it.prefix())
        });
        let fits = listed.is_some_and(|listed| {
            status.key_id == Some(listed.id.to_string())
                && listed.ephemeral == key.spec.ephemeral.unwrap_or(false)
                && listed.reusable == key.spec.reusable.unwrap_or(false)
        });
        note(fits, format!("HeadscalePreAuthKey {name}: key {:?} is {listed:?}", status.key_id));
    }
    wrong
}

/// How often all is looked at until nothing can be left to be written.
pub(crate) const LOOKS: usize = 4;

/// Waits until all that Headscale has was looked at `looks` times, and nothing had to be written.
pub(crate) async fn is_quiet(bench: &Bench, running: &mut Running, looks: usize) {
    // What is under way may come to its end first.
    for attempt in 1.. {
        bench.proxy.reset();
        running
            .until("looked at again", async || {
                let requests = bench.proxy.requests();
                let count = |path: &str| {
                    let is_it = |path: &&str, it: &str| it.split('?').next() == Some(path);
                    requests.iter().filter(|it| is_it(&path, &it.path)).count()
                };
                count("/api/v1/preauthkey") >= looks && count("/api/v1/user") >= looks
            })
            .await;
        let writes = bench.writes();
        if writes.is_empty() {
            return;
        }
        assert!(attempt < 4, "it goes on writing: {writes:#?}\n{}", running.log());
    }
}
