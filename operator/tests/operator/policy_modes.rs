//! Policies that move between the database and a file.

use std::collections::BTreeSet;
use std::time::Instant;

use headscale_api::kinds::{Headscale, HeadscaleAutoApprover, HeadscalePolicy};
use headscale_client::HeadscaleApi as _;
use headscale_operator::policy::allows_everything;
use headscale_standin::Version;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::instance::config;
use crate::policies::{
    event, has, is_applied, make_approver, make_policy, policy, ports, ready, ready_approver,
    status, text,
};
use crate::policy_files::{LOOKS, file, template};
use crate::program::Running;

const WRONG: &str = "{\"aclz\": []}";

/// A whole instance with its policy there, whose pod is ready.
async fn started(bench: &Bench, mode: &str) -> Running {
    let mut config = config();
    config["policy"] = json!({ "mode": mode });
    bench.make_whole(HEADSCALE, json!({ "config": config })).await;
    let mut running = bench.operator().start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    bench.roll(HEADSCALE, true).await;
    running
}

async fn set_mode(bench: &Bench, mode: &str) {
    let config = json!({ "policy": { "mode": mode } });
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": { "config": config } })).await;
}

async fn set_policy(bench: &Bench, text: &str) {
    bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": text } })).await;
}

async fn set_log_level(bench: &Bench, level: &str) {
    let config = json!({ "log": { "level": level } });
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": { "config": config } })).await;
}

/// Configuration and policy that Headscale starts with.
async fn configured(bench: &Bench) -> (String, Option<String>) {
    let map = bench.read("ConfigMap", "hs-config").await.expect("a ConfigMap");
    let text = |file: &str| map["data"][file].as_str().map(str::to_owned);
    (text("config.yaml").expect("a configuration"), text("policy.hujson"))
}

async fn configuration(bench: &Bench) -> String {
    configured(bench).await.0
}

async fn is_in_database(bench: &Bench) -> bool {
    let (configuration, file) = configured(bench).await;
    let is_there = configuration.contains("mode: database");
    assert_eq!(is_there, file.is_none(), "{configuration}");
    is_there
}

/// Waits until the file has this, and never had one that lets everything through.
async fn until_file(bench: &Bench, running: &mut Running, expected: &str) {
    running
        .until("in the file", async || {
            let (configuration, file) = configured(bench).await;
            let Some(file) = file else {
                assert!(configuration.contains("mode: database"), "{configuration}");
                return false;
            };
            assert!(!allows_everything(&file), "{file}");
            file == expected
        })
        .await;
}

async fn is_held(bench: &Bench) -> bool {
    bench.reason(HEADSCALE, "Ready").await == "PolicyModeHeld"
}

fn paused(value: &Value) -> Value {
    json!({ "metadata": { "annotations": { "headscale.infrado.cloud/paused": value } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_database_is_the_last_good_policy() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = started(&bench, "database").await;
    let (good, other) = (ports("22"), ports("443"));
    make_policy(&bench, "p", json!({ "inline": good })).await;
    running.until("applied", async || is_applied(&bench, "p", &good).await).await;
    set_policy(&bench, WRONG).await;
    running.until("refused", async || ready(&bench, "p").await.1 == "PolicyInvalid").await;
    set_mode(&bench, "file").await;
    until_file(&bench, &mut running, &good).await;
    assert_eq!(template(&bench).await, status(&bench, "p").await.hash);
    bench.roll(HEADSCALE, true).await;
    running.until("ready", async || bench.reason(HEADSCALE, "Ready").await == "Reconciled").await;
    assert_eq!(ready(&bench, "p").await.1, "PolicyInvalid");
    // Now that it stands there, it is what stays.
    bench.cut_headscale();
    set_log_level(&bench, "debug").await;
    running.until("written", async || configuration(&bench).await.contains("debug")).await;
    assert_eq!(file(&bench).await.as_ref(), Some(&good));
    bench.proxy.reset();
    set_policy(&bench, &other).await;
    until_file(&bench, &mut running, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_declared_or_that_is_paused_leaves_the_database_too() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let mut running = started(&bench, "database").await;
    let good = ports("22");
    bench.http.set_policy(&good).await.expect("set");
    set_mode(&bench, "file").await;
    until_file(&bench, &mut running, &good).await;

    // Back, where it is still; with an approver alone it is whole in the file.
    make_policy(&bench, "p", json!({ "inline": good })).await;
    running.until("known", async || status(&bench, "p").await.hash.is_some()).await;
    set_mode(&bench, "database").await;
    running.until("in the database", async || is_in_database(&bench).await).await;
    bench.roll(HEADSCALE, true).await;
    running.until("applied", async || is_applied(&bench, "p", &good).await).await;
    bench.patch::<HeadscalePolicy>("p", paused(&json!("true"))).await;
    set_policy(&bench, WRONG).await;
    set_mode(&bench, "file").await;
    until_file(&bench, &mut running, &good).await;
    bench.patch::<HeadscalePolicy>("p", paused(&Value::Null)).await;
    set_policy(&bench, &good).await;
    set_mode(&bench, "database").await;
    running.until("in the database", async || is_in_database(&bench).await).await;
    bench.roll(HEADSCALE, true).await;
    running.until("applied", async || is_applied(&bench, "p", &good).await).await;
    bench.delete::<HeadscalePolicy>("p").await;
    running.until("gone", async || policy(&bench, "p").await.is_none()).await;
    make_approver(&bench, "a", json!({ "exitNodeTags": ["tag:router"] })).await;
    running
        .until("approved", async || {
            text(&bench).await.is_some_and(|text| text.contains("exitNode"))
        })
        .await;
    let whole = text(&bench).await.expect("a policy");
    set_mode(&bench, "file").await;
    until_file(&bench, &mut running, &whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_not_known_stays_in_the_database() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = started(&bench, "database").await;
    let good = ports("22");
    make_policy(&bench, "p", json!({ "inline": good })).await;
    running.until("applied", async || is_applied(&bench, "p", &good).await).await;
    let before = template(&bench).await;
    set_policy(&bench, WRONG).await;
    running.until("refused", async || ready(&bench, "p").await.1 == "PolicyInvalid").await;
    bench.cut_headscale();
    set_mode(&bench, "file").await;
    running.until("held", async || is_held(&bench).await).await;
    let (_, _, message) = bench.says(HEADSCALE, "Ready").await;
    assert!(message.contains("stays in the database"), "{message}");
    // All else is done, and the same is said each time.
    set_log_level(&bench, "debug").await;
    running.until("written", async || configuration(&bench).await.contains("debug")).await;
    let mut said = BTreeSet::new();
    let until = Instant::now() + LOOKS;
    running
        .until("looked at again", async || {
            assert!(is_in_database(&bench).await);
            said.insert(bench.says(HEADSCALE, "Ready").await.2);
            Instant::now() > until
        })
        .await;
    said.remove("");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(template(&bench).await, before);
    bench.proxy.reset();
    until_file(&bench, &mut running, &good).await;
    running.until("not held", async || !is_held(&bench).await).await;

    // A whole policy that is good needs nobody to be asked.
    set_mode(&bench, "database").await;
    running.until("held", async || is_held(&bench).await).await;
    set_policy(&bench, &ports("80")).await;
    running.until("in the database", async || is_in_database(&bench).await).await;
    bench.cut_headscale();
    set_mode(&bench, "file").await;
    until_file(&bench, &mut running, &ports("80")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_leaves_its_file_once_a_good_one_is_declared_whole() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let (good, other, last) = (ports("22"), ports("443"), ports("80"));
    make_policy(&bench, "p", json!({ "inline": good })).await;
    let mut running = started(&bench, "file").await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
    let reference = json!({ "name": "nowhere", "key": "policy" });
    let missing = json!({ "inline": null, "configMapRef": reference });
    // A policy that is refused, one that is missing, and none at all.
    let wrong = json!({ "inline": WRONG, "configMapRef": null });
    for (spec, reason) in [(wrong, "PolicyInvalid"), (missing, "PolicySourceMissing")] {
        bench.patch::<HeadscalePolicy>("p", json!({ "spec": spec })).await;
        running.until("refused", async || ready(&bench, "p").await.1 == reason).await;
        set_mode(&bench, "database").await;
        running.until("held", async || is_held(&bench).await).await;
        let (_, _, message) = bench.says(HEADSCALE, "Ready").await;
        assert!(message.contains("stays in its file"), "{message}");
        assert_eq!(file(&bench).await.as_ref(), Some(&good));
        set_mode(&bench, "file").await;
        running.until("not held", async || !is_held(&bench).await).await;
    }
    set_mode(&bench, "database").await;
    bench.delete::<HeadscalePolicy>("p").await;
    running.until("gone", async || policy(&bench, "p").await.is_none()).await;
    running.until("held", async || is_held(&bench).await).await;
    set_log_level(&bench, "debug").await;
    running.until("written", async || configuration(&bench).await.contains("debug")).await;
    assert_eq!(file(&bench).await.as_ref(), Some(&good));
    bench.roll(HEADSCALE, true).await;

    make_policy(&bench, "p", json!({ "inline": other })).await;
    running.until("in the database", async || is_in_database(&bench).await).await;
    running.until("not held", async || !is_held(&bench).await).await;
    // The pod that is replaced is given nothing, and its answers count for nothing.
    let until = Instant::now() + LOOKS;
    running
        .until("looked at again", async || {
            assert_ne!(ready(&bench, "p").await.1, "PolicyApplied");
            assert_eq!(text(&bench).await, None);
            Instant::now() > until
        })
        .await;
    bench.roll(HEADSCALE, true).await;
    running.until("applied", async || is_applied(&bench, "p", &other).await).await;
    let change = status(&bench, "p").await.reachability.expect("a change");
    assert!(change.added.iter().any(|row| row.ports.as_deref() == Some("443")), "{change:?}");
    assert_eq!(event(&bench, "PolicyRepaired").await, None, "nobody else did it");
    set_policy(&bench, &last).await;
    running.until("applied", async || is_applied(&bench, "p", &last).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approvers_alone_keep_the_policy_in_its_file() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let good = ports("22");
    make_policy(&bench, "p", json!({ "inline": good })).await;
    let mut running = started(&bench, "file").await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
    bench.delete::<HeadscalePolicy>("p").await;
    running.until("gone", async || policy(&bench, "p").await.is_none()).await;
    set_mode(&bench, "database").await;
    running.until("held", async || is_held(&bench).await).await;
    make_approver(&bench, "a", json!({ "exitNodeTags": ["tag:router"] })).await;
    running
        .until("approved", async || {
            let file = file(&bench).await.expect("it stays");
            assert!(!allows_everything(&file), "{file}");
            file.contains("exitNode")
        })
        .await;
    running.until("a template", async || template(&bench).await.is_some()).await;
    bench.roll(HEADSCALE, true).await;
    bench.delete::<HeadscaleAutoApprover>("a").await;
    assert!(!has(&bench, &good).await, "the database has none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_nobody_can_give_to_the_database_stays_in_its_file() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let good = ports("22");
    make_policy(&bench, "p", json!({ "inline": good })).await;
    let mut running = started(&bench, "file").await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
    bench.cut_headscale();
    set_mode(&bench, "database").await;
    running.until("held", async || is_held(&bench).await).await;
    let (_, _, message) = bench.says(HEADSCALE, "Ready").await;
    assert!(message.contains("nobody can give it one"), "{message}");
    assert_eq!(file(&bench).await.as_ref(), Some(&good));
    bench.proxy.reset();
    running.until("in the database", async || is_in_database(&bench).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_that_is_gone_takes_no_policy_along() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let good = ports("22");
    make_policy(&bench, "p", json!({ "inline": good })).await;
    let mut running = started(&bench, "file").await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
    set_policy(&bench, WRONG).await;
    running.until("refused", async || ready(&bench, "p").await.1 == "PolicyInvalid").await;
    // The pod has it still, and is asked.
    bench.http.set_policy(&good).await.expect("set");
    bench.delete::<ConfigMap>("hs-config").await;
    let is_there = async || {
        let file = file(&bench).await;
        assert!(!file.as_deref().is_some_and(allows_everything), "{file:?}");
        file
    };
    running.until("there again", async || is_there().await.as_ref() == Some(&good)).await;
    // Where it does not answer, nothing is opened.
    bench.cut_headscale();
    bench.delete::<ConfigMap>("hs-config").await;
    running.until("there again", async || is_there().await.is_some()).await;
    // A good policy is what counts.
    set_policy(&bench, &ports("80")).await;
    until_file(&bench, &mut running, &ports("80")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_at_random_and_approvers_are_one_document() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut config = config();
    config["policy"] = json!({ "mode": "file" });
    config["randomize_client_port"] = json!(true);
    make_policy(&bench, "p", json!({ "inline": ports("22") })).await;
    make_approver(&bench, "a", json!({ "exitNodeTags": ["tag:router"] })).await;
    bench.make_whole(HEADSCALE, json!({ "config": config })).await;
    let mut running = bench.operator().start();
    for port in ["22", "443"] {
        set_policy(&bench, &ports(port)).await;
        let is_there = async || {
            let text = file(&bench).await.unwrap_or_default();
            let has = |part: &str| text.contains(part);
            has(&format!(":{port}")) && has("exitNode") && has("randomizeClientPort")
        };
        running.until("written", is_there).await;
        running
            .until("a template", async || {
                let status = status(&bench, "p").await;
                status.hash.is_some() && template(&bench).await == status.hash
            })
            .await;
        bench.roll(HEADSCALE, true).await;
        running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
        running.until("approved", async || ready_approver(&bench, "a").await.0 == "True").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_mounted_any_more_is_not_gone_back_to() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut config = config();
    config["policy"] = json!({ "mode": "file", "path": "/etc/own/acl.hujson" });
    let volume = json!({ "name": "own", "configMap": { "name": "own" } });
    let mount = json!({ "name": "own", "mountPath": "/etc/own" });
    let spec = json!({
        "config": config,
        "extra_volumes": [volume],
        "extra_volume_mounts": [mount],
    });
    bench.make_whole(HEADSCALE, spec).await;
    let mut running = bench.operator().start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    bench.roll(HEADSCALE, true).await;
    running.until("ready", async || bench.reason(HEADSCALE, "Ready").await == "Reconciled").await;
    make_policy(&bench, "p", json!({ "inline": WRONG })).await;
    bench.cut_headscale();
    // The mount stays: so does the path.
    let path = |path: Value| json!({ "spec": { "config": { "policy": { "path": path } } } });
    bench.patch::<Headscale>(HEADSCALE, path(Value::Null)).await;
    running.until("held", async || is_held(&bench).await).await;
    assert!(configuration(&bench).await.contains("/etc/own/acl.hujson"));
    let none = json!({ "spec": { "extra_volumes": [], "extra_volume_mounts": [] } });
    bench.patch::<Headscale>(HEADSCALE, none).await;
    running
        .until("in a file", async || {
            let (configuration, file) = configured(&bench).await;
            assert!(file.is_none() || !configuration.contains("/etc/own"), "{configuration}");
            file.is_some_and(|file| !allows_everything(&file))
        })
        .await;
}
