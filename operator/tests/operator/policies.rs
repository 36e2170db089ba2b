//! Policies and approvers: one document, and what gets in its way.

use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscaleAutoApproverSpec, HeadscalePolicy,
    HeadscalePolicySpec, HeadscalePolicyStatus,
};
use headscale_client::{HeadscaleApi as _, NewUser};
use headscale_operator::policy::is_same_policy;
use headscale_standin::Version;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE, said};

/// A policy in which alice reaches these ports of bob.
pub(crate) fn ports(ports: &str) -> String {
    format!(
        "{{\n\t// {ports} of bob\n\t\"acls\": [{{\"action\": \"accept\", \"src\": [\"alice@\"], \
         \"dst\": [\"bob@:{ports}\"]}}],\n\t\"tagOwners\": {{\"tag:router\": [\"alice@\"]}},\n}}\n"
    )
}

/// A bench whose Headscale keeps its policy in the database.
pub(crate) async fn bench(version: Version) -> Option<Bench> {
    let bench = Bench::new(version).await?;
    let version = match version {
        Version::V0_28 => "0.28.0",
        Version::V0_29 => "0.29.2",
        Version::V0_30 => "0.30.0",
    };
    let config = json!({ "policy": { "mode": "database" } });
    edit(&bench, json!({ "version": version, "config": config })).await;
    Some(bench)
}

pub(crate) async fn edit(bench: &Bench, spec: Value) {
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": spec })).await;
}

pub(crate) async fn make_policy(bench: &Bench, name: &str, mut spec: Value) {
    spec["headscaleRef"] = json!(HEADSCALE);
    let spec: HeadscalePolicySpec = serde_json::from_value(spec).expect("a spec");
    let policy = HeadscalePolicy::new(name, spec);
    bench.api().create(&PostParams::default(), &policy).await.expect("created");
}

pub(crate) async fn make_approver(bench: &Bench, name: &str, mut spec: Value) {
    spec["headscaleRef"] = json!(HEADSCALE);
    let spec: HeadscaleAutoApproverSpec = serde_json::from_value(spec).expect("a spec");
    let approver = HeadscaleAutoApprover::new(name, spec);
    bench.api().create(&PostParams::default(), &approver).await.expect("created");
}

pub(crate) async fn policy(bench: &Bench, name: &str) -> Option<HeadscalePolicy> {
    bench.api().get_opt(name).await.expect("it can be read")
}

pub(crate) async fn status(bench: &Bench, name: &str) -> HeadscalePolicyStatus {
    policy(bench, name).await.and_then(|policy| policy.status).unwrap_or_default()
}

/// Status, reason and message of `Ready`, where it is about the policy as it is.
pub(crate) async fn ready(bench: &Bench, name: &str) -> (String, String, String) {
    let policy = policy(bench, name).await;
    let generation = policy.as_ref().and_then(|policy| policy.metadata.generation);
    let status = policy.and_then(|policy| policy.status).unwrap_or_default();
    said(&status.conditions, "Ready", generation)
}

pub(crate) async fn approver(bench: &Bench, name: &str) -> Option<HeadscaleAutoApprover> {
    bench.api().get_opt(name).await.expect("it can be read")
}

pub(crate) async fn ready_approver(bench: &Bench, name: &str) -> (String, String, String) {
    let approver = approver(bench, name).await;
    let generation = approver.as_ref().and_then(|approver| approver.metadata.generation);
    let status = approver.and_then(|approver| approver.status).unwrap_or_default();
    said(&status.conditions, "Ready", generation)
}

/// What Headscale has.
pub(crate) async fn text(bench: &Bench) -> Option<String> {
    bench.http.policy().await.expect("a policy").map(|policy| policy.text)
}

pub(crate) async fn has(bench: &Bench, expected: &str) -> bool {
    text(bench).await.as_deref() == Some(expected)
}

pub(crate) async fn is_applied(bench: &Bench, name: &str, expected: &str) -> bool {
    ready(bench, name).await.1 == "PolicyApplied" && has(bench, expected).await
}

async fn put_text(bench: &Bench, text: &str) {
    let name = "texts";
    let api: Api<ConfigMap> = bench.api();
    if api.get_opt(name).await.expect("it can be read").is_none() {
        let map = json!({ "metadata": { "name": name } });
        let map: ConfigMap = serde_json::from_value(map).expect("a ConfigMap");
        api.create(&PostParams::default(), &map).await.expect("created");
    }
    bench.patch::<ConfigMap>(name, json!({ "data": { "policy.hujson": text } })).await;
}

pub(crate) async fn event(bench: &Bench, reason: &str) -> Option<String> {
    let events: Api<Event> = bench.api();
    let events = events.list(&ListParams::default()).await.expect("events").items;
    let event = events.into_iter().find(|event| event.reason.as_deref() == Some(reason))?;
    Some(event.note.unwrap_or_default())
}

async fn each_source(version: Version) {
    let Some(bench) = bench(version).await else { return };
    let mut running = bench.operator().start();
    // In the instance, with comments.
    let first = ports("22");
    edit(&bench, json!({ "acl_policy": { "inline": first } })).await;
    running.until("given", async || has(&bench, &first).await).await;
    let owners = json!({ "tag:router": ["bob@"], "tag:exit": ["bob@"] });
    edit(&bench, json!({ "acl_policy": { "tag_owners": owners } })).await;
    let owned = first.replace(
        "{\"tag:router\": [\"alice@\"]}",
        "{\"tag:exit\": [\"bob@\"], \"tag:router\": [\"bob@\"]}",
    );
    running
        .until("given", async || {
            text(&bench).await.is_some_and(|text| is_same_policy(&text, &owned))
        })
        .await;
    assert!(text(&bench).await.is_some_and(|text| text.contains("// 22 of bob")));
    edit(&bench, json!({ "acl_policy": null })).await;

    // In an object of its own.
    let second = ports("22,80");
    make_policy(&bench, "p", json!({ "inline": second })).await;
    running.until("applied", async || is_applied(&bench, "p", &second).await).await;
    let said = status(&bench, "p").await;
    let change = said.reachability.expect("a change");
    assert_eq!(&*change.verdict, "grows", "{change:?}");
    let is_row = |row: &&headscale_api::kinds::ReachabilityRow| row.ports.as_deref() == Some("80");
    assert!(change.added.iter().any(|row| is_row(&row)), "{change:?}");
    let hash = said.hash.expect("a hash");

    // In a ConfigMap, whose edits are seen.
    put_text(&bench, &first).await;
    let reference = json!({ "name": "texts", "key": "policy.hujson" });
    let spec = json!({ "inline": null, "configMapRef": reference });
    bench.patch::<HeadscalePolicy>("p", json!({ "spec": spec })).await;
    running.until("applied", async || is_applied(&bench, "p", &first).await).await;
    let said = status(&bench, "p").await;
    assert_ne!(said.hash.as_ref(), Some(&hash));
    assert_eq!(said.reachability.expect("a change").verdict, "shrinks");
    let third = ports("443");
    put_text(&bench, &third).await;
    running.until("applied", async || is_applied(&bench, "p", &third).await).await;

    // Nothing else is to be done, by this operator or by another.
    for _ in 0..2 {
        bench.proxy.reset();
        let asked = async || {
            let requests = bench.proxy.requests();
            requests.iter().filter(|it| it.path == "/api/v1/policy").count() > 4
        };
        running.until("looked at again", asked).await;
        assert_eq!(bench.writes(), Vec::<String>::new());
        drop(running);
        bench.proxy.reset();
        running = bench.operator().start();
    }

    // It goes, and Headscale keeps what it has.
    bench.delete::<HeadscalePolicy>("p").await;
    running.until("gone", async || policy(&bench, "p").await.is_none()).await;
    assert!(has(&bench, &third).await);
    running.until("told", async || event(&bench, "PolicyLeft").await.is_some()).await;
    bench.tells_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_of_a_policy_comes_to_headscale_0_28() {
    each_source(Version::V0_28).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_of_a_policy_comes_to_headscale_0_29() {
    each_source(Version::V0_29).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_of_a_policy_comes_to_headscale_0_30() {
    each_source(Version::V0_30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_headscale_must_not_have_is_told_with_its_place_and_the_last_good_one_stays()
{
    let Some(bench) = bench(Version::V0_29).await else { return };
    let mut running = bench.operator().flag("resync", "10m").start();
    let good = ports("22");
    make_policy(&bench, "p", json!({ "inline": good })).await;
    running.until("applied", async || is_applied(&bench, "p", &good).await).await;
    let hash = status(&bench, "p").await.hash;
    let set = async |text: &str| {
        bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": text } })).await;
    };
    let wrong = good.replace("alice@\"], \"dst", "group:dev\"], \"dst");
    let ssh_tests = good.replace(
        "\"acls\"",
        "\"sshTests\": [{\"src\": \"*\", \"dst\": [\"tag:router\"], \"deny\": [\"root\"]}], \
         \"acls\"",
    );
    let attributes = good.replace(
        "\"acls\"",
        "\"nodeAttrs\": [{\"target\": [\"carol@\"], \"attr\": [\"nextdns:no-device-info\"]}], \
         \"acls\"",
    );
    for (text, place, rule) in [
        (&wrong, "spec.inline:3:40: ", "group-undefined"),
        (&"{".to_owned(), "spec.inline:1:2: ", "syntax"),
        (&ssh_tests, "spec.inline:3:23: ", "ssh-test-enumerates"),
        (&attributes, "spec.inline:3:28: ", "node-attr-user"),
    ] {
        set(text).await;
        let mut said = String::new();
        running
            .until("refused", async || {
                let (_, reason, message) = ready(&bench, "p").await;
                said = message;
                reason == "PolicyInvalid" && said.contains(rule)
            })
            .await;
        assert!(said.starts_with(place), "{said}");
        let status = status(&bench, "p").await;
        assert_eq!(status.findings[0].rule, rule);
        assert_eq!(status.hash, hash, "it is that of what Headscale has");
        assert!(has(&bench, &good).await);
    }
    // Made, the user is not missing any more.
    bench.http.create_user(&NewUser::named("carol")).await.expect("made");
    running.until("applied", async || is_applied(&bench, "p", &attributes).await).await;
    running.until("told", async || event(&bench, "PolicyInvalid").await.is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_policies_for_one_headscale_are_a_conflict() {
    let Some(bench) = bench(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    let (one, other) = (ports("22"), ports("80"));
    make_policy(&bench, "p", json!({ "inline": one })).await;
    running.until("applied", async || is_applied(&bench, "p", &one).await).await;
    // With the one in the instance.
    edit(&bench, json!({ "acl_policy": { "inline": other } })).await;
    running.until("told", async || ready(&bench, "p").await.1 == "PolicyConflict").await;
    assert!(has(&bench, &one).await);
    edit(&bench, json!({ "acl_policy": null })).await;
    running.until("applied", async || is_applied(&bench, "p", &one).await).await;
    // With a younger one.
    let created = policy(&bench, "p").await.expect("there").metadata.creation_timestamp;
    let second = created.expect("a time").0.as_second();
    running.until("a second later", async || jiff::Timestamp::now().as_second() > second).await;
    make_policy(&bench, "q", json!({ "inline": other })).await;
    running.until("told", async || ready(&bench, "q").await.1 == "PolicyConflict").await;
    assert!(is_applied(&bench, "p", &one).await);
    bench.delete::<HeadscalePolicy>("p").await;
    running.until("inherited", async || is_applied(&bench, "q", &other).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn approvers_are_a_part_of_the_policy_as_long_as_they_live() {
    let Some(bench) = bench(Version::V0_30).await else { return };
    let mut running = bench.operator().start();
    // Somebody wrote one by hand: only its approvals are ours.
    let base = ports("22");
    bench.http.set_policy(&base).await.expect("set");
    let routes = json!([{ "cidr": "10.1.0.0/16", "tags": ["tag:router"] }]);
    make_approver(&bench, "a", json!({ "routes": routes })).await;
    running.until("ready", async || ready_approver(&bench, "a").await.0 == "True").await;
    let with = |approvals: &str| {
        base.replace("\n}\n", &format!("\n\t\"autoApprovers\": {approvals},\n}}\n"))
    };
    let is = async |approvals: &str| {
        let text = text(&bench).await.expect("a policy");
        text.contains("// 22 of bob") && is_same_policy(&text, &with(approvals))
    };
    assert!(is(r#"{"routes": {"10.1.0.0/16": ["tag:router"]}}"#).await, "{:?}", text(&bench).await);
    // One that nobody owns is left out, and told.
    make_approver(&bench, "b", json!({ "exitNodeTags": ["tag:exit"] })).await;
    running.until("told", async || ready_approver(&bench, "b").await.1 == "TagOwnerMissing").await;
    let (_, _, message) = ready_approver(&bench, "b").await;
    assert!(message.contains("tag:exit"), "{message}");
    assert_eq!(ready_approver(&bench, "a").await.0, "True");
    // Then it has an owner.
    let spec = json!({ "exitNodeTags": ["tag:router"] });
    bench.patch::<HeadscaleAutoApprover>("b", json!({ "spec": spec })).await;
    let both = r#"{"routes": {"10.1.0.0/16": ["tag:router"]}, "exitNode": ["tag:router"]}"#;
    running.until("approved", async || is(both).await).await;
    running.until("ready", async || ready_approver(&bench, "b").await.0 == "True").await;
    // By hand they are not removed.
    bench.http.set_policy(&base).await.expect("set");
    running.until("repaired", async || is(both).await).await;
    bench.delete::<HeadscaleAutoApprover>("a").await;
    running.until("gone", async || approver(&bench, "a").await.is_none()).await;
    assert!(is(r#"{"exitNode": ["tag:router"]}"#).await);
    bench.delete::<HeadscaleAutoApprover>("b").await;
    running.until("gone", async || approver(&bench, "b").await.is_none()).await;
    let text = text(&bench).await.expect("a policy");
    assert!(is_same_policy(&text, &base), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_refuses_a_policy_and_another_writes_one() {
    let Some(bench) = bench(Version::V0_29).await else { return };
    let cache = bench.directory.path().join("plugins").display().to_string();
    let mut running = bench.operator().flag("plugin-cache", &cache).start();
    let never = json!({ "never": [{ "from": "alice@", "to": "bob@", "ports": [80] }] });
    let plugins = json!([{ "ref": "guardrails", "params": never }]);
    let good = ports("22");
    make_policy(&bench, "p", json!({ "inline": good, "plugins": plugins })).await;
    running.until("applied", async || is_applied(&bench, "p", &good).await).await;
    bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": ports("22,80") } })).await;
    running.until("refused", async || ready(&bench, "p").await.1 == "PolicyInvalid").await;
    let (_, _, message) = ready(&bench, "p").await;
    assert!(message.contains("guardrails/"), "{message}");
    assert!(has(&bench, &good).await);
    // What is wrong with the plugins themselves is told, and nothing is given to Headscale.
    for (reference, told) in [
        ("nothing", "builtin:nothing"),
        ("builtin:nothing", "guardrails and keystone"),
        ("oci://registry.example/rules:1", "has no digest"),
        ("./rules.wasm", "is a file"),
    ] {
        let plugins = json!([{ "ref": reference }]);
        bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "plugins": plugins } })).await;
        running
            .until("failed", async || {
                let (_, reason, message) = ready(&bench, "p").await;
                reason == "PluginFailed" && message.contains(told)
            })
            .await;
        assert!(has(&bench, &good).await);
    }
    // One that writes policies.
    let values = include_str!("../../../examples/keystone/values.yaml");
    let values: Value = serde_saphyr::from_str(values).expect("values");
    let render = json!({ "plugin": "builtin:keystone", "values": values });
    let spec = json!({ "inline": null, "plugins": null, "render": render });
    bench.patch::<HeadscalePolicy>("p", json!({ "spec": spec })).await;
    // It brings tests, of users that are not there.
    running
        .until("refused", async || {
            let (_, reason, message) = ready(&bench, "p").await;
            reason == "PolicyInvalid" && message.starts_with("policy rendered by builtin:keystone:")
        })
        .await;
    assert_eq!(status(&bench, "p").await.findings[0].rule, "test-failed");
    assert!(has(&bench, &good).await);
    bench
        .patch::<HeadscalePolicy>(
            "p",
            json!({ "spec": { "render": { "values": { "nonsense": 1 } } } }),
        )
        .await;
    running.until("failed", async || ready(&bench, "p").await.1 == "PluginFailed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_users_own_is_not_written() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    let path = "/var/lib/headscale/policy.hujson";
    edit(&bench, json!({ "config": { "policy": { "path": path } } })).await;
    make_policy(&bench, "p", json!({ "inline": ports("22") })).await;
    make_approver(&bench, "a", json!({ "exitNodeTags": ["tag:router"] })).await;
    let reason = "PolicyModeUnsupported";
    running.until("told", async || ready(&bench, "p").await.1 == reason).await;
    running.until("told", async || ready_approver(&bench, "a").await.1 == reason).await;
    assert!(ready(&bench, "p").await.2.contains(path));
    bench.delete::<HeadscaleAutoApprover>("a").await;
    running.until("gone", async || approver(&bench, "a").await.is_none()).await;
}
