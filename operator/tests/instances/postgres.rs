//! An instance whose database is PostgreSQL. With `HEADSCALE_BIN` it is a real one.

use headscale_api::kinds::Headscale;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PodSpec, Secret};
use serde_json::json;

use crate::postgres_server::{PostgresServer, USER};
use crate::stage::Stage;

const POD: &str = "demo-0";
const SECRET: &str = "demo-api-key";
const PASSWORD: &str = "correct-horse-battery";
const VARIABLE: &str = "HEADSCALE_DATABASE_POSTGRES_PASS";

fn image(version: &str) -> String {
    format!("headscale/headscale:{version}")
}

/// Whether real servers are played, which need a real database.
fn is_real() -> bool {
    !headscale_testkit::headscale::programs().is_empty()
}

async fn make_headscale(stage: &Stage, host: &str) {
    let object = json!({
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "Headscale",
        "metadata": { "name": "demo" },
        "spec": {
            "version": "0.28.0",
            "replicas": 1,
            "config": {
                "server_url": "http://headscale.example.com",
                "policy": { "mode": "database" },
                "dns": { "base_domain": "tailnet.example.com" },
                "database": {
                    "type": "postgres",
                    "postgres": { "host": host, "port": 5432, "name": "postgres", "user": USER },
                },
            },
            "secrets": { "database_password": { "name": "database", "key": "password" } },
        },
    });
    stage.create::<Headscale>(object).await;
}

async fn pod(stage: &Stage) -> PodSpec {
    let set: StatefulSet = stage.get("demo").await.expect("a StatefulSet");
    set.spec.and_then(|spec| spec.template.spec).expect("a pod")
}

/// The container has the password by reference, and nothing that many may read has it at all.
async fn keeps_the_password(stage: &Stage) {
    let pod = pod(stage).await;
    let server = pod.containers.first().expect("the server");
    let mut variables = server.env.iter().flatten();
    let variable = variables.find(|variable| variable.name == VARIABLE).expect("a variable");
    let source = variable.value_from.as_ref().and_then(|source| source.secret_key_ref.as_ref());
    let source = source.expect("a reference");
    assert_eq!((source.name.as_str(), source.key.as_str()), ("database", "password"));
    let map: ConfigMap = stage.get("demo-config").await.expect("a ConfigMap");
    let config = map.data.and_then(|mut data| data.remove("config.yaml")).expect("a file");
    assert!(config.contains("postgres"), "{config}");
    let headscale: Headscale = stage.get("demo").await.expect("it is there");
    let texts = [config, json!(pod).to_string(), json!(headscale).to_string()];
    assert!(texts.iter().all(|text| !text.contains(PASSWORD)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_on_postgres_has_its_password_from_a_secret_and_steps_once_it_is_backed_up() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let server = if is_real() {
        let Some(server) = PostgresServer::start(&stage, PASSWORD) else { return };
        Some(server)
    } else {
        None
    };
    let host = server.as_ref().map(|server| server.host().display().to_string());
    let mut operator = stage.start();
    make_headscale(&stage, host.as_deref().unwrap_or("postgres.db.svc")).await;
    stage.make_user("demo", "alice").await;
    stage.make_key("demo", "laptop", "alice").await;
    let is_missing = async || stage.condition("demo", "Ready").await.1 == "SecretNotFound";
    stage.until(&mut operator, "without its password", is_missing).await;

    let secret =
        json!({ "metadata": { "name": "database" }, "stringData": { "password": PASSWORD } });
    stage.create::<Secret>(secret).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until(&mut operator, "a user", async || stage.is_user_ready("alice").await).await;
    stage.until(&mut operator, "a key", async || stage.is_key_ready("laptop").await).await;
    keeps_the_password(&stage).await;
    assert_eq!(pod(&stage).await.init_containers, None, "there is no file to copy");
    if let Some(server) = &server {
        assert_eq!(server.ask(PASSWORD, "SELECT name FROM users"), "alice");
        let data = stage.player.data("data-demo-0").expect("a claim");
        assert!(!data.join("db.sqlite").exists(), "nothing else has it");
        assert!(data.join("noise_private.key").exists());
    }

    // Nobody has said that there is a backup.
    stage.patch::<Headscale>("demo", json!({ "spec": { "version": "0.30.0" } })).await;
    let is_blocked = async || stage.condition("demo", "Ready").await.1 == "BackupNotConfirmed";
    stage.until(&mut operator, "blocked", is_blocked).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.images(POD), [image("0.28.0")]);
    assert!(stage.users("demo", SECRET).await.is_some(), "what runs stays");

    let consent = json!({ "spec": { "upgrade": { "backupConfirmed": "0.30" } } });
    stage.patch::<Headscale>("demo", consent).await;
    let is_done = async || stage.runs("demo", "demo", &image("0.30.0")).await;
    stage.until(&mut operator, "at 0.30", is_done).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.images(POD), [image("0.28.0"), image("0.29.2"), image("0.30.0")]);
    assert_eq!(stage.users("demo", SECRET).await, Some(vec!["alice".to_owned()]));
    assert!(stage.is_key_ready("laptop").await);
    keeps_the_password(&stage).await;
    if let Some(server) = &server {
        assert_eq!(server.ask(PASSWORD, "SELECT name FROM users"), "alice");
    }
    stage.writes_nothing_more(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_database_does_not_let_it_in_says_so_and_takes_another_password() {
    if !is_real() {
        return;
    }
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let Some(server) = PostgresServer::start(&stage, PASSWORD) else { return };
    let mut operator = stage.start();
    let secret =
        json!({ "metadata": { "name": "database" }, "stringData": { "password": "wrong" } });
    stage.create::<Secret>(secret).await;
    make_headscale(&stage, &server.host().display().to_string()).await;
    let says = async |words: &[&str]| {
        let (_, reason, message) = stage.condition("demo", "Ready").await;
        reason == "CrashLoop" && words.iter().all(|word| message.contains(word))
    };
    let is_refused = async || says(&["password authentication failed"]).await;
    stage.until(&mut operator, "refused", is_refused).await;

    let right = json!({ "stringData": { "password": PASSWORD } });
    stage.patch::<Secret>("database", right).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!(stage.images(POD).len(), 2, "another password replaces the pod");
}
