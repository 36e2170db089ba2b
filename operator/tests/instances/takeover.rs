//! An instance of the Go operator becomes ours.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use headscale_api::kinds::names::AUTOAPPROVER_FINALIZER;
use headscale_api::kinds::{Headscale, HeadscaleAutoApprover};
use headscale_client::HeadscaleApi as _;
use headscale_faults::Fault;
use headscale_operator::policy::is_same_policy;
use headscale_testkit::tell;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use kube::ResourceExt as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::bench::said;
use crate::go::{self, CHILD, NAME, SECRET};
use crate::stage::{LOOK_EVERY, PATIENCE, QUIET, Stage};

const POD: &str = "headscale-0";
/// No takeover takes so many writes.
const MANY: u32 = 60;

/// What a takeover must keep: the identities of objects, the address of the Service, and the key.
type Kept = ([Option<String>; 4], Option<String>, Option<Vec<u8>>);

async fn kept(stage: &Stage) -> Kept {
    let set: StatefulSet = stage.get(CHILD).await.expect("a StatefulSet");
    let claim: PersistentVolumeClaim = stage.get("data-headscale-0").await.expect("a claim");
    let secret: Secret = stage.get(SECRET).await.expect("a Secret");
    let service: Service = stage.get(CHILD).await.expect("a Service");
    let address = service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone());
    let key = secret.data.clone().and_then(|mut data| data.remove("api-key"));
    let uids = [set.uid(), claim.uid(), secret.uid(), service.uid()];
    (uids, address, key.map(|key| key.0))
}

/// Whether the instance runs as ours, and is ready.
async fn is_ours(stage: &Stage) -> bool {
    let set: Option<StatefulSet> = stage.get(CHILD).await;
    let containers = set.and_then(|set| set.spec?.template.spec).map(|spec| spec.containers);
    let sidecar = containers.and_then(|containers| containers.into_iter().nth(1)?.image);
    sidecar.is_some_and(|image| image.contains("kubectl-headscale/sidecar"))
        && stage.is_ready(NAME).await
}

/// One that the Go operator made: it runs, and its sidecar has made its key.
async fn live() -> Option<Stage> {
    let stage = Stage::new(&[CHILD]).await?;
    go::make(&stage).await;
    let deadline = Instant::now() + PATIENCE;
    while stage.users(CHILD, SECRET).await.is_none() {
        let log = stage.player.log(POD, "apikey-manager");
        assert!(Instant::now() < deadline, "it has no key: {log}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Some(stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_the_go_operator_rolls_once_and_keeps_what_it_has() {
    let Some(stage) = live().await else { return };
    let before = kept(&stage).await;
    let noise = stage.player.data("data-headscale-0").expect("a claim").join("noise_private.key");
    let identity = std::fs::read(&noise).expect("the server has a key");

    let mut operator = stage.start();
    stage.until(&mut operator, "ours", async || is_ours(&stage).await).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.player.starts(POD).len(), 2, "it rolls once");
    assert_eq!(kept(&stage).await, before);
    assert_eq!(std::fs::read(&noise).expect("a key"), identity);
    let set: StatefulSet = stage.get(CHILD).await.expect("a StatefulSet");
    let containers = set.spec.and_then(|spec| spec.template.spec).expect("a pod").containers;
    let live = containers[0].liveness_probe.clone().expect("a probe");
    assert_eq!(live.initial_delay_seconds, None, "nothing of the former one is left");
    stage.writes_nothing_more(operator).await;
    assert_eq!(stage.player.starts(POD).len(), 2);

    // The finalizer that the other one set keeps nothing back.
    let mut operator = stage.start();
    stage.delete::<Headscale>(NAME).await;
    let is_gone = async || {
        stage.get::<Headscale>(NAME).await.is_none()
            && stage.get::<StatefulSet>(CHILD).await.is_none()
    };
    stage.until(&mut operator, "gone", is_gone).await;
    assert!(stage.get::<PersistentVolumeClaim>("data-headscale-0").await.is_some());
    assert!(stage.get::<Secret>(SECRET).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_policy_and_approver_of_the_go_operator_rolls_once_and_keeps_both() {
    let Some(stage) = live().await else { return };
    let inline = "{\n\t// nobody\n\t\"acls\": [],\n}\n";
    let acl = json!({ "inline": inline, "tag_owners": { "tag:exit": ["alice@"] } });
    stage.patch::<Headscale>(NAME, json!({ "spec": { "acl_policy": acl } })).await;
    let approver = json!({
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "HeadscaleAutoApprover",
        "metadata": { "name": "exits", "finalizers": [AUTOAPPROVER_FINALIZER] },
        "spec": { "headscaleRef": NAME, "exitNodeTags": ["tag:exit"] },
    });
    stage.create::<HeadscaleAutoApprover>(approver).await;
    // As the Go operator gave it to Headscale.
    let merged = json!({
        "acls": [],
        "autoApprovers": { "exitNode": ["tag:exit"] },
        "tagOwners": { "tag:exit": ["alice@"] },
    });
    let client = stage.client(CHILD, SECRET).await.expect("a key");
    client.set_policy(&merged.to_string()).await.expect("set");

    let mut operator = stage.start();
    stage.until(&mut operator, "ours", async || is_ours(&stage).await).await;
    let is_approved = async || {
        let approver: Option<HeadscaleAutoApprover> = stage.get("exits").await;
        let status = approver.and_then(|approver| approver.status).unwrap_or_default();
        said(&status.conditions, "Ready", status.observed_generation).0 == "True"
    };
    stage.until(&mut operator, "approved", is_approved).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.player.starts(POD).len(), 2, "it rolls once");
    let client = stage.client(CHILD, SECRET).await.expect("a key");
    let text = client.policy().await.expect("it answers").expect("a policy").text;
    assert!(is_same_policy(&text, &merged.to_string()), "{text}");
    stage.writes_nothing_more(operator).await;
    assert_eq!(stage.player.starts(POD).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_at_each_write_of_a_takeover_rolls_once_all_the_same() {
    let Some(stage) = live().await else { return };
    let before = kept(&stage).await;
    let mut lives = 0;
    loop {
        lives += 1;
        assert!(lives < MANY, "it does not come to an end");
        // Each life does one thing, and dies before the next.
        let process: Arc<OnceLock<Pid>> = Arc::default();
        let victim = Arc::clone(&process);
        stage.proxy.reset();
        let mut writes = 0;
        stage.proxy.faults(move |request| {
            if request.method == "GET" || request.path.contains("/events") {
                return None;
            }
            writes += 1;
            if writes != 2 {
                return None;
            }
            kill_process(*victim.wait(), Signal::KILL).expect("it is running");
            Some(Fault::DropBefore)
        });
        let mut operator = stage.start();
        process.set(operator.pid()).expect("set once");
        let deadline = Instant::now() + PATIENCE;
        let mut since = None;
        let is_done = loop {
            assert!(Instant::now() < deadline, "{}", operator.log());
            if operator.status().is_some() {
                break false;
            }
            if !is_ours(&stage).await {
                since = None;
            } else if since.get_or_insert_with(Instant::now).elapsed() > QUIET {
                break true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        if is_done {
            stage.proxy.reset();
            stage.writes_nothing_more(operator).await;
            break;
        }
    }
    tell(&format!("takeover: {lives} lives of the operator"));
    assert!(lives > 5, "it was killed {lives} times");
    assert_eq!(stage.player.starts(POD).len(), 2, "it rolls once");
    assert_eq!(kept(&stage).await, before);
}
