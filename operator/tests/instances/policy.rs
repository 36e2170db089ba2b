//! What a policy does to the pod of its instance.

use headscale_api::kinds::{Headscale, HeadscalePolicy};
use headscale_client::HeadscaleApi as _;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use crate::bench::said;
use crate::stage::Stage;

const POD: &str = "demo-0";
const SECRET: &str = "demo-api-key";

/// A policy in which everybody reaches these ports of everybody.
fn ports(ports: &str) -> String {
    format!(
        "{{\"acls\": [{{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:{ports}\"]}}]}}\n"
    )
}

async fn make_policy(stage: &Stage, text: &str) {
    let object = json!({
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "HeadscalePolicy",
        "metadata": { "name": "p" },
        "spec": { "headscaleRef": "demo", "inline": text },
    });
    stage.create::<HeadscalePolicy>(object).await;
}

async fn set_policy(stage: &Stage, text: &str) {
    stage.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": text } })).await;
}

/// The reason of `Ready`, where it is about the policy as it is.
async fn reason(stage: &Stage) -> String {
    let policy: Option<HeadscalePolicy> = stage.get("p").await;
    let generation = policy.as_ref().and_then(|policy| policy.metadata.generation);
    let status = policy.and_then(|policy| policy.status).unwrap_or_default();
    said(&status.conditions, "Ready", generation).1
}

/// The policy that Headscale starts with.
async fn file(stage: &Stage) -> Option<String> {
    let map: ConfigMap = stage.get("demo-config").await?;
    map.data?.remove("policy.hujson")
}

/// The policy that Headscale says it has.
async fn runs(stage: &Stage) -> Option<String> {
    let client = stage.client("demo", SECRET).await?;
    client.policy().await.ok()?.map(|policy| policy.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_a_file_replaces_the_pod_once_and_is_ready_when_that_is() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    let (one, other) = (ports("22"), ports("22,80"));
    make_policy(&stage, &one).await;
    let spec = json!({ "spec": { "config": { "policy": { "mode": "file" } } } });
    stage.make_headscale("demo", "0.29.2").await;
    stage.patch::<Headscale>("demo", spec).await;
    let is_applied = async || reason(&stage).await == "PolicyApplied";
    stage.until(&mut operator, "applied", is_applied).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(runs(&stage).await.as_ref(), Some(&one));
    let before = stage.player.starts(POD).len();

    // It is not ready before the pod is.
    stage.player.hold(POD);
    set_policy(&stage, &other).await;
    let is_replaced = async || stage.player.starts(POD).len() == before + 1;
    stage.until(&mut operator, "another pod", is_replaced).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(reason(&stage).await, "PolicyPushing");
    stage.player.release(POD);
    stage.until(&mut operator, "applied", is_applied).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!(runs(&stage).await.as_ref(), Some(&other));

    // One that is wrong replaces nothing.
    set_policy(&stage, "{\"aclz\": []}").await;
    let is_refused = async || reason(&stage).await == "PolicyInvalid";
    stage.until(&mut operator, "refused", is_refused).await;
    let is_told = async || stage.condition("demo", "PolicyValid").await.0 == "False";
    stage.until(&mut operator, "told", is_told).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(file(&stage).await.as_ref(), Some(&other));
    assert_eq!(runs(&stage).await.as_ref(), Some(&other));
    assert!(stage.is_ready("demo").await);
    set_policy(&stage, &other).await;
    stage.until(&mut operator, "applied", is_applied).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.player.starts(POD).len(), before + 1, "it is replaced once");
    stage.writes_nothing_more(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_the_next_version_refuses_keeps_the_one_that_runs() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    stage.make_headscale("demo", "0.28.0").await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    // Nobody declared it, and 0.28 takes it: later ones want a letter first.
    let wrong = "{\"acls\": [], \"tagOwners\": {\"tag:1st\": [\"alice@\"]}}";
    let client = stage.client("demo", SECRET).await.expect("a key");
    client.set_policy(wrong).await.expect("0.28 takes it");

    stage.patch::<Headscale>("demo", json!({ "spec": { "version": "0.29.2" } })).await;
    let is_blocked = async || stage.condition("demo", "Ready").await.1 == "PolicyInvalid";
    stage.until(&mut operator, "blocked", is_blocked).await;
    let (_, _, message) = stage.condition("demo", "Ready").await;
    assert!(message.contains("0.29.2") && message.contains("policy of Headscale:"), "{message}");
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.images(POD).len(), 1, "what runs stays");
    assert_eq!(runs(&stage).await.as_deref(), Some(wrong));

    client.set_policy(&ports("22")).await.expect("set");
    let is_done = async || stage.runs("demo", "demo", "headscale/headscale:0.29.2").await;
    stage.until(&mut operator, "at 0.29", is_done).await;
    assert_eq!(stage.images(POD).len(), 2);
    assert_eq!(runs(&stage).await, Some(ports("22")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_moves_between_database_and_file_and_nothing_is_opened_by_it() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    let (one, other) = (ports("22"), ports("443"));
    let wrong = "{\"aclz\": []}";
    let set_mode = async |mode: &str| {
        let spec = json!({ "spec": { "config": { "policy": { "mode": mode } } } });
        stage.patch::<Headscale>("demo", spec).await;
    };
    let is_applied = async || reason(&stage).await == "PolicyApplied";
    let is_refused = async || reason(&stage).await == "PolicyInvalid";
    make_policy(&stage, &one).await;
    stage.make_headscale("demo", "0.29.2").await;
    stage.until(&mut operator, "applied", is_applied).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!((runs(&stage).await.as_ref(), file(&stage).await), (Some(&one), None));
    let before = stage.player.starts(POD).len();

    // What is refused takes nothing away: the file has what the database had.
    set_policy(&stage, wrong).await;
    stage.until(&mut operator, "refused", is_refused).await;
    set_mode("file").await;
    let is_there = async || file(&stage).await.is_some();
    stage.until(&mut operator, "in the file", is_there).await;
    assert_eq!(file(&stage).await.as_ref(), Some(&one));
    let is_replaced = async || stage.player.starts(POD).len() == before + 1;
    stage.until(&mut operator, "replaced", is_replaced).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(runs(&stage).await.as_ref(), Some(&one));
    assert_eq!(file(&stage).await.as_ref(), Some(&one));
    assert!(is_refused().await);

    // The way back is open once there is a policy for it.
    set_mode("database").await;
    let is_held = async || stage.condition("demo", "Ready").await.1 == "PolicyModeHeld";
    stage.until(&mut operator, "held", is_held).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.player.starts(POD).len(), before + 1, "what runs stays");
    assert_eq!(runs(&stage).await.as_ref(), Some(&one));
    set_policy(&stage, &other).await;
    stage.until(&mut operator, "applied", is_applied).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!((runs(&stage).await.as_ref(), file(&stage).await), (Some(&other), None));
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.player.starts(POD).len(), before + 2, "it is replaced once");
    stage.writes_nothing_more(operator).await;
}
