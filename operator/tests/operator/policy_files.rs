//! Policies that Headscale reads from a file.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use headscale_api::kinds::names::POLICY_HASH_ANNOTATION;
use headscale_api::kinds::{Headscale, HeadscaleAutoApprover, HeadscalePolicy};
use headscale_standin::Version;
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::policies::{
    approver, make_approver, make_policy, policy, ports, ready, ready_approver, status,
};

/// In this time everything is looked at several times.
pub(crate) const LOOKS: Duration = Duration::from_secs(4);

/// The policy that Headscale starts with the next time.
pub(crate) async fn file(bench: &Bench) -> Option<String> {
    let map = bench.read("ConfigMap", "hs-config").await?;
    Some(map["data"]["policy.hujson"].as_str()?.to_owned())
}

/// Which policy the pods are made with.
pub(crate) async fn template(bench: &Bench) -> Option<String> {
    let template = bench.set(HEADSCALE).await?.spec?.template;
    template.metadata?.annotations?.remove(POLICY_HASH_ANNOTATION)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_a_file_is_ready_once_the_pod_runs_with_it() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let (one, other) = (ports("22"), ports("22,80"));
    make_policy(&bench, "p", json!({ "inline": one })).await;
    bench.make_whole(HEADSCALE, json!({})).await;
    let mut running = bench.operator().start();
    running.until("written", async || file(&bench).await.as_deref() == Some(&*one)).await;
    running.until("told", async || ready(&bench, "p").await.1 == "PolicyPushing").await;
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    bench.roll(HEADSCALE, true).await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
    assert_eq!(status(&bench, "p").await.hash, template(&bench).await);
    running
        .until("valid", async || bench.reason(HEADSCALE, "PolicyValid").await == "PolicyValid")
        .await;

    // A change rolls the pod once.
    let set = async |text: &str| {
        bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": text } })).await;
    };
    set(&other).await;
    running.until("written", async || file(&bench).await.as_deref() == Some(&*other)).await;
    running.until("told", async || ready(&bench, "p").await.1 == "PolicyPushing").await;
    assert_eq!(status(&bench, "p").await.reachability.expect("a change").verdict, "grows");
    running
        .until("a template", async || template(&bench).await == status(&bench, "p").await.hash)
        .await;
    bench.roll(HEADSCALE, true).await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
    assert_eq!(status(&bench, "p").await.reachability.expect("a change").verdict, "grows");
    let with_other = template(&bench).await;

    // One that Headscale would not start with stays out.
    set("{\"aclz\": []}").await;
    running.until("refused", async || ready(&bench, "p").await.1 == "PolicyInvalid").await;
    running.until("told", async || bench.says(HEADSCALE, "PolicyValid").await.0 == "False").await;
    let (_, reason, message) = bench.says(HEADSCALE, "PolicyValid").await;
    assert_eq!(reason, "PolicyInvalid");
    assert!(message.contains("spec.inline:1:2: ") && message.contains("aclz"), "{message}");
    assert_eq!((file(&bench).await, template(&bench).await), (Some(other.clone()), with_other));
    set(&other).await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;

    // What is edited by hand is replaced.
    bench.edit("ConfigMap", "hs-config", json!({ "data": { "policy.hujson": one } })).await;
    running.until("repaired", async || file(&bench).await.as_deref() == Some(&*other)).await;

    // Approvers have a part in it.
    make_approver(&bench, "a", json!({ "exitNodeTags": ["tag:router"] })).await;
    let has = async |what: &str| file(&bench).await.is_some_and(|text| text.contains(what));
    running.until("written", async || has("exitNode").await).await;
    running
        .until("a template", async || template(&bench).await == status(&bench, "p").await.hash)
        .await;
    bench.roll(HEADSCALE, true).await;
    running.until("ready", async || ready_approver(&bench, "a").await.0 == "True").await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;

    // Nothing else is to be done.
    let all = bench.everything().await;
    drop(running);
    bench.proxy.reset();
    let mut running = bench.operator().start();
    let looks = async || {
        let requests = bench.proxy.requests();
        requests.iter().filter(|it| it.path.contains("/configmaps/hs-config")).count() > 4
    };
    running.until("looked at again", looks).await;
    assert_eq!(bench.writes(), Vec::<String>::new());
    assert_eq!(bench.everything().await, all);

    bench.delete::<HeadscaleAutoApprover>("a").await;
    running.until("written", async || file(&bench).await.as_deref() == Some(&*other)).await;
    running
        .until("a template", async || template(&bench).await == status(&bench, "p").await.hash)
        .await;
    bench.roll(HEADSCALE, true).await;
    running.until("gone", async || approver(&bench, "a").await.is_none()).await;
    // The policy goes, and what runs stays.
    bench.delete::<HeadscalePolicy>("p").await;
    running.until("gone", async || policy(&bench, "p").await.is_none()).await;
    bench.proxy.reset();
    let looks = async || {
        let requests = bench.proxy.requests();
        requests.iter().filter(|it| it.path == "/api/v1/user").count() > 8
    };
    running.until("looked at again", looks).await;
    assert_eq!(file(&bench).await.as_deref(), Some(&*other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_refused_meanwhile_is_applied_once_the_pod_runs_with_it() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let good = ports("22");
    let set = async |text: &str| {
        bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": text } })).await;
    };
    make_policy(&bench, "p", json!({ "inline": good })).await;
    bench.make_whole(HEADSCALE, json!({})).await;
    let mut running = bench.operator().start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    bench.roll(HEADSCALE, false).await;
    running.until("told", async || ready(&bench, "p").await.1 == "PolicyPushing").await;
    set("{\"aclz\": []}").await;
    running.until("refused", async || ready(&bench, "p").await.1 == "PolicyInvalid").await;
    // No pod was ever ready with it.
    set(&good).await;
    let mut said = BTreeSet::new();
    let until = Instant::now() + LOOKS;
    running
        .until("looked at again", async || {
            said.insert(ready(&bench, "p").await.1);
            Instant::now() > until
        })
        .await;
    assert!(said.contains("PolicyPushing") && !said.contains("PolicyApplied"), "{said:?}");
    bench.roll(HEADSCALE, true).await;
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
    // One that was ready with it stays so while it is not.
    bench.roll(HEADSCALE, false).await;
    let until = Instant::now() + LOOKS;
    running
        .until("looked at again", async || {
            assert_eq!(ready(&bench, "p").await.1, "PolicyApplied");
            Instant::now() > until
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_instance_whose_policy_is_wrong_allows_nothing() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let wrong = json!({ "acl_policy": { "inline": "{\"acls\": [" } });
    bench.make_whole(HEADSCALE, wrong).await;
    let mut running = bench.operator().start();
    let nothing = "{\"acls\": []}\n";
    running.until("written", async || file(&bench).await.as_deref() == Some(nothing)).await;
    running.until("told", async || bench.says(HEADSCALE, "PolicyValid").await.0 == "False").await;
    let (_, _, message) = bench.says(HEADSCALE, "PolicyValid").await;
    assert!(message.starts_with("spec.acl_policy.inline:1:"), "{message}");
    let good = ports("22");
    let spec = json!({ "spec": { "acl_policy": { "inline": good } } });
    bench.patch::<Headscale>(HEADSCALE, spec).await;
    running.until("written", async || file(&bench).await.as_deref() == Some(&*good)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_wrong_replaces_no_pod_that_has_none() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    bench.make_whole(HEADSCALE, json!({})).await;
    let mut running = bench.operator().start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    bench.roll(HEADSCALE, true).await;
    let before = bench.set(HEADSCALE).await.and_then(|set| set.metadata.generation);
    make_policy(&bench, "p", json!({ "inline": "{\"aclz\": []}" })).await;
    running.until("told", async || bench.says(HEADSCALE, "PolicyValid").await.0 == "False").await;
    running.until("refused", async || ready(&bench, "p").await.1 == "PolicyInvalid").await;
    assert_eq!(file(&bench).await, None);
    assert_eq!(bench.set(HEADSCALE).await.and_then(|set| set.metadata.generation), before);
    // Mended, it comes.
    let good = ports("22");
    bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": good } })).await;
    running.until("written", async || file(&bench).await.as_deref() == Some(&*good)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_instance_whose_policy_is_paused_allows_nothing() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let good = ports("22");
    make_policy(&bench, "p", json!({ "inline": good })).await;
    let paused = |value: Value| {
        let annotations = json!({ "headscale.infrado.cloud/paused": value });
        json!({ "metadata": { "annotations": annotations } })
    };
    bench.patch::<HeadscalePolicy>("p", paused(json!("true"))).await;
    bench.make_whole(HEADSCALE, json!({})).await;
    let mut running = bench.operator().start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    assert_eq!(file(&bench).await.as_deref(), Some("{\"acls\": []}\n"));
    bench.patch::<HeadscalePolicy>("p", paused(Value::Null)).await;
    running.until("written", async || file(&bench).await.as_deref() == Some(&*good)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_known_of_a_policy_is_said_in_the_same_words_each_time() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    bench.cut_headscale();
    bench.make_whole(HEADSCALE, json!({})).await;
    let mut running = bench.operator().start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    let attributes = "{\"nodeAttrs\": [{\"target\": [\"carol@\"], \"attr\": \
                      [\"nextdns:no-device-info\"]}], \"acls\": []}";
    make_policy(&bench, "p", json!({ "inline": attributes })).await;
    running.until("told", async || ready(&bench, "p").await.1 == "PolicyUnproven").await;
    running
        .until("told", async || bench.says(HEADSCALE, "PolicyValid").await.1 == "PolicyUnproven")
        .await;
    let mut said = BTreeSet::new();
    let until = Instant::now() + LOOKS;
    running
        .until("looked at again", async || {
            said.insert(ready(&bench, "p").await.2);
            said.insert(bench.says(HEADSCALE, "PolicyValid").await.2);
            Instant::now() > until
        })
        .await;
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(file(&bench).await, None);
}
