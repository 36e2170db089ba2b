//! Auth keys of nodes: what is answered when.

use headscale_api::kinds::HeadscalePreAuthKey;
use headscale_standin::Version;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource as _;
use serde_json::json;

use crate::bench::Bench;
use crate::program::Operator;
use crate::replica::{Replica, SERVER_URL, TEMPLATE, prepare};

/// One whose bucket fills fast.
pub(crate) fn operator(bench: &Bench) -> Operator {
    bench.operator().flag("reissue-interval", "50ms").flag("resync", "30s")
}

const ALL: [Version; 3] = [Version::V0_28, Version::V0_29, Version::V0_30];

/// A whole life: first key, in, lost, asked, answered, in again.
async fn life(version: Version) {
    let Some(bench) = Bench::new(version).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    running.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;
    let own = bench.text(TEMPLATE).await.expect("a key");
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let first = replica.another(&mut running, None).await;
    assert_ne!(first, own, "the object's own key is never handed out");
    let file = replica.file().await.expect("a file");
    let expected = json!({
        "Version": "alpha0", "ServerURL": SERVER_URL, "Hostname": "proxy-0", "AuthKey": first,
        "acceptDNS": false, "acceptRoutes": false, "Locked": false,
    });
    assert_eq!(file, expected);
    let state = bench.secret("proxy-0").await.expect("a Secret");
    let config = replica.config().await.expect("a Secret");
    let owner = config.metadata.owner_references.as_ref().expect("an owner")[0].clone();
    assert_eq!((owner.kind.as_str(), Some(owner.uid)), ("Secret", state.meta().uid.clone()));
    let made = bench.keys().await.into_iter().find(|key| first.contains(prefix(key)));
    let made = made.expect("listed");
    assert!(!made.reusable && made.acl_tags == ["tag:proxy"], "tags of the object, for one use");

    let old = replica.settles(&mut running, &first).await;
    assert!(replica.has_node(old).await);

    // What is written by hand stays.
    let by_hand = json!({ "stringData": { "cap-106.hujson":
        format!("{{\n\t// ours\n\t\"version\": \"alpha0\",\n\t\"ServerURL\": \"{SERVER_URL}\",\n\t\"ShieldsUp\": true,\n}}\n")
    }});
    bench.patch::<Secret>("proxy-0-config", by_hand).await;

    // It lost its login: asks without a key, with its node expired.
    replica.expires(old).await;
    replica.write(json!({ "reissue_authkey": "" })).await;
    let written = async || {
        let config = replica.config().await.expect("a Secret").data.expect("data");
        let text = String::from_utf8(config["cap-106.hujson"].0.clone()).expect("text");
        text.contains("hskey-auth-").then_some(text)
    };
    running.until("answered", async || written().await.is_some()).await;
    let text = written().await.expect("text");
    assert!(text.contains("// ours") && text.contains("\"ShieldsUp\": true"), "{version:?}");
    assert!(!replica.has_node(old).await, "the old node is deleted first");
    assert!(replica.state().await.contains_key("reissue_authkey"), "the marker is the pod's");
    let (_, rest) = text.split_once("\"AuthKey\": \"").expect("a key");
    let second = rest.split_once('"').expect("a key").0.to_owned();

    // Answered: it stays so however often it is looked at.
    let before = bench.writes().len();
    replica.is_looked_at(&mut running).await;
    assert_eq!(bench.writes().len(), before);
    replica.clears().await;
    replica.enters(&second).await;
    running.until("dropped", async || written().await.is_none()).await;

    // At rest nothing is written or asked.
    replica.is_looked_at(&mut running).await;
    bench.proxy.reset();
    replica.is_looked_at(&mut running).await;
    assert_eq!(bench.writes(), Vec::<String>::new());
    let reasons: Vec<String> = replica.told().await.into_iter().map(|it| it.0).collect();
    for reason in ["AuthKeyIssued", "StaleNodeDeleted", "AuthKeyReissued"] {
        assert!(reasons.iter().any(|it| it == reason), "{reason}: {reasons:?}");
    }
    bench.tells_no_secret().await;
}

pub(crate) fn prefix(key: &headscale_client::PreAuthKey) -> &str {
    key.prefix.as_ref().expect("a prefix").as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_given_keys_through_its_life_in_0_28() {
    life(Version::V0_28).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_given_keys_through_its_life_in_0_29() {
    life(Version::V0_29).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_given_keys_through_its_life_in_0_30() {
    life(Version::V0_30).await;
}

/// The table of the protocol: what becomes of the config's key.
async fn table(version: Version) {
    let Some(bench) = Bench::new(version).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    running.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;

    // No config Secret: a new key, whatever else there is.
    let fresh = Replica::new(&bench, "fresh", json!({})).await;
    let k1 = fresh.another(&mut running, None).await;
    let stale = Replica::new(&bench, "stale", json!({ "device_id": "99" })).await;
    stale.another(&mut running, None).await;
    let asking = Replica::new(&bench, "asking", json!({ "reissue_authkey": "" })).await;
    asking.another(&mut running, None).await;

    // A key, and no device yet: it stays.
    fresh.is_looked_at(&mut running).await;
    assert_eq!(fresh.key().await.as_deref(), Some(&*k1));
    // A marker that names another key: answered.
    fresh.write(json!({ "reissue_authkey": "hskey-auth-other" })).await;
    fresh.is_looked_at(&mut running).await;
    assert_eq!(fresh.key().await.as_deref(), Some(&*k1));
    // A device, and no marker: the key is dropped once it was used.
    fresh.write(json!({ "reissue_authkey": null })).await;
    let node = fresh.settles(&mut running, &k1).await;
    // No key, and a device: nothing.
    let before = bench.keys().await.len();
    fresh.is_looked_at(&mut running).await;
    assert_eq!((fresh.key().await, bench.keys().await.len()), (None, before));
    // No key, no device, no marker: nothing, the pod will ask.
    fresh.write(json!({ "device_id": null })).await;
    fresh.is_looked_at(&mut running).await;
    assert_eq!((fresh.key().await, bench.keys().await.len()), (None, before));
    // No key, and an empty marker: a new key, and the old node goes.
    fresh.expires(node).await;
    fresh.write(json!({ "device_id": node.to_string(), "reissue_authkey": "" })).await;
    let k2 = fresh.another(&mut running, None).await;
    assert!(!fresh.has_node(node).await);
    // A marker that names the key at hand: the same, though the pod never said which node it is.
    bench.join(&k2).expect("let in");
    fresh.write(json!({ "device_id": null, "reissue_authkey": k2.as_str() })).await;
    let k3 = fresh.another(&mut running, Some(&k2)).await;
    fresh.clears().await;
    fresh.settles(&mut running, &k3).await;
    // A device that is gone in Headscale: the key is not used yet, and stays.
    stale.is_looked_at(&mut running).await;
    assert!(stale.key().await.is_some());
    bench.tells_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_kept_and_dropped_as_the_table_of_the_protocol_says() {
    for version in ALL {
        table(version).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_asks_without_need_gets_another_key_and_its_old_node_goes_later() {
    for version in ALL {
        let Some(bench) = Bench::new(version).await else { return };
        prepare(&bench).await;
        let mut running = operator(&bench).start();
        let replica = Replica::new(&bench, "proxy-0", json!({})).await;
        // With a key that works still: it is expired.
        let first = replica.another(&mut running, None).await;
        replica.write(json!({ "reissue_authkey": first })).await;
        let second = replica.another(&mut running, Some(&first)).await;
        assert!(bench.join(&first).is_err(), "{version:?}");
        replica.clears().await;
        let old = replica.settles(&mut running, &second).await;
        // With a node that was seen just now.
        replica.write(json!({ "reissue_authkey": "" })).await;
        let third = replica.another(&mut running, None).await;
        assert!(replica.has_node(old).await, "{version:?}: nothing was wrong with it");
        replica.clears().await;
        let new = replica.settles(&mut running, &third).await;
        running.until("retired", async || !replica.has_node(old).await).await;
        assert!(replica.has_node(new).await);
        running.until("noted", async || replica.record().await.kept.is_none()).await;
        bench.tells_no_secret().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_nodes_are_kept_where_that_is_asked_for() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    bench.make_user("alice", json!({})).await;
    bench.make_key("hers", json!({ "headscaleUserRef": "alice" })).await;
    running.until("ready", async || bench.is_key_ready("hers").await).await;
    let policy = |value: &str| {
        let name = "headscale.infrado.cloud/reissue-policy";
        json!({ "metadata": { "annotations": { name: value } } })
    };
    // A node with tags that has expired would stay so for ever, and goes all the same.
    for (name, label, is_kept) in [("proxy-0", "hers", true), ("proxy-1", TEMPLATE, false)] {
        let replica = Replica::labelled(&bench, name, label, json!({})).await;
        bench.patch::<Secret>(name, policy("KeepOld")).await;
        let first = replica.another(&mut running, None).await;
        let old = replica.settles(&mut running, &first).await;
        replica.expires(old).await;
        replica.write(json!({ "reissue_authkey": "" })).await;
        replica.another(&mut running, None).await;
        assert_eq!(replica.has_node(old).await, is_kept);
    }
    let replica = Replica { bench: &bench, name: "proxy-0".to_owned() };
    bench.patch::<Secret>("proxy-0", policy("Keep")).await;
    let told = async || replica.is_told("ReissueRefused", "expected Recreate or KeepOld").await;
    running.until("told", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_and_waited_for() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let mut running = operator(&bench).start();
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let told = async |part: &str| replica.is_told("ReissueRefused", part).await;
    running.until("told", async || told("has no HeadscalePreAuthKey").await).await;
    bench.make_key(TEMPLATE, json!({ "headscaleUserRef": "alice" })).await;
    running.until("told", async || told("spec.config.server_url").await).await;
    let config = json!({ "spec": { "config": { "server_url": SERVER_URL } } });
    bench.patch::<headscale_api::kinds::Headscale>("hs", config).await;
    running.until("told", async || told("HeadscaleUser alice not found").await).await;
    bench.make_user("alice", json!({})).await;
    running.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;
    replica.is_looked_at(&mut running).await;
    let key = replica.another(&mut running, None).await;
    let listed = bench.keys().await.into_iter().find(|it| key.contains(prefix(it)));
    let user = listed.expect("listed").user.expect("a user");
    assert_eq!(user.name, "alice");

    // Paused: nothing, until it is not.
    let pause = |value: &str| json!({ "metadata": { "annotations": { "headscale.infrado.cloud/paused": value } } });
    let node = replica.settles(&mut running, &key).await;
    replica.expires(node).await;
    bench.patch::<HeadscalePreAuthKey>(TEMPLATE, pause("true")).await;
    replica.is_looked_at(&mut running).await;
    replica.write(json!({ "reissue_authkey": "" })).await;
    replica.is_looked_at(&mut running).await;
    assert!(replica.key().await.is_none() && replica.has_node(node).await);
    bench.patch::<HeadscalePreAuthKey>(TEMPLATE, pause("false")).await;
    replica.another(&mut running, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reissued_while_headscale_is_away() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let first = replica.another(&mut running, None).await;
    let node = replica.settles(&mut running, &first).await;
    replica.expires(node).await;
    let before = replica.config().await;
    bench.cut_headscale();
    replica.write(json!({ "reissue_authkey": "" })).await;
    running.until("told", async || replica.is_told("AuthKeyReissueWaiting", "").await).await;
    assert_eq!(replica.config().await, before);
    bench.proxy.reset();
    replica.another(&mut running, None).await;
}
