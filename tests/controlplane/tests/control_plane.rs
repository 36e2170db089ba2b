//! The control plane of the tests is a real one, and leaves nothing behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use headscale_controlplane::ControlPlane;
use headscale_testkit::tell;
use headscale_testkit::tools::tool;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object")
}

fn refuses_connections(address: &str) -> bool {
    TcpStream::connect(address).is_err()
}

#[tokio::test]
async fn it_starts_in_seconds_and_leaves_nothing() {
    let start = Instant::now();
    let Some(plane) = ControlPlane::start().await else { return };
    tell(&format!("control plane: ready in {:.1} s", start.elapsed().as_secs_f64()));

    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = plane.kubeconfig(folder.path(), plane.admin_token(), "default", None);
    let text = fs::read_to_string(kubeconfig).expect("written");
    let configuration: Value = serde_json::from_str(&text).expect("JSON");
    let certificate = configuration["clusters"][0]["cluster"]["certificate-authority"].as_str();
    let certificate = Path::new(certificate.expect("a path")).to_owned();
    assert_eq!(fs::read_to_string(&certificate).expect("there"), plane.ca_pem());

    let address = plane.url().trim_start_matches("https://").to_owned();
    assert!(!refuses_connections(&address));
    drop(plane);
    assert!(refuses_connections(&address));
    assert!(!certificate.parent().expect("a directory").exists());
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_says_and_nothing_else() {
    let Some(plane) = ControlPlane::shared().await else { return };
    let (namespace, other) = (plane.namespace().await, plane.namespace().await);
    assert_ne!(namespace, other);
    let token = plane.token_for(&namespace, "sidecar").await;
    let secrets: Api<Secret> = Api::namespaced(plane.client_as(&token), &namespace);
    let denied = secrets.get("key").await.expect_err("no role yet").to_string();
    assert!(
        denied.contains(&format!("system:serviceaccount:{namespace}:sidecar"))
            && denied.contains("cannot get resource \"secrets\""),
        "{denied}"
    );

    let params = PostParams::default();
    let role: Role = object(json!({
        "metadata": { "name": "sidecar" },
        "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "get"] }],
    }));
    let roles: Api<Role> = Api::namespaced(plane.client(), &namespace);
    roles.create(&params, &role).await.expect("a role");
    let binding: RoleBinding = object(json!({
        "metadata": { "name": "sidecar" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sidecar" },
        "subjects": [{ "kind": "ServiceAccount", "name": "sidecar", "namespace": namespace }],
    }));
    let bindings: Api<RoleBinding> = Api::namespaced(plane.client(), &namespace);
    bindings.create(&params, &binding).await.expect("a binding");

    // The API server's authorizer learns of both by a watch.
    let secret: Secret = object(json!({ "metadata": { "name": "key" } }));
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = secrets.create(&params, &secret).await {
        assert!(Instant::now() < deadline, "{error}");
    }
    assert!(secrets.get_opt("key").await.expect("allowed").is_some());
    secrets.delete("key", &kube::api::DeleteParams::default()).await.expect_err("not allowed");
    let elsewhere: Api<Secret> = Api::namespaced(plane.client_as(&token), &other);
    elsewhere.get_opt("key").await.expect_err("not in another namespace");
}

#[tokio::test]
async fn nobody_gets_in_with_a_wrong_token() {
    let Some(plane) = ControlPlane::shared().await else { return };
    let secrets: Api<Secret> = Api::namespaced(plane.client_as("wrong"), "default");
    let error = secrets.get_opt("key").await.expect_err("unauthorized").to_string();
    assert!(error.contains("Unauthorized"), "{error}");
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart_on_the_same_port() {
    let Some(plane) = ControlPlane::start().await else { return };
    let namespace = plane.namespace().await;
    let token = plane.token_for(&namespace, "reader").await;
    let maps: Api<ConfigMap> = Api::namespaced(plane.client(), &namespace);
    let map: ConfigMap = object(json!({ "metadata": { "name": "kept" }, "data": { "a": "b" } }));
    let made = maps.create(&PostParams::default(), &map).await.expect("a map");

    let address = plane.url().trim_start_matches("https://").to_owned();
    plane.stop_apiserver();
    assert!(refuses_connections(&address));
    maps.get("kept").await.expect_err("nobody answers");
    let start = Instant::now();
    plane.start_apiserver().await;
    tell(&format!("control plane: ready again in {:.1} s", start.elapsed().as_secs_f64()));
    assert_eq!(maps.get("kept").await.expect("kept"), made);
    let as_reader: Api<ConfigMap> = Api::namespaced(plane.client_as(&token), &namespace);
    let error = as_reader.get("kept").await.expect_err("known, and not allowed").to_string();
    assert!(error.contains("forbidden"), "{error}");
}

#[tokio::test]
async fn kubectl_reads_its_version_and_applies_manifests() {
    let Some(plane) = ControlPlane::shared().await else { return };
    let Some(kubectl) = tool("kubectl") else { return };
    let namespace = plane.namespace().await;
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = plane.kubeconfig(folder.path(), plane.admin_token(), &namespace, None);
    let manifest = folder.path().join("map.yaml");
    fs::write(&manifest, "{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}}\n")
        .expect("written");
    let run = |arguments: &[&str]| {
        let output = Command::new(&kubectl)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .args(arguments)
            .env("HOME", folder.path())
            .output()
            .expect("kubectl runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("text")
    };
    let version: Value = serde_json::from_str(&run(&["version", "-o", "json"])).expect("JSON");
    assert_eq!(version["clientVersion"]["gitVersion"], version["serverVersion"]["gitVersion"]);
    assert_eq!(version["serverVersion"]["minor"], "34");
    run(&["apply", "-f", &manifest.display().to_string()]);
    let maps: Api<ConfigMap> = Api::namespaced(plane.client(), &namespace);
    assert!(maps.get_opt("applied").await.expect("readable").is_some());
}

#[tokio::test]
async fn with_the_controller_manager_garbage_is_collected_and_namespaces_end() {
    let Some(plane) = ControlPlane::start().await else { return };
    if !plane.start_controller_manager() {
        return;
    }
    let namespace = plane.namespace().await;
    let maps: Api<ConfigMap> = Api::namespaced(plane.client(), &namespace);
    let params = PostParams::default();
    let owner: ConfigMap = object(json!({ "metadata": { "name": "owner" } }));
    let owner = maps.create(&params, &owner).await.expect("a map");
    let reference = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid,
    });
    let owned: ConfigMap =
        object(json!({ "metadata": { "name": "owned", "ownerReferences": [reference] } }));
    maps.create(&params, &owned).await.expect("a map");

    let params = kube::api::DeleteParams::default();
    maps.delete("owner", &params).await.expect("deleted");
    let deadline = Instant::now() + Duration::from_secs(60);
    while maps.get_opt("owned").await.expect("readable").is_some() {
        assert!(Instant::now() < deadline, "garbage is not collected: {}", plane.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let namespaces: Api<Namespace> = Api::all(plane.client());
    namespaces.delete(&namespace, &params).await.expect("deleted");
    while namespaces.get_opt(&namespace).await.expect("readable").is_some() {
        assert!(Instant::now() < deadline, "the namespace does not end: {}", plane.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn nothing_outlives_a_test_that_is_killed() {
    if tool("etcd").is_none() || tool("kube-apiserver").is_none() {
        return;
    }
    let mut process = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "waits_to_be_killed", "--ignored", "--nocapture", "--quiet"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let told = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("started ")?.1.to_owned()));
    process.kill().expect("killed");
    process.wait().expect("gone");
    let told = told.expect("the child starts a control plane");
    let (address, certificate) = told.split_once(' ').expect("an address and a path");
    let directory = Path::new(certificate).parent().expect("a directory");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !refuses_connections(address) || directory.exists() {
        assert!(Instant::now() < deadline, "{told} is still there");
        thread::yield_now();
    }
}

#[tokio::test]
#[ignore = "another test starts it, and kills it"]
async fn waits_to_be_killed() {
    let Some(plane) = ControlPlane::shared().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = plane.kubeconfig(folder.path(), plane.admin_token(), "default", None);
    let text = fs::read_to_string(kubeconfig).expect("written");
    let configuration: Value = serde_json::from_str(&text).expect("JSON");
    let certificate = configuration["clusters"][0]["cluster"]["certificate-authority"].as_str();
    folder.close().expect("removed");
    println!(
        "started {} {}",
        plane.url().trim_start_matches("https://"),
        certificate.unwrap_or("")
    );
    std::future::pending::<()>().await;
}
