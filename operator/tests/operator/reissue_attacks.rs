//! What a pod can do that writes its own state Secret as it likes: nothing to others.

use headscale_client::{HeadscaleApi as _, NewPreAuthKey, NewUser};
use headscale_standin::Version;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::bench::Bench;
use crate::reissue::{operator, prefix};
use crate::replica::{Replica, TEMPLATE, prepare};

/// A node that came in with a key like those of the operator, which it did not make.
async fn somebody(bench: &Bench) -> u64 {
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    let key = NewPreAuthKey::tagged(["tag:proxy"], until);
    let key = bench.http.create_preauth_key(&key).await.expect("made").key;
    bench.join(key.expose()).expect("let in")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_the_replicas_is_never_deleted() {
    for version in [Version::V0_28, Version::V0_29, Version::V0_30] {
        let Some(bench) = Bench::new(version).await else { return };
        prepare(&bench).await;
        let mut running = operator(&bench).start();
        let victim = Replica::new(&bench, "victim", json!({})).await;
        let key = victim.another(&mut running, None).await;
        let of_replica = victim.settles(&mut running, &key).await;
        let alice = bench.http.create_user(&NewUser::named("alice")).await.expect("made");
        let until = Timestamp::now() + SignedDuration::from_hours(1);
        let hers = NewPreAuthKey::of_user(alice.id, until);
        let hers = bench.http.create_preauth_key(&hers).await.expect("made").key;
        let of_user = bench.join(hers.expose()).expect("let in");
        let of_same_tags = somebody(&bench).await;

        let attacker = Replica::new(&bench, "attacker", json!({})).await;
        let mut key = attacker.another(&mut running, None).await;
        // As old as can be, so that nothing but the proof keeps them; then as new.
        for is_expired in [true, false] {
            for node in [of_replica, of_user, of_same_tags] {
                if is_expired {
                    attacker.expires(node).await;
                }
                let asks = json!({ "device_id": node.to_string(), "reissue_authkey": key });
                attacker.write(asks).await;
                key = attacker.another(&mut running, Some(&key)).await;
                let told = format!("device_id names node {node},");
                running
                    .until("told", async || attacker.is_told("StaleNodeKept", &told).await)
                    .await;
                // In as another one, which would retire a node that was kept.
                attacker.clears().await;
                let own = attacker.settles(&mut running, &key).await;
                attacker.write(json!({ "device_id": node.to_string() })).await;
                attacker.is_looked_at(&mut running).await;
                attacker.write(json!({ "reissue_authkey": "" })).await;
                key = attacker.another(&mut running, None).await;
                assert!(attacker.has_node(node).await, "{version:?}: {node} is not its own");
                assert_eq!(attacker.record().await.kept, None);
                attacker.write(json!({ "device_id": own.to_string() })).await;
            }
        }
        for node in [of_replica, of_user, of_same_tags] {
            assert!(attacker.has_node(node).await);
        }
        bench.tells_no_secret().await;
    }
}

/// As after a database was lost: numbers are used again.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_used_again_proves_nothing() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    running.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let key = replica.another(&mut running, None).await;
    let node = replica.settles(&mut running, &key).await;
    let number = replica.record().await.keys[0].id;
    drop(running);
    bench.headscale.wipe();
    bench.headscale.plant_api_key(bench.key.expose(), None);
    // Others come in under the numbers of the node and of its key.
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    loop {
        let new = NewPreAuthKey::tagged(["tag:proxy"], until);
        let made = bench.http.create_preauth_key(&new).await.expect("made");
        if made.details.id == number {
            assert_eq!(bench.join(made.key.expose()), Ok(node));
            break;
        }
    }
    replica.expires(node).await;
    replica.write(json!({ "reissue_authkey": "" })).await;
    let mut running = operator(&bench).start();
    replica.another(&mut running, None).await;
    assert!(replica.has_node(node).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_is_made_up_gets_nothing() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    let other = Replica::new(&bench, "other", json!({})).await;
    let others = other.another(&mut running, None).await;
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let key = replica.another(&mut running, None).await;
    let template = bench.text(TEMPLATE).await.expect("a key");
    let before = bench.keys().await;
    for marker in ["", "no-authkey", "x", &others, &template, &"k".repeat(100_000)] {
        replica.write(json!({ "reissue_authkey": marker })).await;
        replica.is_looked_at(&mut running).await;
        assert_eq!(replica.key().await.as_deref(), Some(&*key));
        assert_eq!(other.key().await.as_deref(), Some(&*others));
        assert_eq!(bench.keys().await, before);
    }
    // Neither does what is no number, or none of a node.
    for device in ["", "-1", "1e3", "18446744073709551616", "../1", "nodeid-1"] {
        replica.write(json!({ "device_id": device, "reissue_authkey": null })).await;
        replica.is_looked_at(&mut running).await;
        assert_eq!(replica.key().await.as_deref(), Some(&*key));
    }
    bench.tells_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_the_pod_changes_gets_it_no_other_key() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    prepare(&bench).await;
    bench.make_key("admin", json!({ "tags": ["tag:admin"] })).await;
    let guarded = json!({ "metadata": { "annotations": {
        "headscale.infrado.cloud/reissue-to": "router-*, gate"
    } } });
    bench.patch::<headscale_api::kinds::HeadscalePreAuthKey>("admin", guarded).await;
    let mut running = operator(&bench).start();
    running.until("ready", async || bench.is_key_ready("admin").await).await;
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let key = replica.another(&mut running, None).await;
    let relabel =
        json!({ "metadata": { "labels": { "headscale.infrado.cloud/reissue": "admin" } } });
    bench.patch::<Secret>("proxy-0", relabel).await;
    replica.write(json!({ "reissue_authkey": key })).await;
    let told = async || replica.is_told("ReissueRefused", "set the label back").await;
    running.until("told", told).await;
    assert_eq!(replica.key().await.as_deref(), Some(&*key));

    // One that has it from the start is not let either, where the key says who may.
    let other = Replica::labelled(&bench, "proxy-1", "admin", json!({})).await;
    let told = async || other.is_told("ReissueRefused", "does not have proxy-1").await;
    running.until("told", told).await;
    assert!(other.config().await.is_none());
    for allowed in ["router-7", "gate"] {
        let router = Replica::labelled(&bench, allowed, "admin", json!({})).await;
        let key = router.another(&mut running, None).await;
        let listed = bench.keys().await.into_iter().find(|it| key.contains(prefix(it)));
        assert_eq!(listed.expect("listed").acl_tags, ["tag:admin"]);
    }
    let tagged = bench.keys().await.into_iter().filter(|key| key.acl_tags == ["tag:admin"]).count();
    assert_eq!(tagged, 3, "its own, and two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_namespace_is_not_found() {
    let (Some(bench), Some(theirs)) =
        (Bench::new(Version::V0_29).await, Bench::new(Version::V0_29).await)
    else {
        return;
    };
    prepare(&theirs).await;
    theirs.make_key("theirs", json!({ "tags": ["tag:a"] })).await;
    let mut running = bench
        .operator()
        .also("namespace", &theirs.namespace)
        .also("resolve", &theirs.resolve())
        .flag("kubeconfig", &bench.admin_kubeconfig())
        .start();
    running.until("ready", async || theirs.is_key_ready("theirs").await).await;
    let replica = Replica::labelled(&bench, "proxy-0", "theirs", json!({})).await;
    let told =
        async || replica.is_told("ReissueRefused", "has no HeadscalePreAuthKey theirs").await;
    running.until("told", told).await;
    assert!(replica.config().await.is_none());
    assert_eq!(theirs.keys().await.iter().filter(|key| key.acl_tags == ["tag:a"]).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_is_not_written() {
    let Some(bench) = Bench::new(Version::V0_28).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    let theirs = Secret {
        metadata: ObjectMeta { name: Some("proxy-0-config".to_owned()), ..ObjectMeta::default() },
        data: Some([("cap-106.hujson".to_owned(), ByteString(b"{}".to_vec()))].into()),
        ..Secret::default()
    };
    let secrets: Api<Secret> = bench.api();
    let theirs = secrets.create(&PostParams::default(), &theirs).await.expect("created");
    let replica = Replica::new(&bench, "proxy-0", json!({ "reissue_authkey": "" })).await;
    let told = async || replica.is_told("ReissueRefused", "does not have the labels").await;
    running.until("told", told).await;
    assert_eq!(replica.config().await, Some(theirs));

    // One that was made for it, with what it is to say, is filled.
    bench.delete::<Secret>("proxy-0-config").await;
    running.until("a key", async || replica.key().await.is_some()).await;
    Replica { bench: &bench, name: "proxy-1".to_owned() }.put_config(None).await;
    let ready = Replica::new(&bench, "proxy-1", json!({ "reissue_authkey": "" })).await;
    running.until("a key", async || ready.key().await.is_some()).await;

    // A file that cannot be read is left as it is, and nothing of it is told.
    let broken = json!({ "stringData": { "cap-106.hujson": "{ \"AuthKey\": precious" } });
    bench.patch::<Secret>("proxy-1-config", broken).await;
    let told = async || ready.is_told("ReissueRefused", "cap-106.hujson:1:14 is not HuJSON").await;
    running.until("told", told).await;
    assert!(!running.log().contains("precious"));
    let config = ready.config().await.expect("a Secret");
    assert_eq!(config.data.as_ref().expect("data")["cap-106.hujson"].0, b"{ \"AuthKey\": precious");
    assert_eq!(config.labels()["headscale.infrado.cloud/type"], "reissue-config");
}
