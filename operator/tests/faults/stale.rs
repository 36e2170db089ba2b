//! An operator that starts with a view of the cluster that is old: of an API server that lags
//! behind, and by watches that bring what happened since only later.

use std::collections::BTreeMap;
use std::time::Duration;

use headscale_api::kinds::{
    Headscale, HeadscalePolicy, HeadscalePolicySpec, HeadscalePreAuthKey, HeadscaleUser,
};
use headscale_faults::{Answer, Fault};
use headscale_standin::Version;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::PostParams;
use serde_json::json;

use crate::bench::{Bench, HEADSCALE, said};
use crate::world;

/// How long what happened since is not told of.
const LAG: Duration = Duration::from_secs(2);

/// The collections that the operator starts from, as the API server has them now.
async fn lists(bench: &Bench) -> BTreeMap<String, String> {
    let mut lists = BTreeMap::new();
    let (client, namespace) = (bench.cluster.client(), &bench.namespace);
    let group = format!("/apis/headscale.infrado.cloud/v1beta1/namespaces/{namespace}");
    for path in [format!("{group}/headscaleusers"), format!("{group}/headscalepreauthkeys")] {
        let request = http::Request::get(&path).body(Vec::new()).expect("a request");
        let text = client.request_text(request).await.expect("a list");
        lists.insert(path, text);
    }
    lists
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_view_of_the_cluster_makes_nothing_that_nobody_wants() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    for name in ["owner", "gone", "changed"] {
        bench.make_user(name, json!({})).await;
    }
    for name in ["turned", "ended", "stays"] {
        bench.make_key(name, json!({ "headscaleUserRef": "owner" })).await;
    }
    let (users, keys) = (["owner", "gone", "changed"], ["turned", "ended", "stays"]);
    let converged = async |users: &[&str], keys: &[&str]| {
        world::differences(&bench, users, keys).await.is_empty()
    };
    running.until("ready", async || converged(&users, &keys).await).await;
    let old = lists(&bench).await;

    // What the next operator does not see: some are gone, one is another of the same name.
    bench.delete::<HeadscaleUser>("gone").await;
    bench.delete::<HeadscaleUser>("changed").await;
    bench.delete::<HeadscalePreAuthKey>("ended").await;
    running.until("gone", async || converged(&["owner"], &["turned", "stays"]).await).await;
    bench.make_user("changed", json!({})).await;
    bench.make_user("made", json!({})).await;
    let another = json!({ "spec": { "reusable": true } });
    bench.patch::<HeadscalePreAuthKey>("turned", another).await;
    bench.make_key("new", json!({ "headscaleUserRef": "made" })).await;
    let (users, keys) = (["owner", "changed", "made"], ["turned", "stays", "new"]);
    running.until("ready", async || converged(&users, &keys).await).await;
    drop(running);

    let made = (bench.users().await, bench.keys().await);
    bench.proxy.reset();
    bench.proxy.faults(move |request| {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if query.contains("watch=") {
            return Some(Fault::Delay(LAG));
        }
        let body = old.get(path).filter(|_| request.method == "GET")?.clone();
        let headers = vec![("content-type", "application/json".to_owned())];
        Some(Fault::Answer(Answer { status: 200, headers, body }))
    });
    let mut running = bench.operator().start();
    let began = std::time::Instant::now();
    running
        .until("it has seen what happened since", async || {
            began.elapsed() > LAG * 2 && converged(&users, &keys).await
        })
        .await;
    world::is_quiet(&bench, &mut running, world::LOOKS).await;
    let users = bench.users().await;
    assert_eq!(users, made.0, "no user was made for an object that is gone");
    let prefixes = |keys: &[headscale_client::PreAuthKey]| {
        keys.iter().map(|key| key.prefix.clone()).collect::<Vec<_>>()
    };
    assert_eq!(prefixes(&bench.keys().await), prefixes(&made.1), "nor a key");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_while_nobody_tells_of_it_is_missed_all_the_same() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    bench.proxy.faults(|request| {
        let is_watched = request.path.contains("watch=") && request.path.contains("/secrets");
        is_watched.then(crate::matrix::expired)
    });
    let mut running = bench.operator().flag("resync", "10m").start();
    bench.make_key("k", json!({ "tags": ["tag:a"] })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let text = bench.text("k").await.expect("a key");
    bench.delete::<Secret>("k").await;
    running.until("another key", async || bench.text("k").await.is_some_and(|it| it != text)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_goes_while_nobody_tells_of_it_is_missed_all_the_same() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let spec = json!({ "config": { "policy": { "mode": "database" } } });
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": spec })).await;
    let text = json!({ "metadata": { "name": "texts" }, "data": { "policy": "{\"acls\": []}" } });
    let text: ConfigMap = serde_json::from_value(text).expect("a ConfigMap");
    bench.api().create(&PostParams::default(), &text).await.expect("created");
    let source = json!({ "name": "texts", "key": "policy" });
    let spec = json!({ "headscaleRef": HEADSCALE, "configMapRef": source });
    let spec: HeadscalePolicySpec = serde_json::from_value(spec).expect("a spec");
    let policy = HeadscalePolicy::new("p", spec);
    bench.api().create(&PostParams::default(), &policy).await.expect("created");
    // The watch of all ConfigMaps, not that of ours.
    bench.proxy.faults(|request| {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let is_watched = query.contains("watch=") && path.ends_with("/configmaps");
        (is_watched && !query.contains("labelSelector=")).then(crate::matrix::expired)
    });
    let operator = bench.operator().flag("resync", "10m").flag("check-interval", "10m");
    let mut running = operator.start();
    let reason = async || {
        let policy: Option<HeadscalePolicy> = bench.api().get_opt("p").await.expect("an answer");
        let generation = policy.as_ref().and_then(|policy| policy.metadata.generation);
        let status = policy.and_then(|policy| policy.status).unwrap_or_default();
        said(&status.conditions, "Ready", generation).1
    };
    running.until("applied", async || reason().await == "PolicyApplied").await;
    bench.delete::<ConfigMap>("texts").await;
    running.until("missed", async || reason().await == "PolicySourceMissing").await;
}
