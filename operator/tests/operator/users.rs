//! Users: their whole life, and what gets in its way.

use headscale_api::kinds::{Headscale, HeadscaleUser};
use headscale_client::{HeadscaleApi as _, NewPreAuthKey, NewUser};
use headscale_standin::Version;
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, ListParams, Patch, PatchParams};
use rustix::process::Signal;
use serde_json::json;

use crate::bench::{Bench, HEADSCALE};

const FORCE: &str = "headscale.infrado.cloud/force-delete";

async fn life(version: Version) {
    let Some(bench) = Bench::new(version).await else { return };
    let mut running = bench.operator().start();
    let spec = json!({ "displayName": "Alice A.", "email": "alice@example.com" });
    bench.make_user("alice", spec).await;
    running.until("ready", async || bench.is_user_ready("alice").await).await;
    let user = bench.user("alice").await.expect("there");
    let status = user.status.expect("a status");
    let [is] = <[_; 1]>::try_from(bench.users().await).expect("one user");
    assert_eq!(status.user_id, Some(is.id.to_string()));
    assert_eq!(status.created_at, is.created_at.map(|time| time.to_string()));
    assert_eq!(status.observed_generation, user.metadata.generation);
    assert_eq!(
        (&*is.name, &*is.display_name, &*is.email),
        ("alice", "Alice A.", "alice@example.com")
    );

    // Deleted by hand: it is made anew.
    bench.http.delete_user(is.id).await.expect("deleted");
    running.until("made anew", async || bench.users().await.len() == 1).await;
    let is = bench.users().await.remove(0);
    running
        .until("told", async || {
            let status = bench.user("alice").await.and_then(|user| user.status).expect("a status");
            status.user_id == Some(is.id.to_string()) && bench.is_user_ready("alice").await
        })
        .await;

    // Renamed by hand: that is told, and nothing is done.
    bench.http.rename_user(is.id, "alicia").await.expect("renamed");
    running.until("told", async || bench.ready_user("alice").await.1 == "UserRenamed").await;
    let (_, _, message) = bench.ready_user("alice").await;
    assert!(message.contains("alicia") && message.contains("rename"), "{message}");
    assert_eq!(bench.users().await.len(), 1);
    bench.http.rename_user(is.id, "alice").await.expect("renamed");
    running.until("ready", async || bench.is_user_ready("alice").await).await;

    // It has a node: it is deleted once that is gone.
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    let key = bench.http.create_preauth_key(&NewPreAuthKey::of_user(is.id, tomorrow)).await;
    let node = bench.join(key.expect("a key").key.expose()).expect("joined");
    bench.delete::<HeadscaleUser>("alice").await;
    running.until("told", async || bench.ready_user("alice").await.1 == "UserHasNodes").await;
    assert_eq!(bench.users().await.len(), 1);
    bench.http.delete_node(node).await.expect("deleted");
    running.until("gone", async || bench.user("alice").await.is_none()).await;
    assert!(bench.users().await.is_empty());

    running.signal(Signal::TERM);
    assert!(running.ended().await.success(), "{}", running.log());
    bench.tells_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_lives_its_whole_life_in_0_28() {
    life(Version::V0_28).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_lives_its_whole_life_in_0_29() {
    life(Version::V0_29).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_lives_its_whole_life_in_0_30() {
    life(Version::V0_30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_there_is_adopted_and_one_event_says_that_it_is_ready() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let made = bench.http.create_user(&NewUser::named("bob")).await.expect("made");
    let mut running = bench.operator().start();
    bench.make_user("bob", json!({ "displayName": "Bob" })).await;
    running.until("ready", async || bench.is_user_ready("bob").await).await;
    assert_eq!(bench.users().await, std::slice::from_ref(&made));
    let status = bench.user("bob").await.and_then(|user| user.status).expect("a status");
    assert_eq!(status.user_id, Some(made.id.to_string()));
    let (_, _, message) = bench.ready_user("bob").await;
    assert!(message.contains("displayName is different"), "{message}");
    let events: Api<k8s_openapi::api::events::v1::Event> = bench.api();
    running
        .until("an Event", async || {
            let mut events = events.list(&ListParams::default()).await.expect("events").items;
            events.retain(|it| {
                it.regarding.as_ref().is_some_and(|it| it.kind.as_deref() == Some("HeadscaleUser"))
            });
            events.len() == 1 && events[0].reason.as_deref() == Some("UserReady")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_of_two_objects_stands_for_the_user_and_the_younger_inherits() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    bench.make_user("carol", json!({})).await;
    running.until("ready", async || bench.is_user_ready("carol").await).await;
    // Ages are told to the second; then the uid decides, which nobody foresees.
    let created = bench.user("carol").await.expect("there").metadata.creation_timestamp;
    let second = created.expect("a time").0.as_second();
    running.until("a second later", async || Timestamp::now().as_second() > second).await;
    bench.make_user("carol-too", json!({ "username": "carol" })).await;
    running.until("told", async || bench.ready_user("carol-too").await.1 == "UserClaimed").await;
    let is = bench.users().await;
    bench.delete::<HeadscaleUser>("carol").await;
    running.until("inherited", async || bench.is_user_ready("carol-too").await).await;
    assert!(bench.user("carol").await.is_none());
    assert_eq!(bench.users().await, is, "the user stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_keeps_a_deleted_user_for_ever() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let mut running = bench.operator().flag("deletion-patience", "1s").start();
    for name in ["away", "forced", "last"] {
        bench.make_user(name, json!({})).await;
        running.until("ready", async || bench.is_user_ready(name).await).await;
    }
    // It has a node, and the annotation says that it does not matter.
    let users = bench.users().await;
    let forced = users.iter().find(|user| user.name == "forced").expect("there");
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    let key = bench.http.create_preauth_key(&NewPreAuthKey::of_user(forced.id, tomorrow)).await;
    bench.join(key.expect("a key").key.expose()).expect("joined");
    bench.delete::<HeadscaleUser>("forced").await;
    running.until("told", async || bench.ready_user("forced").await.1 == "UserHasNodes").await;
    bench
        .patch::<HeadscaleUser>(
            "forced",
            json!({ "metadata": { "annotations": { FORCE: "true" } } }),
        )
        .await;
    running.until("gone", async || bench.user("forced").await.is_none()).await;
    assert_eq!(bench.users().await.len(), 3);
    // Headscale does not answer.
    bench.cut_headscale();
    bench.delete::<HeadscaleUser>("away").await;
    running.until("gone", async || bench.user("away").await.is_none()).await;
    // There is no Headscale any more.
    bench.delete::<Headscale>(HEADSCALE).await;
    bench.delete::<HeadscaleUser>("last").await;
    running.until("gone", async || bench.user("last").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_and_its_coming_is_noticed() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().flag("resync", "10m").start();
    bench.make_user("dave", json!({ "headscaleRef": "other" })).await;
    running.until("told", async || bench.ready_user("dave").await.1 == "HeadscaleNotFound").await;
    let (_, _, message) = bench.ready_user("dave").await;
    assert!(message.contains("spec.headscaleRef"), "{message}");
    bench.make_headscale("other").await;
    running.until("told", async || bench.ready_user("dave").await.1 == "UserCreationFailed").await;
    let (_, _, message) = bench.ready_user("dave").await;
    assert!(message.contains("other-api-key"), "{message}");
    drop(running);
    let proxied = bench.headscale.address().expect("it listens");
    let resolve = format!("other.{}.svc={proxied}", bench.namespace);
    let mut running = bench.operator().also("resolve", &resolve).start();
    bench.put_api_key("other").await;
    running.until("ready", async || bench.is_user_ready("dave").await).await;
    // It was made there, and stays there.
    bench.patch::<HeadscaleUser>("dave", json!({ "spec": { "headscaleRef": HEADSCALE } })).await;
    running.until("told", async || bench.ready_user("dave").await.1 == "HeadscaleRefChanged").await;
    bench.patch::<HeadscaleUser>("dave", json!({ "spec": { "headscaleRef": "other" } })).await;
    running.until("ready", async || bench.is_user_ready("dave").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_left_alone() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    let paused = |value| json!({ "metadata": { "annotations": { "headscale.infrado.cloud/paused": value } } });
    bench.patch::<Headscale>(HEADSCALE, paused(json!("true"))).await;
    bench.make_user("erin", json!({})).await;
    bench.make_user("frank", json!({})).await;
    // One that is not paused shows that the others had their turn.
    bench.patch::<HeadscaleUser>("frank", paused(json!("true"))).await;
    bench.patch::<Headscale>(HEADSCALE, paused(json!(null))).await;
    running.until("ready", async || bench.is_user_ready("erin").await).await;
    let frank = bench.user("frank").await.expect("there");
    assert!(frank.metadata.finalizers.is_none() && frank.status.is_none(), "{frank:?}");
    bench.patch::<HeadscaleUser>("frank", paused(json!(null))).await;
    running.until("ready", async || bench.is_user_ready("frank").await).await;
}

/// As the Go operator leaves them: whole seconds, no generation, its own finalizer.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_go_operator_is_taken_over_as_it_is() {
    let Some(bench) = Bench::new(Version::V0_28).await else { return };
    let made = bench.http.create_user(&NewUser::named("gina")).await.expect("made");
    bench.make_user("gina", json!({})).await;
    let finalizers = ["headscale.infrado.cloud/user-finalizer"];
    bench.patch::<HeadscaleUser>("gina", json!({ "metadata": { "finalizers": finalizers } })).await;
    let second = made.created_at.expect("a time").strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let status = json!({ "status": {
        "userId": made.id.to_string(),
        "createdAt": second,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "UserReady",
            "message": "User is ready in Headscale", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    } });
    let api: Api<HeadscaleUser> = bench.api();
    let params = PatchParams::default();
    api.patch_status("gina", &params, &Patch::Merge(status)).await.expect("written");
    let mut running = bench.operator().start();
    running.until("ready", async || bench.is_user_ready("gina").await).await;
    let user = bench.user("gina").await.expect("there");
    let status = user.status.expect("a status");
    assert_eq!(status.created_at.as_deref(), Some(&*second), "what was said stays");
    let since = status.conditions[0].last_transition_time.0.to_string();
    assert_eq!(since, "2026-01-01T00:00:00Z", "it was ready all the time");
    assert_eq!(bench.users().await, [made]);
    bench.delete::<HeadscaleUser>("gina").await;
    running.until("gone", async || bench.user("gina").await.is_none()).await;
    assert!(bench.users().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_same_name_in_another_headscale_keeps_none_from_being_deleted() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    bench.make_headscale("other").await;
    bench.make_user("erin", json!({})).await;
    running.until("ready", async || bench.is_user_ready("erin").await).await;
    bench.make_user("erin-there", json!({ "username": "erin", "headscaleRef": "other" })).await;
    let moved = json!({ "spec": { "headscaleRef": "other" } });
    bench.patch::<HeadscaleUser>("erin", moved).await;
    let is_told = async || bench.ready_user("erin").await.1 == "HeadscaleRefChanged";
    running.until("told", is_told).await;
    bench.delete::<HeadscaleUser>("erin").await;
    running.until("gone", async || bench.user("erin").await.is_none()).await;
    assert!(bench.users().await.is_empty(), "the user went with it");
}
