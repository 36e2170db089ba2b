//! An instance that serves TLS itself.

use headscale_api::kinds::Headscale;
use headscale_client::{HeadscaleApi as _, HttpClient, UserFilter};
use headscale_keys::ApiKey;
use headscale_testkit::certificates::{Issued, issue};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Secret, Service};
use serde_json::{Value, json};

use crate::stage::Stage;

const POD: &str = "demo-0";
const SECRET: &str = "demo-api-key";
const HOST: &str = "headscale.example.com";

fn tls(issued: &Issued) -> Value {
    json!({ "tls.crt": issued.certificate, "tls.key": issued.key })
}

fn ca(issued: &Issued) -> Value {
    json!({ "ca.pem": issued.authority })
}

async fn make_secret(stage: &Stage, name: &str, type_: &str, data: Value) {
    let secret = json!({ "metadata": { "name": name }, "type": type_, "stringData": data });
    stage.create::<Secret>(secret).await;
}

async fn set_secret(stage: &Stage, name: &str, data: Value) {
    stage.patch::<Secret>(name, json!({ "stringData": data })).await;
}

async fn make_headscale(stage: &Stage, secrets: Value) {
    let object = json!({
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "Headscale",
        "metadata": { "name": "demo" },
        "spec": {
            "version": "0.29.2",
            "replicas": 1,
            "config": {
                "server_url": format!("https://{HOST}"),
                "listen_addr": "0.0.0.0:8443",
                "policy": { "mode": "database" },
                "dns": { "base_domain": "tailnet.example.com" },
            },
            "secrets": secrets,
        },
    });
    stage.create::<Headscale>(object).await;
}

/// The users, as somebody is told who trusts this authority and no other.
async fn users(stage: &Stage, issued: &Issued) -> Option<Vec<String>> {
    let secret: Secret = stage.get(SECRET).await?;
    let ByteString(key) = secret.data?.remove("api-key")?;
    let key = ApiKey::parse(std::str::from_utf8(&key).expect("text")).expect("a key");
    let client = HttpClient::builder(&format!("https://{}", stage.player.address("demo")));
    let client = client.api_key(key).ca(issued.authority.as_bytes()).server_name(HOST);
    let users = client.build().expect("a client").list_users(&UserFilter::All).await.ok()?;
    Some(users.into_iter().map(|user| user.name).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_a_certificate_becomes_ready_and_gets_another_certificate() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    stage.make_user("demo", "alice").await;
    stage.make_key("demo", "laptop", "alice").await;
    let secrets = json!({ "tls": { "name": "web" }, "ca": { "name": "trust", "key": "ca.pem" } });
    make_headscale(&stage, secrets).await;
    let says = async |type_: &str, word: &str| stage.condition("demo", type_).await.1 == word;
    let is_missing = async || says("Ready", "SecretNotFound").await;
    stage.until(&mut operator, "without its Secrets", is_missing).await;

    let first = issue(HOST);
    make_secret(&stage, "web", "kubernetes.io/tls", tls(&first)).await;
    make_secret(&stage, "trust", "Opaque", ca(&first)).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until(&mut operator, "a user", async || stage.is_user_ready("alice").await).await;
    stage.until(&mut operator, "a key", async || stage.is_key_ready("laptop").await).await;
    assert_eq!(users(&stage, &first).await, Some(vec!["alice".to_owned()]));
    assert!(stage.users("demo", SECRET).await.is_none(), "without TLS there is nothing");
    let service: Service = stage.get("demo").await.expect("a Service");
    let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
    assert!(ports.iter().any(|port| port.port == 8443), "{ports:?}");
    // New keys are tried, at a certificate that is checked.
    let set: StatefulSet = stage.get("demo").await.expect("a StatefulSet");
    let pod = set.spec.and_then(|spec| spec.template.spec).expect("a pod");
    let arguments = pod.containers[1].args.clone().unwrap_or_default();
    let wanted = format!("--headscale-server-name={HOST}");
    assert!(arguments.contains(&wanted), "{arguments:?}");
    let log = stage.player.log(POD, "apikey-manager");
    assert!(log.contains("authenticated"), "{log}");
    assert_eq!(stage.images(POD).len(), 1);

    // The Secrets change, one after the other: the server reads them when it starts.
    let second = issue(HOST);
    set_secret(&stage, "web", tls(&second)).await;
    set_secret(&stage, "trust", ca(&second)).await;
    let is_replaced =
        async || users(&stage, &second).await.is_some() && stage.is_ready("demo").await;
    stage.until(&mut operator, "with another certificate", is_replaced).await;
    assert!(users(&stage, &first).await.is_none(), "the first one is gone");
    stage.until_quiet(&mut operator).await;
    assert!(stage.images(POD).len() <= 3, "each Secret replaces the pod once at most");
    stage.writes_nothing_more(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_to_be_trusted_is_told_with_what_mends_it() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    let (right, wrong, elsewhere) = (issue(HOST), issue(HOST), issue("other.example.com"));
    make_secret(&stage, "web", "kubernetes.io/tls", tls(&right)).await;
    make_secret(&stage, "trust", "Opaque", ca(&wrong)).await;
    stage.make_user("demo", "alice").await;
    let secrets = json!({ "tls": { "name": "web" }, "ca": { "name": "trust", "key": "ca.pem" } });
    make_headscale(&stage, secrets).await;
    let says = async |words: &[&str]| {
        let (_, reason, message) = stage.condition("demo", "APIKeyReady").await;
        reason == "CertificateRefused" && words.iter().all(|word| message.contains(word))
    };
    let is_refused = async || says(&["invalid peer certificate", "spec.secrets.ca"]).await;
    stage.until(&mut operator, "an unknown authority", is_refused).await;
    assert_eq!(stage.condition("demo", "Ready").await.1, "APIKeyNotReady");
    assert!(!stage.is_user_ready("alice").await);

    set_secret(&stage, "web", tls(&elsewhere)).await;
    set_secret(&stage, "trust", ca(&elsewhere)).await;
    let is_refused = async || says(&[HOST, "spec.config.server_url"]).await;
    stage.until(&mut operator, "another host", is_refused).await;

    set_secret(&stage, "trust", json!({ "ca.pem": "none" })).await;
    let is_invalid = async || {
        let (_, reason, message) = stage.condition("demo", "APIKeyReady").await;
        reason == "AddressInvalid" && message.contains("spec.secrets.ca")
    };
    stage.until(&mut operator, "no certificates", is_invalid).await;

    // The server itself does not take a key of another certificate.
    let (first, second) = (issue(HOST), issue(HOST));
    let mixed = json!({ "tls.crt": first.certificate, "tls.key": second.key });
    set_secret(&stage, "web", mixed).await;
    let has_crashed = async || {
        let (_, reason, message) = stage.condition("demo", "Ready").await;
        reason == "CrashLoop" && message.contains("TLS")
    };
    stage.until(&mut operator, "a crash", has_crashed).await;

    set_secret(&stage, "web", tls(&right)).await;
    set_secret(&stage, "trust", ca(&right)).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until(&mut operator, "a user", async || stage.is_user_ready("alice").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_certificates_to_trust_it_is_said_where_they_are_named() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    let issued = issue(HOST);
    make_secret(&stage, "web", "kubernetes.io/tls", tls(&issued)).await;
    // The files are mounted by hand.
    make_headscale(&stage, json!({})).await;
    let files = json!({
        "config": { "tls_cert_path": "/certificates/tls.crt", "tls_key_path": "/certificates/tls.key" },
        "extra_volumes": [{ "name": "certificates", "secret": { "secretName": "web" } }],
        "extra_volume_mounts": [{ "name": "certificates", "mountPath": "/certificates" }],
    });
    stage.patch::<Headscale>("demo", json!({ "spec": files })).await;
    stage.make_user("demo", "alice").await;
    let is_told = async || {
        let (status, reason, message) = stage.condition("demo", "APIKeyReady").await;
        // The system that the test runs on has authorities, or it has none.
        let reasons = ["CertificateRefused", "AddressInvalid"];
        status == "False"
            && reasons.contains(&reason.as_str())
            && message.contains("spec.secrets.ca")
    };
    stage.until(&mut operator, "told", is_told).await;

    // As cert-manager has it: the authority is in the same Secret.
    set_secret(&stage, "web", json!({ "ca.crt": issued.authority })).await;
    let ca = json!({ "spec": { "secrets": { "ca": { "name": "web", "key": "ca.crt" } } } });
    stage.patch::<Headscale>("demo", ca).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until(&mut operator, "a user", async || stage.is_user_ready("alice").await).await;
}
