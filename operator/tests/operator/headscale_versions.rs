//! From version to version, and with volumes and pods that do not do as they should.

use headscale_api::kinds::Headscale;
use headscale_standin::Version;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::program::Running;

async fn until_ready(bench: &Bench, running: &mut Running) {
    let ready = async || {
        bench.roll(HEADSCALE, true).await;
        bench.reason(HEADSCALE, "Ready").await == "Reconciled"
    };
    running.until("ready", ready).await;
}

async fn started(bench: &Bench, more: Value, flags: &[(&str, &str)]) -> Running {
    bench.make_whole(HEADSCALE, more).await;
    let mut operator = bench.operator();
    for (name, value) in flags {
        operator = operator.flag(name, value);
    }
    let mut running = operator.start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    until_ready(bench, &mut running).await;
    running
}

async fn set_version(bench: &Bench, version: &str) {
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": { "version": version } })).await;
}

/// Waits until the operator has looked at everything a few times more.
async fn looks_again(bench: &Bench, running: &mut Running) {
    bench.proxy.reset();
    let looks = async || {
        let requests = bench.proxy.requests();
        requests.iter().filter(|it| it.path.contains("/pods/hs-0")).count() > 3
    };
    running.until("looked at again", looks).await;
}

/// Makes the pod, or makes it anew, with this state of its container.
async fn put_pod(bench: &Bench, revision: &str, state: Value) {
    let api: Api<Pod> = bench.api();
    // There may be none yet.
    drop(api.delete("hs-0", &DeleteParams::default().grace_period(0)).await);
    let pod = json!({
        "metadata": { "name": "hs-0", "labels": { "controller-revision-hash": revision } },
        "spec": { "containers": [{ "name": "headscale", "image": "headscale" }] },
    });
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    api.create(&PostParams::default(), &pod).await.expect("made");
    let mut container = json!({
        "name": "headscale",
        "image": "headscale",
        "imageID": "",
        "ready": false,
        "restartCount": 4,
    });
    for (name, value) in state.as_object().expect("an object") {
        container[name] = value.clone();
    }
    let patch = Patch::Merge(json!({ "status": { "containerStatuses": [container] } }));
    api.patch_status("hs-0", &PatchParams::default(), &patch).await.expect("patched");
}

/// The revision that the pod should be of.
async fn revision(bench: &Bench) -> String {
    let status = bench.set(HEADSCALE).await.and_then(|set| set.status);
    status.and_then(|status| status.update_revision).expect("a revision")
}

fn crashing() -> Value {
    json!({
        "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } },
        "lastState": { "terminated": { "exitCode": 1, "message": "2026-01-01T00:00:00Z FTL no" } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_minor_version_is_run_and_ready_before_the_next_and_none_goes_back() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let version = json!({ "version": "v0.28.0" });
    let flags = [("progress-deadline", "1s")];
    let mut running = started(&bench, version, &flags).await;
    assert_eq!(bench.image(HEADSCALE).await, "headscale/headscale:v0.28.0");
    let set = bench.read("StatefulSet", HEADSCALE).await.expect("there");
    assert_eq!(set["spec"]["template"]["spec"]["initContainers"], Value::Null);

    set_version(&bench, "v0.30.0").await;
    let between = "headscale/headscale:v0.29.2";
    running.until("stepped", async || bench.image(HEADSCALE).await == between).await;
    let set = bench.read("StatefulSet", HEADSCALE).await.expect("there");
    let backup = &set["spec"]["template"]["spec"]["initContainers"][0];
    assert_eq!(backup["name"], "backup");
    assert!(backup["args"].to_string().contains("--label=0.29"), "{backup}");

    // It fails: nothing more is done, and how to go back is told.
    bench.roll(HEADSCALE, false).await;
    put_pod(&bench, &revision(&bench).await, crashing()).await;
    let overdue = async || {
        bench.reason(HEADSCALE, "Progressing").await == "ProgressDeadlineExceeded"
            && bench.reason(HEADSCALE, "Degraded").await == "CrashLoop"
    };
    running.until("told", overdue).await;
    let (status, reason, message) = bench.says(HEADSCALE, "Degraded").await;
    assert_eq!((&*status, &*reason), ("True", "CrashLoop"));
    for text in ["FTL no", "from v0.28.0 to v0.29.2 stops here", "delete StatefulSet hs"] {
        assert!(message.contains(text), "{message}");
    }
    looks_again(&bench, &mut running).await;
    assert_eq!(bench.writes(), Vec::<String>::new());
    assert_eq!(bench.image(HEADSCALE).await, between);
    // The spec goes back: Headscale would not.
    set_version(&bench, "v0.28.0").await;
    let refused = async || bench.reason(HEADSCALE, "Ready").await == "DowngradeRefused";
    running.until("refused", refused).await;
    assert_eq!(bench.image(HEADSCALE).await, between);
    set_version(&bench, "v0.30.0").await;

    let api: Api<Pod> = bench.api();
    api.delete("hs-0", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    let is_last = async || {
        bench.roll(HEADSCALE, true).await;
        bench.image(HEADSCALE).await == "headscale/headscale:v0.30.0"
    };
    running.until("stepped again", is_last).await;
    until_ready(&bench, &mut running).await;
    assert_eq!(bench.headscale_status(HEADSCALE).await.version.as_deref(), Some("v0.30.0"));
    let set = bench.read("StatefulSet", HEADSCALE).await.expect("there");
    let backup = &set["spec"]["template"]["spec"]["initContainers"][0];
    assert!(backup["args"].to_string().contains("--label=0.30"), "{backup}");

    for wrong in ["v0.29.2", "v0.27.0", "v0.31.0", "*"] {
        set_version(&bench, wrong).await;
        let told = async || {
            let (status, _, message) = bench.says(HEADSCALE, "Ready").await;
            status == "False" && message.contains("spec.version") && message.contains(wrong)
        };
        running.until(&format!("{wrong} refused"), told).await;
        assert_eq!(bench.image(HEADSCALE).await, "headscale/headscale:v0.30.0");
    }
    set_version(&bench, "v0.30.0").await;
    until_ready(&bench, &mut running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_stepped_with_consent_and_a_good_configuration() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let config = json!({
        "server_url": "https://headscale.example.com",
        "dns": { "base_domain": "tailnet.example.com" },
        "database": {
            "type": "postgres",
            "postgres": { "host": "db", "port": 5432, "name": "hs", "user": "hs", "pass": "hush" },
        },
    });
    let spec = json!({ "version": "0.28.0", "config": config });
    let mut running = started(&bench, spec, &[]).await;
    set_version(&bench, "0.29.2").await;
    let told = async || bench.reason(HEADSCALE, "Ready").await == "BackupNotConfirmed";
    running.until("told", told).await;
    let (_, _, message) = bench.says(HEADSCALE, "Ready").await;
    assert!(message.contains("spec.upgrade.backupConfirmed to \"0.29\""), "{message}");
    assert_eq!(bench.image(HEADSCALE).await, "headscale/headscale:0.28.0");

    // What runs could take it, what comes could not.
    let edit = json!({ "spec": {
        "config": { "prefixes": { "v4": "nonsense" } },
        "upgrade": { "backupConfirmed": "0.29" },
    } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    let told = async || bench.reason(HEADSCALE, "ConfigValid").await == "ConfigInvalid";
    running.until("told", told).await;
    assert_eq!(bench.image(HEADSCALE).await, "headscale/headscale:0.28.0");
    bench
        .patch::<Headscale>(HEADSCALE, json!({ "spec": { "config": { "prefixes": null } } }))
        .await;
    let is_new = async || bench.image(HEADSCALE).await == "headscale/headscale:0.29.2";
    running.until("stepped", is_new).await;
    until_ready(&bench, &mut running).await;
    let set = bench.read("StatefulSet", HEADSCALE).await.expect("there");
    assert_eq!(set["spec"]["template"]["spec"]["initContainers"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_would_be_waited_for_in_vain_is_removed() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = started(&bench, json!({}), &[]).await;
    set_version(&bench, "0.29.99").await;
    let is_wrong = async || bench.image(HEADSCALE).await == "headscale/headscale:0.29.99";
    running.until("rolled", is_wrong).await;
    bench.roll(HEADSCALE, false).await;
    let no_image = json!({ "state": { "waiting": { "reason": "ImagePullBackOff" } } });
    put_pod(&bench, &revision(&bench).await, no_image.clone()).await;
    let told = async || bench.reason(HEADSCALE, "Degraded").await == "ImagePullFailed";
    running.until("told", told).await;
    let pods: Api<Pod> = bench.api();
    assert!(pods.get_opt("hs-0").await.expect("an answer").is_some(), "it is the one to be");

    set_version(&bench, "0.29.2").await;
    let is_right = async || bench.image(HEADSCALE).await == "headscale/headscale:0.29.2";
    running.until("mended", is_right).await;
    bench.roll(HEADSCALE, false).await;
    let is_gone = async || pods.get_opt("hs-0").await.expect("an answer").is_none();
    running.until("removed", is_gone).await;
    until_ready(&bench, &mut running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_grows_where_it_can_and_never_shrinks() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = started(&bench, json!({}), &[]).await;
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": bench.namespace },
        "provisioner": "example.com/none",
        "allowVolumeExpansion": true,
    });
    let class: StorageClass = serde_json::from_value(class).expect("a class");
    let classes: Api<StorageClass> = Api::all(bench.cluster.client());
    classes.create(&PostParams::default(), &class).await.expect("made");
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data-hs-0" },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": bench.namespace,
            "resources": { "requests": { "storage": "128Mi" } },
            "volumeName": "somewhere",
        },
    });
    bench.make(claim).await;
    let size = |size: &str| json!({ "spec": { "persistent_volume_claim": { "size": size } } });
    // One that is not bound cannot grow.
    bench.patch::<Headscale>(HEADSCALE, size("1Gi")).await;
    let told = async || bench.reason(HEADSCALE, "Degraded").await == "VolumeNotGrown";
    running.until("told", told).await;
    assert_eq!(bench.reason(HEADSCALE, "Ready").await, "Reconciled");
    let claims: Api<PersistentVolumeClaim> = bench.api();
    let bound = Patch::Merge(json!({ "status": { "phase": "Bound" } }));
    claims.patch_status("data-hs-0", &PatchParams::default(), &bound).await.expect("bound");
    let has = async |size: &str| {
        let claim = claims.get("data-hs-0").await.expect("there");
        let requests = claim.spec.and_then(|spec| spec.resources?.requests).unwrap_or_default();
        requests.get("storage").is_some_and(|it| it.0 == size)
    };
    running.until("grown", async || has("1Gi").await).await;
    let healed = async || bench.reason(HEADSCALE, "Degraded").await == "AsExpected";
    running.until("told", healed).await;
    bench.patch::<Headscale>(HEADSCALE, size("512Mi")).await;
    let told = async || bench.reason(HEADSCALE, "Degraded").await == "VolumeNotShrunk";
    running.until("told", told).await;
    assert!(has("1Gi").await);
    assert_eq!(bench.set(HEADSCALE).await.and_then(|set| set.metadata.generation), Some(1));
}
