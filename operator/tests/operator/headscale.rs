//! Instances: their whole life, and what gets in its way.

use headscale_api::kinds::{Headscale, HeadscaleUser};
use headscale_standin::Version;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::program::Running;

/// Has the Headscale of the bench made, and waits until it is ready.
async fn ready(bench: &Bench, more: Value) -> Running {
    bench.make_whole(HEADSCALE, more).await;
    let mut running = bench.operator().start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    until_ready(bench, &mut running).await;
    running
}

/// Lets the pod roll until the instance is ready.
async fn until_ready(bench: &Bench, running: &mut Running) {
    let ready = async || {
        bench.roll(HEADSCALE, true).await;
        bench.reason(HEADSCALE, "Ready").await == "Reconciled"
    };
    running.until("ready", ready).await;
}

/// The template of the pod, of a StatefulSet as it is read.
fn template(set: &Value) -> &Value {
    &set["spec"]["template"]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_made_becomes_ready_and_a_second_time_nothing_is_written() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    bench.make_whole(HEADSCALE, json!({})).await;
    let mut running = bench.operator().start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    running.until("told", async || bench.reason(HEADSCALE, "Ready").await == "PodNotReady").await;
    assert_eq!(bench.says(HEADSCALE, "Progressing").await.0, "True");
    assert_eq!(bench.reason(HEADSCALE, "APIKeyReady").await, "ServerNotReady");

    bench.roll(HEADSCALE, true).await;
    running.until("ready", async || bench.reason(HEADSCALE, "Ready").await == "Reconciled").await;
    let status = bench.headscale_status(HEADSCALE).await;
    assert_eq!(status.version.as_deref(), Some("0.29.2"));
    assert_eq!(status.url.as_deref(), Some("https://headscale.example.com"));
    assert_eq!((status.replicas, status.ready_replicas), (Some(1), Some(1)));
    for (type_, expected) in [
        ("Progressing", ("False", "Complete")),
        ("Degraded", ("False", "AsExpected")),
        ("ConfigValid", ("True", "ConfigValid")),
        ("APIKeyReady", ("True", "KeyWorks")),
    ] {
        let said = bench.says(HEADSCALE, type_).await;
        assert_eq!((&*said.0, &*said.1), expected, "{type_}: {}", said.2);
    }
    let all = bench.everything().await;
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    let expected = [
        "ConfigMap/hs-config",
        "Headscale/hs",
        "Role/hs",
        "RoleBinding/hs",
        "Secret/hs-api-key",
        "Service/hs",
        "Service/hs-metrics",
        "ServiceAccount/hs",
        "StatefulSet/hs",
    ];
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");

    // Several times all of it is looked at, and by another operator too.
    for _ in 0..2 {
        bench.proxy.reset();
        let looks = async || {
            let requests = bench.proxy.requests();
            requests.iter().filter(|it| it.path.starts_with("/api/v1/user")).count() > 4
        };
        running.until("looked at again", looks).await;
        assert_eq!(bench.writes(), Vec::<String>::new());
        drop(running);
        running = bench.operator().start();
    }
    assert_eq!(bench.everything().await, all);
    bench.tells_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_or_delete_is_as_before_again() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let ingress = json!({ "host": "hs.example.com" });
    let mut running = ready(&bench, json!({ "ingress": ingress })).await;
    let before = bench.contents(HEADSCALE).await;
    let edits = [
        ("ConfigMap", "hs-config", json!({ "data": { "config.yaml": "mine", "more": "x" } })),
        ("Service", "hs", json!({ "spec": { "ports": [{ "port": 1, "protocol": "TCP" }] } })),
        ("Service", "hs-metrics", json!({ "spec": { "selector": { "mine": "x" } } })),
        ("ServiceAccount", "hs", json!({ "automountServiceAccountToken": true })),
        ("Role", "hs", json!({ "rules": [] })),
        ("RoleBinding", "hs", json!({ "subjects": [] })),
        ("StatefulSet", "hs", json!({ "spec": { "replicas": 3 } })),
        ("Ingress", "hs", json!({ "spec": { "rules": [{ "host": "other.example.com" }] } })),
        // Without the label it is not watched: the resync finds it.
        (
            "Service",
            "hs",
            json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } }),
        ),
    ];
    for (kind, name, edit) in edits {
        bench.edit(kind, name, edit.clone()).await;
        let is_mended = async || {
            let mut now = bench.contents(HEADSCALE).await;
            // What is nobody's stays.
            if let Some(map) = now.get_mut("ConfigMap/hs-config") {
                map["data"].as_object_mut().expect("data").remove("more");
            }
            now == before
        };
        running.until(&format!("{kind} {name} mended of {edit}"), is_mended).await;
    }
    for kind in ["ConfigMap", "Service", "ServiceAccount", "Role", "RoleBinding", "Ingress"] {
        let name = if kind == "ConfigMap" { "hs-config" } else { "hs" };
        bench.remove(kind, name).await;
        let is_back = async || bench.contents(HEADSCALE).await.len() == before.len();
        running.until(&format!("{kind} back"), is_back).await;
    }
    let uid = bench.set(HEADSCALE).await.and_then(|set| set.metadata.uid);
    bench.remove("StatefulSet", HEADSCALE).await;
    running
        .until("another StatefulSet", async || {
            let set = bench.set(HEADSCALE).await;
            set.is_some_and(|set| set.metadata.uid != uid)
        })
        .await;
    until_ready(&bench, &mut running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_rolls_the_pod_once_and_one_that_the_server_does_not_read_never() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = ready(&bench, json!({})).await;
    let generation = async || bench.set(HEADSCALE).await.and_then(|set| set.metadata.generation);
    let first = generation().await;
    let edit = json!({ "spec": { "config": { "log": { "level": "debug" } } } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    running.until("rolled", async || generation().await != first).await;
    until_ready(&bench, &mut running).await;
    assert_eq!(generation().await, first.map(|first| first + 1), "one change of the template");
    let map = bench.read("ConfigMap", "hs-config").await.expect("a ConfigMap");
    assert!(map["data"]["config.yaml"].as_str().is_some_and(|text| text.contains("debug")));

    // Children that are no longer wanted go, those that are come.
    let second = generation().await;
    let edit = json!({ "spec": {
        "ingress": { "host": "hs.example.com" },
        "service": { "type": "NodePort" },
    } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    running.until("an Ingress", async || bench.read("Ingress", "hs").await.is_some()).await;
    running
        .until("another type", async || {
            bench.read("Service", "hs").await.is_some_and(|it| it["spec"]["type"] == "NodePort")
        })
        .await;
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": { "ingress": null } })).await;
    running.until("no Ingress", async || bench.read("Ingress", "hs").await.is_none()).await;
    assert_eq!(generation().await, second);
    let edit = json!({ "spec": { "api_key": { "auto_manage": false } } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    running
        .until("no rights", async || {
            let role = bench.read("Role", "hs").await;
            role.is_none() && bench.read("RoleBinding", "hs").await.is_none()
        })
        .await;
    until_ready(&bench, &mut running).await;
    let set = bench.read("StatefulSet", "hs").await.expect("a StatefulSet");
    assert_eq!(template(&set)["spec"]["containers"].as_array().map(Vec::len), Some(1));
}

/// A Secret with this key.
async fn put_secret(bench: &Bench, name: &str, key: &str, text: &str) {
    let secret = Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some([(key.to_owned(), ByteString(text.as_bytes().to_vec()))].into()),
        ..Secret::default()
    };
    bench.api().create(&PostParams::default(), &secret).await.expect("created");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_waited_for_and_its_change_rolls_the_pod() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let secrets = json!({ "oidc_client_secret": { "name": "oidc", "key": "secret" } });
    let config = json!({
        "server_url": "https://headscale.example.com",
        "dns": { "base_domain": "tailnet.example.com" },
        "oidc": { "issuer": "https://login.example.com", "client_id": "headscale" },
    });
    bench.make_whole(HEADSCALE, json!({ "secrets": secrets, "config": config })).await;
    let mut running = bench.operator().start();
    let reason = async || bench.reason(HEADSCALE, "Ready").await;
    running.until("told", async || reason().await == "SecretNotFound").await;
    let (_, _, message) = bench.says(HEADSCALE, "Ready").await;
    assert!(message.contains("Secret oidc is not there"), "{message}");
    assert!(message.contains("spec.secrets.oidc_client_secret"), "{message}");
    assert!(bench.set(HEADSCALE).await.is_none(), "no pod is made that would not start");

    put_secret(&bench, "oidc", "wrong", "x").await;
    running
        .until("told", async || {
            bench.says(HEADSCALE, "Ready").await.2.contains("has no key secret")
        })
        .await;
    bench.edit("Secret", "oidc", json!({ "stringData": { "secret": "hush-oidc" } })).await;
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    until_ready(&bench, &mut running).await;

    let generation = async || bench.set(HEADSCALE).await.and_then(|set| set.metadata.generation);
    let before = generation().await;
    bench.edit("Secret", "oidc", json!({ "stringData": { "secret": "hush-another" } })).await;
    running.until("rolled", async || generation().await != before).await;
    until_ready(&bench, &mut running).await;
    // What runs stays while it is gone.
    let before = generation().await;
    bench.remove("Secret", "oidc").await;
    running.until("told", async || reason().await == "SecretNotFound").await;
    assert_eq!(generation().await, before);
    let log = running.log();
    assert!(!log.contains("hush-"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_the_spec_are_moved_into_a_secret_without_a_second_roll() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let config = json!({
        "server_url": "https://headscale.example.com",
        "dns": { "base_domain": "tailnet.example.com" },
        "oidc": {
            "issuer": "https://login.example.com",
            "client_id": "headscale",
            "client_secret": "hush-oidc",
        },
    });
    let mut running = ready(&bench, json!({ "config": config })).await;
    let generation = async || bench.set(HEADSCALE).await.and_then(|set| set.metadata.generation);
    assert_eq!(generation().await, Some(1), "its pod is made once");
    let secret = bench.read("Secret", "hs-config-secrets").await.expect("a Secret");
    assert_eq!(secret["data"].as_object().map(serde_json::Map::len), Some(1));
    let map = bench.read("ConfigMap", "hs-config").await.expect("a ConfigMap");
    assert!(!map.to_string().contains("hush-oidc"));

    let edit = json!({ "spec": { "config": { "oidc": { "client_secret": "hush-another" } } } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    running.until("rolled", async || generation().await == Some(2)).await;
    until_ready(&bench, &mut running).await;
    assert_eq!(generation().await, Some(2), "once");
    let edit = json!({ "spec": { "config": { "oidc": null } } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    let is_gone = async || bench.read("Secret", "hs-config-secrets").await.is_none();
    running.until("no Secret", is_gone).await;
    until_ready(&bench, &mut running).await;
    assert!(!running.log().contains("hush-"));
    assert!(!json!(bench.headscale_status(HEADSCALE).await).to_string().contains("hush-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_errors_starts_nothing_and_stops_nothing() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    // That of the bench has no configuration.
    let told = async || bench.reason(HEADSCALE, "ConfigValid").await == "ConfigInvalid";
    running.until("told", told).await;
    let (_, reason, message) = bench.says(HEADSCALE, "Ready").await;
    assert_eq!(reason, "ConfigInvalid");
    assert!(message.contains("spec.config") && message.contains("server_url"), "{message}");
    assert!(bench.set(HEADSCALE).await.is_none());

    bench.make_whole(HEADSCALE, json!({})).await;
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    until_ready(&bench, &mut running).await;
    let before = bench.contents(HEADSCALE).await;
    let edit = json!({ "spec": { "config": { "prefixes": { "v4": "nonsense" } } } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    running.until("told", told).await;
    let (status, _, message) = bench.says(HEADSCALE, "Degraded").await;
    assert_eq!(status, "True");
    assert!(message.contains("what runs is left as it is"), "{message}");
    assert_eq!(bench.contents(HEADSCALE).await, before);
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": { "replicas": 0 } })).await;
    let stopped = async || {
        bench.set(HEADSCALE).await.and_then(|set| set.spec).and_then(|it| it.replicas) == Some(0)
    };
    running.until("stopped", stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_can_be_stopped_and_goes_on() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = ready(&bench, json!({ "replicas": 3 })).await;
    let (status, _, message) = bench.says(HEADSCALE, "SingleActive").await;
    assert_eq!(status, "True");
    assert!(message.contains("spec.replicas is 3, and one server runs"), "{message}");
    let replicas = async || bench.set(HEADSCALE).await.and_then(|set| set.spec?.replicas);
    assert_eq!(replicas().await, Some(1));

    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": { "replicas": 0 } })).await;
    running.until("stopped", async || replicas().await == Some(0)).await;
    bench.roll(HEADSCALE, true).await;
    let told = async || {
        bench.reason(HEADSCALE, "Ready").await == "ScaledToZero"
            && bench.reason(HEADSCALE, "Progressing").await == "ScaledToZero"
    };
    running.until("told", told).await;
    assert_eq!(bench.says(HEADSCALE, "Degraded").await.0, "False");
    assert!(bench.says(HEADSCALE, "SingleActive").await.0.is_empty());
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": { "replicas": 1 } })).await;
    running.until("going on", async || replicas().await == Some(1)).await;
    until_ready(&bench, &mut running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anothers_is_left_alone() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let labels = json!({ "app": "mine" });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "hs", "labels": labels },
        "spec": { "ports": [{ "port": 80 }] },
    });
    bench.make(service).await;
    let before = bench.read("Service", "hs").await;
    bench.make_whole(HEADSCALE, json!({})).await;
    let mut running = bench.operator().start();
    let told = async || bench.reason(HEADSCALE, "Ready").await == "NameTaken";
    running.until("told", told).await;
    let (_, _, message) = bench.says(HEADSCALE, "Degraded").await;
    assert!(message.contains("Service hs is not of this Headscale"), "{message}");
    assert_eq!(bench.read("Service", "hs").await, before);
    assert!(bench.set(HEADSCALE).await.is_none(), "nothing is made beside it");

    bench.remove("Service", "hs").await;
    bench.edit("Headscale", HEADSCALE, json!({ "metadata": { "labels": { "again": "x" } } })).await;
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    until_ready(&bench, &mut running).await;

    // Another that would keep its API key in the same Secret, and one with a name that is too long.
    let secret = json!({ "api_key": { "secret_name": "hs-api-key" } });
    bench.make_instance("rival", secret).await;
    let told = async || bench.reason("rival", "Ready").await == "SecretNameTaken";
    running.until("told", told).await;
    let long = format!("x{}", "y".repeat(60));
    bench.make_instance(&long, json!({})).await;
    let told = async || bench.reason(&long, "Ready").await == "InvalidName";
    running.until("told", told).await;
    assert!(bench.set("rival").await.is_none() && bench.set(&long).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_cannot_be_read_is_told_and_others_are_looked_after() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = ready(&bench, json!({})).await;
    let before = bench.contents(HEADSCALE).await;
    let edit = json!({ "spec": { "tolerations": [{ "key": 5 }] } });
    bench.edit("Headscale", HEADSCALE, edit).await;
    let says = async || {
        let object = bench.read("Headscale", HEADSCALE).await.expect("there");
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|it| it["type"] == "Ready").unwrap_or_default();
        (ready["reason"].clone(), ready["message"].clone(), object)
    };
    running.until("told", async || says().await.0 == "InvalidSpec").await;
    let (_, message, object) = says().await;
    let message = message.as_str().expect("text");
    assert!(message.contains("spec.tolerations cannot be read"), "{message}");
    assert_eq!(object["spec"]["tolerations"], json!([{ "key": 5 }]), "nobody writes a spec");
    assert_eq!(bench.contents(HEADSCALE).await, before, "what runs stays");

    bench.make_user("alice", json!({})).await;
    running.until("a user", async || bench.is_user_ready("alice").await).await;
    bench.make_instance("other", json!({})).await;
    running.until("another", async || bench.set("other").await.is_some()).await;
    // Also by an operator that finds it so.
    drop(running);
    let mut running = bench.operator().start();
    bench.make_instance("third", json!({})).await;
    running.until("a third", async || bench.set("third").await.is_some()).await;
    bench.edit("Headscale", HEADSCALE, json!({ "spec": { "tolerations": null } })).await;
    until_ready(&bench, &mut running).await;
    // What the API server refuses in an object is told too.
    let edit = json!({ "spec": { "pod_labels": { "not a label": "x" } } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    let told = async || bench.reason(HEADSCALE, "Ready").await == "ObjectRefused";
    running.until("told", told).await;
    let (_, _, message) = bench.says(HEADSCALE, "Ready").await;
    assert!(message.contains("StatefulSet hs") && message.contains("labels"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_leaves_its_data_and_its_users_go() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let mut running = ready(&bench, json!({})).await;
    bench.make_user("alice", json!({})).await;
    running.until("a user", async || bench.is_user_ready("alice").await).await;
    // As the Go operator left it.
    let finalizer = json!({ "finalizers": ["headscale.infrado.cloud/finalizer"] });
    bench.edit("Headscale", HEADSCALE, json!({ "metadata": finalizer })).await;
    bench.delete::<Headscale>(HEADSCALE).await;
    let is_gone = async || bench.headscale_object(HEADSCALE).await.is_none();
    running.until("gone", is_gone).await;
    assert!(bench.secret("hs-api-key").await.is_some(), "the key stays");
    let events: Api<k8s_openapi::api::events::v1::Event> = bench.api();
    let told = async || {
        let events = events.list(&ListParams::default()).await.expect("events").items;
        events.iter().any(|it| {
            let note = it.note.clone().unwrap_or_default();
            it.reason.as_deref() == Some("DataKept") && note.contains("data-hs-0")
        })
    };
    running.until("told", told).await;
    running.until("told", async || bench.ready_user("alice").await.1 == "HeadscaleNotFound").await;
    bench.delete::<HeadscaleUser>("alice").await;
    running.until("gone", async || bench.user("alice").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_not_written() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let paused = |value: Value| json!({ "metadata": { "annotations": { "headscale.infrado.cloud/paused": value } } });
    let mut running = ready(&bench, json!({})).await;
    bench.edit("Headscale", HEADSCALE, paused(json!("true"))).await;
    let before = bench.everything().await;
    let edit = json!({ "spec": { "config": { "log": { "level": "debug" } } } });
    bench.patch::<Headscale>(HEADSCALE, edit).await;
    // Another is made meanwhile, so it would have been looked at.
    bench.make_instance("other", json!({})).await;
    running.until("another", async || bench.set("other").await.is_some()).await;
    let after = bench.everything().await;
    for (name, version) in before.iter().filter(|(name, _)| *name != "Headscale/hs") {
        assert_eq!(after.get(name), Some(version), "{name}");
    }
    bench.edit("Headscale", HEADSCALE, paused(Value::Null)).await;
    running
        .until("rolled", async || {
            let map = bench.read("ConfigMap", "hs-config").await.expect("a ConfigMap");
            map.to_string().contains("debug")
        })
        .await;
    until_ready(&bench, &mut running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_ends_is_not_written_to_again_and_again() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    bench.make_whole(HEADSCALE, json!({})).await;
    let namespaces: Api<Namespace> = Api::all(bench.cluster.client());
    namespaces.delete(&bench.namespace, &DeleteParams::default()).await.expect("ending");
    let mut running = bench.operator().start();
    let told = async || bench.reason(HEADSCALE, "Ready").await == "NamespaceTerminating";
    running.until("told", told).await;
    bench.proxy.reset();
    let looks = async || {
        let requests = bench.proxy.requests();
        requests.iter().filter(|it| it.path.contains("/serviceaccounts/hs")).count() > 2
    };
    running.until("looked at again", looks).await;
    let writes = bench.writes();
    assert!(writes.len() <= 3, "after longer and longer pauses: {writes:?}");
    assert!(bench.set(HEADSCALE).await.is_none());
}
