//! Edits of users and keys.

use std::collections::BTreeMap;

use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::{HeadscaleApi as _, NewPreAuthKey, NewUser};
use headscale_standin::Version;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::bench::Bench;
use crate::edit::{merge, paused, unpause};
use crate::random::Random;
use crate::world;

/// So many of each kind are there at a time, at most.
const MANY: usize = 8;
/// What users that were made by hand are called, which are nobody's business.
const BY_HAND: &str = "by-hand";
/// What is put before the name of a user that is renamed by hand.
const RENAMED: &str = "renamed-";

/// A key that is declared.
struct Key {
    secret: String,
    user: Option<String>,
}

/// The users and keys that are declared.
#[derive(Default)]
pub(crate) struct People {
    users: Vec<String>,
    keys: BTreeMap<String, Key>,
    made: usize,
    /// How many keys may be left that nobody can know of.
    pub(crate) spare: usize,
    /// The number of a key that was made by hand, and of its user.
    by_hand: Option<(u64, u64)>,
}

/// What can be done. Some of it comes more often than other.
pub(crate) const EDITS: [&str; 24] = [
    "make a user",
    "make a user",
    "make a user",
    "delete a user",
    "label a user",
    "make a key",
    "make a key",
    "make a key",
    "delete a key",
    "change a key",
    "change a key",
    "change a key",
    "move a key",
    "pause a key",
    "go on with a key",
    "by hand: delete a user",
    "by hand: rename a user",
    "by hand: delete a key",
    "by hand: expire a key",
    "by hand: make a key",
    "by hand: delete a Secret",
    "by hand: edit a Secret",
    "by hand: edit a status",
    "by hand: lose the database",
];

impl People {
    fn name(&mut self, start: &str) -> String {
        self.made += 1;
        format!("{start}{}", self.made)
    }

    /// Does something; gives what it was.
    pub(crate) async fn edit(
        &mut self,
        bench: &Bench,
        random: &mut Random,
        edit: &'static str,
    ) -> String {
        let user = random.pick(&self.users).cloned();
        let keys: Vec<&String> = self.keys.keys().collect();
        let key = random.pick(&keys).map(|name| (*name).clone());
        let what = if edit.contains("user") { &user } else { &key };
        let done = format!("{edit} {}", what.as_deref().unwrap_or("(none)"));
        match (edit, user, key) {
            ("make a user", _, _) if self.users.len() < MANY => {
                let name = self.name("u");
                bench.make_user(&name, json!({})).await;
                self.users.push(name);
            }
            ("delete a user", Some(user), _) => {
                self.users.retain(|it| *it != user);
                // The collector of garbage would do that.
                let of_user = |key: &Key| key.user.as_ref() == Some(&user);
                let keys: Vec<String> =
                    self.keys.extract_if(.., |_, it| of_user(it)).map(|it| it.0).collect();
                bench.delete::<HeadscaleUser>(&user).await;
                for key in keys {
                    bench.delete::<HeadscalePreAuthKey>(&key).await;
                }
            }
            ("label a user", Some(user), _) => {
                let label = json!({ "metadata": { "labels": { "edited": self.name("n") } } });
                merge::<HeadscaleUser>(bench, &user, label).await;
            }
            ("make a key", user, _) if self.keys.len() < MANY => {
                let name = self.name("k");
                let user = user.filter(|_| random.below(4) > 0);
                let mut spec = json!({
                    "rotate": true, "reusable": random.one_in(2), "expiration": "2h",
                });
                match &user {
                    Some(user) => spec["headscaleUserRef"] = json!(user),
                    None => spec["tags"] = json!(["tag:a"]),
                }
                bench.make_key(&name, spec).await;
                self.keys.insert(name.clone(), Key { secret: name, user });
            }
            ("delete a key", _, Some(key)) => {
                self.keys.remove(&key);
                bench.delete::<HeadscalePreAuthKey>(&key).await;
            }
            ("change a key", _, Some(key)) => {
                let change = match random.below(4) {
                    0 => json!({ "ephemeral": random.one_in(2) }),
                    1 => json!({ "reusable": random.one_in(2) }),
                    2 => json!({ "expiration": format!("{}h", 1 + random.below(5)) }),
                    _ => json!({ "tags": ["tag:a", format!("tag:t{}", random.below(3))] }),
                };
                merge::<HeadscalePreAuthKey>(bench, &key, json!({ "spec": change })).await;
            }
            ("move a key", _, Some(key)) => {
                let secret = self.name("s");
                let change = json!({ "spec": { "secretName": secret } });
                merge::<HeadscalePreAuthKey>(bench, &key, change).await;
                self.keys.get_mut(&key).expect("declared").secret = secret;
            }
            ("pause a key", _, Some(key)) => {
                merge::<HeadscalePreAuthKey>(bench, &key, paused(true)).await;
            }
            ("go on with a key", _, Some(key)) => {
                merge::<HeadscalePreAuthKey>(bench, &key, paused(false)).await;
            }
            (edit, user, key) if edit.starts_with("by hand") => {
                self.by_hand(bench, random, edit, user, key).await;
            }
            _ => {}
        }
        done
    }

    async fn by_hand(
        &mut self,
        bench: &Bench,
        random: &mut Random,
        edit: &str,
        user: Option<String>,
        key: Option<String>,
    ) {
        let user = match user {
            Some(name) => bench.users().await.into_iter().find(|it| it.name == name),
            None => None,
        };
        let listed: Vec<u64> = bench
            .working()
            .await
            .iter()
            .map(|key| key.id)
            .filter(|id| self.by_hand.is_none_or(|(key, _)| key != *id))
            .collect();
        // What fails was done by somebody else a moment before.
        match (edit, user, random.pick(&listed), key) {
            ("by hand: delete a user", Some(user), _, _) => {
                drop(bench.http.delete_user(user.id).await);
            }
            ("by hand: rename a user", Some(user), _, _) => {
                drop(bench.http.rename_user(user.id, &format!("{RENAMED}{}", user.name)).await);
            }
            ("by hand: delete a key", _, Some(id), _) => {
                drop(bench.http.delete_preauth_key(*id).await);
            }
            ("by hand: expire a key", _, Some(id), _) => {
                drop(bench.http.expire_preauth_key(*id).await);
            }
            ("by hand: make a key", _, _, _) if self.by_hand.is_none() => {
                let name = self.name(BY_HAND);
                let user = bench.http.create_user(&NewUser::named(&name)).await.expect("made");
                let later = Timestamp::now() + SignedDuration::from_hours(24);
                let new = NewPreAuthKey::of_user(user.id, later);
                let key = bench.http.create_preauth_key(&new).await.expect("made");
                self.by_hand = Some((key.details.id, user.id));
            }
            ("by hand: delete a Secret", _, _, Some(key)) => {
                let api: Api<Secret> = bench.api();
                drop(api.delete(&self.keys[&key].secret, &DeleteParams::default()).await);
            }
            ("by hand: edit a Secret", _, _, Some(key)) => {
                let change = match random.below(5) {
                    0 => json!({ "data": null }),
                    1 => json!({ "stringData": { "key": "nonsense" } }),
                    2 => json!({ "metadata": { "labels": null } }),
                    3 => json!({ "metadata": { "annotations": null } }),
                    _ => json!({ "metadata": { "ownerReferences": null } }),
                };
                merge::<Secret>(bench, &self.keys[&key].secret, change).await;
            }
            ("by hand: edit a status", _, _, Some(key)) => {
                let api: Api<HeadscalePreAuthKey> = bench.api();
                let status = Patch::Merge(json!({ "status": { "keyId": "1", "conditions": [] } }));
                drop(api.patch_status(&key, &PatchParams::default(), &status).await);
            }
            ("by hand: lose the database", _, _, _) => {
                bench.headscale.wipe();
                bench.headscale.plant_api_key(bench.key.expose(), None);
                self.by_hand = None;
            }
            _ => {}
        }
    }

    /// Takes back what keeps the operator from its work on purpose, and has something be there that
    /// it looks at.
    pub(crate) async fn come_to_rest(&mut self, bench: &Bench) {
        unpause::<HeadscalePreAuthKey>(bench).await;
        if self.users.is_empty() {
            let name = self.name("u");
            bench.make_user(&name, json!({})).await;
            self.users.push(name);
        }
        if self.keys.is_empty() {
            let name = self.name("k");
            bench.make_key(&name, json!({ "rotate": true, "tags": ["tag:a"] })).await;
            self.keys.insert(name.clone(), Key { secret: name, user: None });
        }
    }

    /// What is not as it is declared.
    pub(crate) async fn differences(&self, bench: &Bench) -> Vec<String> {
        // A user that was renamed by hand is left alone for as long as it is: somebody has to see
        // to it. It gets its name back, or goes where there is another one by now.
        for user in bench.users().await {
            let Some(name) = user.name.strip_prefix(RENAMED) else { continue };
            let is_declared = self.users.iter().any(|it| it == name);
            if !is_declared || bench.http.rename_user(user.id, name).await.is_err() {
                drop(bench.http.delete_user(user.id).await);
            }
        }
        let users: Vec<&str> = self.users.iter().map(String::as_str).collect();
        let keys: Vec<&str> = self.keys.keys().map(String::as_str).collect();
        let mut wrong = world::differences_but(bench, &users, &keys, self.spare).await;
        if let Some((key, user)) = self.by_hand {
            let is_there = bench.users().await.iter().any(|it| it.id == user);
            // Headscale 0.28 deletes the keys of all users with one.
            let is_old = bench.version == Version::V0_28;
            let works = is_old || bench.working().await.iter().any(|it| it.id == key);
            if !(is_there && works) {
                wrong.push(format!("what was made by hand is gone: user {user}, key {key}"));
            }
        }
        wrong
    }
}
