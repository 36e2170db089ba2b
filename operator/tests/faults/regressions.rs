//! Faults that the Go operator has, and this one must not: those that no other test is about.

use std::time::{Duration, Instant};

use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::{HeadscaleApi as _, NewPreAuthKey, NewUser};
use headscale_faults::Fault;
use headscale_standin::Version;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::program::Running;
use crate::world;

/// It asked for the key of the user's number, and not of its own.
#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_key_ends_that_key_and_no_other() {
    for version in Version::ALL {
        let Some(bench) = Bench::new(version).await else { return };
        let by_hand = bench.http.create_user(&NewUser::named("by-hand")).await.expect("made");
        let later = Timestamp::now() + SignedDuration::from_hours(24);
        let request = NewPreAuthKey::of_user(by_hand.id, later);
        let first = bench.http.create_preauth_key(&request).await.expect("made").details.id;
        assert_eq!(first, by_hand.id, "the numbers of both are the same");
        let mut running = bench.operator().start();
        bench.make_key("k", json!({ "userId": by_hand.id })).await;
        bench.make_key("other", json!({ "userId": by_hand.id, "reusable": true })).await;
        running
            .until("ready", async || {
                bench.is_key_ready("k").await && bench.is_key_ready("other").await
            })
            .await;
        let other = bench.pre_auth_key("other").await.and_then(|key| key.status?.key_id);
        bench.delete::<HeadscalePreAuthKey>("k").await;
        running.until("gone", async || bench.pre_auth_key("k").await.is_none()).await;
        let working: Vec<u64> = bench.working().await.iter().map(|key| key.id).collect();
        assert_eq!(working, [first, other.and_then(|id| id.parse().ok()).expect("a number")]);
    }
}

/// It waited for ever for a Headscale that was gone, and the namespace with it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_keeps_a_deleted_key_for_ever() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().flag("deletion-patience", "1s").start();
    for name in ["away", "forced", "last"] {
        bench.make_key(name, json!({ "tags": ["tag:a"] })).await;
        running.until("ready", async || bench.is_key_ready(name).await).await;
    }
    bench.cut_headscale();
    let forced = json!({
        "metadata": { "annotations": { "headscale.infrado.cloud/force-delete": "true" } },
    });
    bench.patch::<HeadscalePreAuthKey>("forced", forced).await;
    for name in ["forced", "away"] {
        bench.delete::<HeadscalePreAuthKey>(name).await;
        running.until("gone", async || bench.pre_auth_key(name).await.is_none()).await;
        assert!(bench.secret(name).await.is_none(), "its Secret goes with it");
    }
    bench.delete::<headscale_api::kinds::Headscale>(HEADSCALE).await;
    bench.delete::<HeadscalePreAuthKey>("last").await;
    running.until("gone", async || bench.pre_auth_key("last").await.is_none()).await;
}

/// It made another one there, and expired a key of that number.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_in_the_headscale_in_which_it_was_made() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    bench.make_headscale("other").await;
    bench.put_api_key("other").await;
    let mut running = bench.operator().start();
    bench.make_key("k", json!({ "tags": ["tag:a"] })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let moved = |to: &str| json!({ "spec": { "headscaleRef": to } });
    bench.patch::<HeadscalePreAuthKey>("k", moved("other")).await;
    running.until("told", async || bench.ready_key("k").await.1 == "HeadscaleRefChanged").await;
    let (_, _, message) = bench.ready_key("k").await;
    assert!(message.contains("spec.headscaleRef") && message.contains("set it back"), "{message}");
    bench.patch::<HeadscalePreAuthKey>("k", moved(HEADSCALE)).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    assert_eq!(bench.keys().await.len(), 1);
}

/// A number without more is not a user: it is another one's after the database was replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_somebody_elses_by_now_is_not_taken_for_the_user() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    bench.make_user("olga", json!({})).await;
    bench.make_key("k", json!({ "headscaleUserRef": "olga" })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let id = bench.users().await[0].id;
    let began = Instant::now();
    // Times are told to the second.
    running.until("a second later", async || began.elapsed() > Duration::from_millis(1100)).await;
    bench.headscale.wipe();
    bench.headscale.plant_api_key(bench.key.expose(), None);
    let other = bench.http.create_user(&NewUser::named("by-hand")).await.expect("made");
    assert_eq!(other.id, id, "it got the number");
    running
        .until("made anew", async || world::differences(&bench, &["olga"], &["k"]).await.is_empty())
        .await;
    let key = bench.working().await.remove(0);
    let of = key.user.expect("a user");
    assert_eq!(of.name, "olga", "and not of the one that has the number");
}

/// It waited without an end, one object after the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_headscale_that_says_nothing_holds_up_no_other() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    bench.make_headscale("past").await;
    bench.put_api_key("past").await;
    let direct = bench.headscale.address().expect("it listens");
    let past = format!("past.{}.svc={direct}", bench.namespace);
    let mut running = bench.operator().also("resolve", &past).start();
    let proxied = bench.proxied.clone();
    bench.proxy.faults(move |request| {
        let is_it = request.listener == proxied;
        is_it.then_some(Fault::Delay(Duration::from_secs(600)))
    });
    // More than are looked at at a time.
    for number in 0..40 {
        bench.make_user(&format!("silent-{number}"), json!({})).await;
        bench.make_key(&format!("silent-{number}"), json!({ "tags": ["tag:a"] })).await;
    }
    let proxied = bench.proxied.clone();
    let is_asked = || bench.proxy.requests().iter().any(|request| request.listener == proxied);
    running.until("it is asked", async || is_asked()).await;
    let began = Instant::now();
    bench.make_user("u", json!({ "headscaleRef": "past" })).await;
    bench.make_key("k", json!({ "headscaleRef": "past", "tags": ["tag:a"] })).await;
    running
        .until("ready", async || bench.is_user_ready("u").await && bench.is_key_ready("k").await)
        .await;
    let took = began.elapsed();
    println!("ready after {took:?}, beside a Headscale that says nothing");
    assert!(took < Duration::from_secs(8), "a call takes 10 s at most: {took:?}");
}

/// It wrote the whole object back, with what it had made of the spec.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_declare_is_never_written() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let mut running = bench.operator().start();
    let user = bench.make_user("u", json!({ "displayName": "U" })).await;
    let key = bench.make_key("k", json!({ "headscaleUserRef": "u", "expiration": "90m" })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    assert_eq!(bench.user("u").await.expect("there").spec, user.spec);
    assert_eq!(bench.pre_auth_key("k").await.expect("there").spec, key.spec);
    let fields = async |object: Value| {
        let fields = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let ours: Vec<Value> =
            fields.into_iter().filter(|it| it["manager"] == "headscale-operator").collect();
        assert!(!ours.is_empty(), "it writes under its name");
        ours
    };
    let user = serde_json::to_value(bench.user("u").await).expect("JSON");
    let key = serde_json::to_value(bench.pre_auth_key("k").await).expect("JSON");
    for ours in [fields(user).await, fields(key).await].concat() {
        assert!(ours["fieldsV1"]["f:spec"].is_null(), "{ours}");
    }
}

/// It kept all Secrets of the cluster in memory.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_keep_in_secrets_takes_no_memory() {
    /// Of 512 KiB each.
    const SECRETS: usize = 48;
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    bench.make_key("k", json!({ "tags": ["tag:a"] })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let memory = |running: &Running| {
        let pid = running.pid().as_raw_nonzero();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a size") / 1024
    };
    let before = memory(&running);
    let secrets: Api<Secret> = bench.api();
    for number in 0..SECRETS {
        let name = Some(format!("theirs-{number}"));
        let secret = Secret {
            metadata: ObjectMeta { name, ..ObjectMeta::default() },
            data: Some([("data".to_owned(), ByteString(vec![7; 512 * 1024]))].into()),
            ..Secret::default()
        };
        secrets.create(&PostParams::default(), &secret).await.expect("created");
    }
    drop(running);
    let mut running = bench.operator().start();
    bench.make_key("later", json!({ "tags": ["tag:a"] })).await;
    running.until("ready", async || bench.is_key_ready("later").await).await;
    let after = memory(&running);
    assert!(after < before + 12, "{before} MiB before, {after} MiB after");
}

/// A Secret that was taken away from its object by hand, and that the key then leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_without_its_owner_is_not_left_behind() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let mut running = bench.operator().start();
    bench.make_key("k", json!({ "tags": ["tag:a"] })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    drop(running);
    let before = bench.text("k").await;
    bench.patch::<Secret>("k", json!({ "metadata": { "ownerReferences": null } })).await;
    let moved = json!({ "spec": { "secretName": "moved" } });
    bench.patch::<HeadscalePreAuthKey>("k", moved).await;
    let mut running = bench.operator().start();
    running
        .until("moved", async || {
            bench.text("moved").await == before && bench.secret("k").await.is_none()
        })
        .await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    // The same while it stays where it is: it gets its owner back.
    bench.patch::<Secret>("moved", json!({ "metadata": { "ownerReferences": null } })).await;
    running
        .until("mended", async || {
            let owners = bench.secret("moved").await.and_then(|it| it.metadata.owner_references);
            owners.is_some_and(|owners| owners.len() == 1)
        })
        .await;
    assert_eq!(bench.text("moved").await, before);
}

/// It started as many as were asked for, each with a database of its own.
#[tokio::test(flavor = "multi_thread")]
async fn one_server_runs_whatever_replicas_are_asked_for() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    bench.make_instance("three", json!({ "replicas": 3 })).await;
    let sets: Api<StatefulSet> = bench.api();
    running
        .until("it is made", async || sets.get_opt("three").await.expect("read").is_some())
        .await;
    let set = sets.get("three").await.expect("there");
    assert_eq!(set.spec.and_then(|spec| spec.replicas), Some(1));
}

/// Users whose names the Go operator refused, or never found again.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_one_name_each_and_users_of_another() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let mut running = bench.operator().start();
    let names = ["anna-b", "x1"];
    for name in names {
        bench.make_user(&format!("object-{name}"), json!({ "username": name })).await;
    }
    for name in names {
        let object = format!("object-{name}");
        running.until("ready", async || bench.is_user_ready(&object).await).await;
    }
    let mut is: Vec<String> = bench.users().await.into_iter().map(|user| user.name).collect();
    is.sort();
    assert_eq!(is, names);
    // What no Headscale takes is refused when it is applied.
    for name in ["-a", "a b", ""] {
        let spec = json!({ "headscaleRef": HEADSCALE, "username": name });
        let spec = serde_json::from_value(spec).expect("a spec");
        let users: Api<HeadscaleUser> = bench.api();
        let refused = users.create(&PostParams::default(), &HeadscaleUser::new("bad", spec)).await;
        assert!(refused.is_err(), "{name:?}");
    }
}
