//! Pre-auth keys: their whole life, and what gets in its way.

use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::{HeadscaleApi as _, NewPreAuthKey, NewUser};
use headscale_standin::Version;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::bench::{Bench, said};

async fn life(version: Version) {
    let Some(bench) = Bench::new(version).await else { return };
    let mut running = bench.operator().start();
    // The key comes first, and waits for its user.
    bench.make_key("ci", json!({ "headscaleUserRef": "alice", "expiration": "24h" })).await;
    running.until("told", async || bench.ready_key("ci").await.1 == "UserNotFound").await;
    bench.make_user("alice", json!({})).await;
    running.until("ready", async || bench.is_key_ready("ci").await).await;
    let [listed] = <[_; 1]>::try_from(bench.keys().await).expect("one key");
    let object = bench.pre_auth_key("ci").await.expect("there");
    let status = object.status.clone().expect("a status");
    assert_eq!(status.key_id, Some(listed.id.to_string()));
    assert_eq!(status.expiration, listed.expiration.map(|time| time.to_string()));
    assert_eq!(status.used, Some(false));
    let owners = object.metadata.owner_references.clone().expect("owners");
    assert!(owners.len() == 1 && owners[0].kind == "HeadscaleUser", "it goes with its user");
    let secret = bench.secret("ci").await.expect("a Secret");
    let controller = secret.metadata.owner_references.as_ref().expect("an owner")[0].clone();
    assert_eq!(Some(controller), object.controller_owner_ref(&()));
    let labels = secret.metadata.labels.clone().expect("labels");
    assert_eq!(labels["headscale.infrado.cloud/type"], "preauth-key");
    assert_eq!(labels["app.kubernetes.io/managed-by"], "headscale-operator");
    let first = bench.text("ci").await.expect("a key");

    // The Secret is moved, and the key with it.
    bench.patch::<HeadscalePreAuthKey>("ci", json!({ "spec": { "secretName": "moved" } })).await;
    running.until("moved", async || bench.secret("ci").await.is_none()).await;
    running.until("ready", async || bench.is_key_ready("ci").await).await;
    assert_eq!(bench.text("moved").await.as_deref(), Some(&*first));
    assert_eq!(bench.keys().await.len(), 1, "it is the same key");

    // What others write into it stays, what is ours comes back.
    let meddle = json!({
        "metadata": { "labels": { "headscale.infrado.cloud/type": "x", "theirs": "yes" } },
    });
    bench.patch::<Secret>("moved", meddle).await;
    running
        .until("mended", async || {
            let labels = bench.secret("moved").await.and_then(|it| it.metadata.labels);
            let labels = labels.expect("labels");
            labels["headscale.infrado.cloud/type"] == "preauth-key" && labels["theirs"] == "yes"
        })
        .await;

    // Another key is wanted: the old one ends.
    bench.patch::<HeadscalePreAuthKey>("ci", json!({ "spec": { "reusable": true } })).await;
    running.until("ready", async || bench.is_key_ready("ci").await).await;
    running.until("one key", async || bench.keys().await.len() == 1).await;
    let second = bench.text("moved").await.expect("a key");
    assert_ne!(first, second);
    assert!(bench.join(&first).is_err());
    bench.join(&second).expect("joined");
    bench.join(&second).expect("joined once more");

    // The Secret is deleted by hand: a new one with a new key, and the old one ends.
    bench.delete::<Secret>("moved").await;
    running
        .until("a new key", async || bench.text("moved").await.is_some_and(|text| text != second))
        .await;
    running.until("ready", async || bench.is_key_ready("ci").await).await;
    running.until("one that works", async || bench.working().await.len() == 1).await;
    assert!(bench.join(&second).is_err());

    // Deleted by hand in Headscale: a new one.
    let third = bench.text("moved").await.expect("a key");
    let id = bench.working().await[0].id;
    bench.http.delete_preauth_key(id).await.expect("deleted");
    running
        .until("a new key", async || bench.text("moved").await.is_some_and(|text| text != third))
        .await;
    running.until("ready", async || bench.is_key_ready("ci").await).await;

    bench.delete::<HeadscalePreAuthKey>("ci").await;
    running.until("gone", async || bench.pre_auth_key("ci").await.is_none()).await;
    assert!(bench.secret("moved").await.is_none());
    assert!(bench.working().await.is_empty());
    // Nodes may have joined with these, and are known by them: they are there, and expired.
    assert!(bench.keys().await.iter().all(|key| key.reusable));
    assert_eq!(bench.keys().await.len(), 2);
    bench.tells_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_its_whole_life_in_0_28() {
    life(Version::V0_28).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_its_whole_life_in_0_29() {
    life(Version::V0_29).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_its_whole_life_in_0_30() {
    life(Version::V0_30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_ended_is_told_and_replaced_where_that_is_asked_for() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    bench.make_key("once", json!({ "tags": ["tag:ci"] })).await;
    bench.make_key("short", json!({ "tags": ["tag:ci"], "expiration": "1s" })).await;
    bench
        .make_key("turned", json!({ "tags": ["tag:ci"], "expiration": "3s", "rotate": true }))
        .await;
    running.until("ready", async || bench.is_key_ready("once").await).await;
    running.until("ready", async || bench.is_key_ready("turned").await).await;
    let (first, turned) = (bench.text("once").await, bench.text("turned").await);
    bench.join(first.as_deref().expect("a key")).expect("joined");
    running.until("told", async || bench.ready_key("once").await.1 == "PreAuthKeyUsed").await;
    running.until("told", async || bench.ready_key("short").await.1 == "PreAuthKeyExpired").await;
    let status = bench.pre_auth_key("once").await.and_then(|key| key.status).expect("a status");
    assert_eq!(status.used, Some(true));
    assert_eq!(bench.text("once").await, first, "it is left as it is");
    // Without anything having happened, before it expires.
    running.until("replaced", async || bench.text("turned").await != turned).await;
    assert!(bench.is_key_ready("turned").await);

    bench.patch::<HeadscalePreAuthKey>("short", json!({ "spec": { "rotate": true } })).await;
    running.until("replaced", async || bench.is_key_ready("short").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_told_with_field_and_fix_and_nothing_is_made() {
    let Some(bench) = Bench::new(Version::V0_28).await else { return };
    let mut running = bench.operator().start();
    bench.make_headscale("other").await;
    bench.make_user("theirs", json!({ "headscaleRef": "other" })).await;
    let cases = [
        ("zero", json!({ "tags": ["tag:a"], "expiration": "0s" }), "InvalidSpec", "such as 24h"),
        ("upper", json!({ "tags": ["tag:CI"] }), "InvalidSpec", "tag:ci"),
        ("named", json!({ "tags": ["tag:a"], "secretName": "A b" }), "InvalidSpec", "secretName"),
        ("nobody", json!({ "userId": 77 }), "UserNotFound", "spec.userId"),
        ("absent", json!({ "headscaleUserRef": "x" }), "UserNotFound", "headscaleUserRef"),
        ("other", json!({ "headscaleUserRef": "theirs" }), "InvalidSpec", "user of that one"),
        ("lost", json!({ "tags": ["tag:a"], "headscaleRef": "y" }), "HeadscaleNotFound", "y"),
    ];
    for (name, spec, reason, hint) in cases {
        bench.make_key(name, spec).await;
        running.until("told", async || bench.ready_key(name).await.1 == reason).await;
        let (status, _, message) = bench.ready_key(name).await;
        assert!(status == "False" && message.contains(hint), "{name}: {message}");
    }
    assert!(bench.keys().await.is_empty());
    let secrets: Api<Secret> = bench.api();
    assert_eq!(secrets.list(&ListParams::default()).await.expect("Secrets").items.len(), 1);
    // All of them go without anything having been made.
    for name in ["zero", "nobody", "absent", "other", "lost"] {
        bench.delete::<HeadscalePreAuthKey>(name).await;
        running.until("gone", async || bench.pre_auth_key(name).await.is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_secret_is_neither_written_nor_deleted() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    let theirs = Secret {
        metadata: ObjectMeta { name: Some("theirs".to_owned()), ..ObjectMeta::default() },
        data: Some([("key".to_owned(), ByteString(b"precious".to_vec()))].into()),
        ..Secret::default()
    };
    let secrets: Api<Secret> = bench.api();
    let theirs = secrets.create(&PostParams::default(), &theirs).await.expect("created");
    bench.make_key("k", json!({ "tags": ["tag:a"], "secretName": "theirs" })).await;
    running.until("told", async || bench.ready_key("k").await.1 == "SecretConflict").await;
    assert!(bench.keys().await.is_empty(), "no key is made for it");
    // Neither is a Secret of ours given up for it.
    bench.patch::<HeadscalePreAuthKey>("k", json!({ "spec": { "secretName": "ours" } })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    bench.patch::<HeadscalePreAuthKey>("k", json!({ "spec": { "secretName": "theirs" } })).await;
    running.until("told", async || bench.ready_key("k").await.1 == "SecretConflict").await;
    assert!(bench.text("ours").await.is_some());
    bench.delete::<HeadscalePreAuthKey>("k").await;
    running.until("gone", async || bench.pre_auth_key("k").await.is_none()).await;
    assert_eq!(bench.secret("theirs").await, Some(theirs));
    assert!(bench.secret("ours").await.is_none());
    assert!(bench.working().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_without_owners_are_warned_of() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let policy = r#"{"tagOwners": {"tag:owned": ["group:ops"]}, "groups": {"group:ops": ["ops@"]}, "acls": []}"#;
    bench.http.set_policy(policy).await.expect("set");
    let mut running = bench.operator().start();
    bench.make_key("owned", json!({ "tags": ["tag:owned"] })).await;
    bench.make_key("stray", json!({ "tags": ["tag:owned", "tag:stray"] })).await;
    for (name, status) in [("owned", "True"), ("stray", "False")] {
        running.until("ready", async || bench.is_key_ready(name).await).await;
        let key = bench.pre_auth_key(name).await.expect("there");
        let conditions = key.status.expect("a status").conditions;
        let (is, _, message) = said(&conditions, "TagsOwned", key.metadata.generation);
        assert_eq!(is, status, "{message}");
        assert_eq!(message.contains("tag:stray"), name == "stray");
    }
}

/// As the Go operator leaves it: the key in the Secret, its number in the status.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_go_operator_is_taken_over_as_it_is() {
    let Some(bench) = Bench::new(Version::V0_28).await else { return };
    let user = bench.http.create_user(&NewUser::named("gina")).await.expect("made");
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    let request = NewPreAuthKey { reusable: true, ..NewPreAuthKey::of_user(user.id, tomorrow) };
    let made = bench.http.create_preauth_key(&request).await.expect("made");
    let spec = json!({ "userId": user.id, "reusable": true, "expiration": "24h" });
    let object = bench.make_key("old", spec).await;
    let labels = [
        ("app.kubernetes.io/managed-by".to_owned(), "headscale-operator".to_owned()),
        ("headscale.infrado.cloud/type".to_owned(), "preauth-key".to_owned()),
    ];
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("old".to_owned()),
            labels: Some(labels.into()),
            owner_references: object.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some([("key".to_owned(), ByteString(made.key.expose().as_bytes().to_vec()))].into()),
        ..Secret::default()
    };
    let secrets: Api<Secret> = bench.api();
    secrets.create(&PostParams::default(), &secret).await.expect("created");
    let api: Api<HeadscalePreAuthKey> = bench.api();
    let status = json!({ "status": { "keyId": made.details.id.to_string() } });
    let params = PatchParams::default();
    api.patch_status("old", &params, &Patch::Merge(status)).await.expect("written");
    let finalizers = ["headscale.infrado.cloud/preauthkey-finalizer"];
    let metadata = json!({ "metadata": { "finalizers": finalizers } });
    bench.patch::<HeadscalePreAuthKey>("old", metadata).await;

    let mut running = bench.operator().start();
    running.until("ready", async || bench.is_key_ready("old").await).await;
    assert_eq!(bench.text("old").await.as_deref(), Some(made.key.expose()));
    assert_eq!(bench.keys().await.len(), 1);
    bench.delete::<HeadscalePreAuthKey>("old").await;
    running.until("gone", async || bench.pre_auth_key("old").await.is_none()).await;
    assert!(bench.working().await.is_empty() && bench.secret("old").await.is_none());
}

/// Headscale 0.28.0 deletes the pre-auth keys of all users with one user.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_0_28_deletes_with_a_user_are_made_anew() {
    let Some(bench) = Bench::new(Version::V0_28).await else { return };
    let mut running = bench.operator().start();
    bench.make_user("one", json!({})).await;
    bench.make_user("two", json!({})).await;
    bench.make_key("k", json!({ "headscaleUserRef": "two" })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let before = bench.text("k").await;
    bench.delete::<HeadscaleUser>("one").await;
    running.until("gone", async || bench.user("one").await.is_none()).await;
    running
        .until("a new key that works", async || {
            let text = bench.text("k").await;
            text != before && bench.working().await.len() == 1 && bench.is_key_ready("k").await
        })
        .await;
    bench.join(&bench.text("k").await.expect("a key")).expect("joined");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_tells_of_each_key_that_replaces_another() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let mut running = bench.operator().start();
    bench.make_key("k", json!({ "tags": ["tag:a"] })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let events: Api<k8s_openapi::api::events::v1::Event> = bench.api();
    for field in ["ephemeral", "reusable"] {
        let changed = json!({ "spec": { field: true } });
        bench.patch::<HeadscalePreAuthKey>("k", changed).await;
        running.until("replaced", async || bench.is_key_ready("k").await).await;
        let status = bench.pre_auth_key("k").await.and_then(|key| key.status).expect("a status");
        let note = format!("key {} works until", status.key_id.expect("a number"));
        running
            .until("an Event", async || {
                let events = events.list(&ListParams::default()).await.expect("events").items;
                events.iter().any(|event| {
                    event.reason.as_deref() == Some("PreAuthKeyReplaced")
                        && event.note.as_ref().is_some_and(|it| it.starts_with(&note))
                })
            })
            .await;
    }
}
