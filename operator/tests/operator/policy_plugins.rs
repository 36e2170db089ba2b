//! Plugins of registries.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use headscale_api::kinds::{Headscale, HeadscalePolicy};
use headscale_policy_host::builtins;
use headscale_policy_registry::{Annotations, Artifact, Client, OciReference, Options, Transport};
use headscale_standin::Version;
use headscale_testkit::certificates::{Issued, issue};
use headscale_testkit::docker_registry::Registry;
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::policies::{bench, has, is_applied, make_policy, ports, ready};
use crate::policy_files::file;

/// Guardrails by a registry's reference, which keep alice from a port of bob.
fn guardrails(reference: &str) -> Value {
    let never = json!({ "never": [{ "from": "alice@", "to": "bob@", "ports": [80] }] });
    json!([{ "ref": reference, "params": never }])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_a_registry_judges_and_is_the_one_with_the_digest() {
    let Some(bench) = bench(Version::V0_29).await else { return };
    let Issued { authority, certificate, key } = issue("127.0.0.1");
    let trusted = bench.directory.path().join("authority.pem");
    fs::write(&trusted, &authority).expect("written");
    let extra = "http:\n  addr: \"127.0.0.1:0\"\n  \
                 tls: {certificate: DIR/certificate.pem, key: DIR/key.pem}\n";
    let Some(registry) = Registry::start(extra, |directory| {
        fs::write(directory.join("certificate.pem"), certificate).expect("written");
        fs::write(directory.join("key.pem"), key).expect("written");
    }) else {
        return;
    };
    let push = async |name: &str| {
        let component = builtins().iter().find(|it| it.name == name).expect("it is built in");
        let component = component.component.to_vec();
        let artifact = Artifact::pack(component, None, &Annotations::default()).expect("packed");
        let tag: OciReference =
            format!("oci://{}/acme/rules:1", registry.address()).parse().expect("a reference");
        let options = Options {
            certificates: authority.clone().into_bytes(),
            transport: Transport::Tls,
            ..Options::default()
        };
        let digest = Client::new(options).push(&tag, &artifact).await.expect("pushed");
        tag.pinned(digest).to_string()
    };
    let reference = push("guardrails").await;
    // The tag moves, the digest does not.
    let other = push("keystone").await;
    assert_ne!(reference, other);
    let cache = bench.directory.path().join("plugins").display().to_string();
    let operator = bench.operator().flag("plugin-cache", &cache);
    let operator = operator.variable("SSL_CERT_FILE", &trusted.display().to_string());
    let mut running = operator.start();
    let good = ports("22");
    let spec = json!({ "inline": good, "plugins": guardrails(&reference) });
    make_policy(&bench, "p", spec).await;
    running.until("applied", async || is_applied(&bench, "p", &good).await).await;
    let set = async |spec: Value| {
        bench.patch::<HeadscalePolicy>("p", json!({ "spec": spec })).await;
    };
    set(json!({ "inline": ports("22,80") })).await;
    running.until("refused", async || ready(&bench, "p").await.1 == "PolicyInvalid").await;
    let (_, _, message) = ready(&bench, "p").await;
    assert!(message.contains("guardrails/"), "{message}");
    // A digest that the registry does not have.
    let unknown = reference.rsplit_once(':').expect("a digest").0;
    let unknown = format!("{unknown}:{}", "0".repeat(64));
    set(json!({ "plugins": guardrails(&unknown) })).await;
    running
        .until("failed", async || {
            let (_, reason, message) = ready(&bench, "p").await;
            reason == "PluginFailed" && message.contains("is not in the registry")
        })
        .await;
    assert!(has(&bench, &good).await);
    // What was pulled needs no registry.
    drop(registry);
    drop(running);
    let mut running = operator.start();
    let last = ports("443");
    set(json!({ "inline": last, "plugins": guardrails(&reference) })).await;
    running.until("applied", async || is_applied(&bench, "p", &last).await).await;
}

/// A registry that accepts and never answers: its address, and how often it was connected to.
fn silent() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut connections = Vec::new();
        for connection in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            connections.push(connection);
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_says_nothing_holds_up_nobody() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let (address, count) = silent();
    let reference = format!("oci://{address}/acme/rules:1@sha256:{}", "1".repeat(64));
    let cache = bench.directory.path().join("plugins").display().to_string();
    let good = ports("22");
    bench.make_whole(HEADSCALE, json!({})).await;
    let operator = bench.operator().flag("plugin-cache", &cache).flag("resync", "10m");
    // Longer than this test waits for anything.
    let mut running = operator.clone().flag("plugin-timeout", "10m").start();
    running.until("a StatefulSet", async || bench.set(HEADSCALE).await.is_some()).await;
    bench.roll(HEADSCALE, true).await;
    make_policy(&bench, "p", json!({ "inline": good, "plugins": guardrails(&reference) })).await;
    running
        .until("told", async || {
            let (_, reason, message) = ready(&bench, "p").await;
            let says = format!("does not come from {address} yet: it may take 600s");
            reason == "PluginFailed" && message.contains(&says)
        })
        .await;
    let began = Instant::now();
    let config = json!({ "log": { "level": "debug" } });
    bench.patch::<Headscale>(HEADSCALE, json!({ "spec": { "config": config } })).await;
    bench.make_user("u", json!({})).await;
    bench.make_instance("other", json!({})).await;
    running
        .until("the rest done", async || {
            let map = bench.read("ConfigMap", "hs-config").await.expect("a ConfigMap");
            let is_written = map["data"]["config.yaml"].as_str().expect("text").contains("debug");
            let is_made = bench.set("other").await.is_some();
            is_written && is_made && bench.is_user_ready("u").await
        })
        .await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // A connection is tried three times in ten minutes, and nobody else asks.
    assert!(count.load(Ordering::Relaxed) <= 3, "one asks for all");
    assert_eq!(file(&bench).await, None);
    drop(running);

    // It is given up, told once, and tried again after ever longer pauses.
    let (began, before) = (Instant::now(), count.load(Ordering::Relaxed));
    let mut running = operator.flag("plugin-timeout", "300ms").start();
    let mut said = BTreeSet::new();
    running
        .until("tried again", async || {
            let (_, reason, message) = ready(&bench, "p").await;
            assert_eq!(reason, "PluginFailed");
            said.insert(message);
            count.load(Ordering::Relaxed) >= before + 2
        })
        .await;
    assert!(began.elapsed() > Duration::from_secs(3), "it is not tried without a pause");
    let told = said.iter().find(|message| message.contains("not done within 300ms"));
    assert!(told.is_some_and(|it| it.contains(&address)), "{said:#?}");
    assert!(said.len() <= 2, "{said:#?}");
}
