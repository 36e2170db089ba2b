//! Instances that cannot be asked: what is said, and what to do.

use headscale_standin::Version;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::object;
use crate::world::World;

/// What `policy get` and `policy check` say about the same trouble.
fn both(world: &World) -> String {
    let get = world.run(&["policy", "get", "main"]);
    let check = world.run(&["policy", "check", "--instance", "main"]);
    assert_eq!((get.code, check.code), (Some(1), Some(4)), "{get}{check}");
    assert_eq!(get.stderr, check.stderr);
    world.hide(get).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_not_there() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    assert_snapshot!(world.run(&["policy", "get", "other"]), @r#"
    exit: 1
    --- stderr
    Error from server (NotFound): headscales.headscale.infrado.cloud "other" not found
    hint: `kubectl headscale get instances -n [NAMESPACE]` shows those that there are
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_without_a_secret_or_a_key_in_it() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    world.secret(json!({ "api-key": "not a key" })).await;
    assert_snapshot!(both(&world), @"
    exit: 1
    --- stderr
    error: there is no API key in api-key of secret/main-api-key
    hint: `headscale apikeys create` makes one: `hskey-api-` and 77 characters
    ");
    world.delete_secret().await;
    assert_snapshot!(both(&world), @"
    exit: 1
    --- stderr
    error: headscale/main has no API key: there is no secret/main-api-key or secret/headscale-api-key
    hint: its sidecar makes one where `spec.api_key.auto_manage` is true; another one is named by `spec.api_key.secret_name`
    ");
    let spec = json!({ "version": "0.29.2", "replicas": 1, "api_key": { "secret_name": "mine" } });
    world.sandbox.apply(object("Headscale", "main", &spec)).await;
    let named = world.run(&["policy", "get", "main"]);
    assert_snapshot!(named.stderr.lines().next().unwrap_or_default(), @"error: headscale/main has no API key: there is no secret/mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_the_go_operator_is_found() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    world.delete_secret().await;
    world.secret_named("headscale-api-key", json!({ "api-key": world.key() })).await;
    assert_eq!(world.run(&["policy", "get", "main"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    let other = format!("hskey-api-{}-{}", "x".repeat(12), "y".repeat(64));
    world.secret(json!({ "api-key": other, "expiration": "2026-01-02T03:04:05Z" })).await;
    let told = both(&world);
    assert!(!told.contains(&"y".repeat(64)), "{told}");
    assert_snapshot!(told, @"
    exit: 1
    --- stderr
    Error from headscale (Unauthorized): get the policy: HTTP 401: Unauthorized
    hint: the API key is that of secret/main-api-key, which expired at 2026-01-02T03:04:05Z
    hint: Headscale does not say whether a key is unknown or expired: `headscale apikeys list` shows those that there are
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pod_that_is_ready() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    let namespace = &world.sandbox.namespace;
    world.kubelet.set_ready(namespace, "main-0", false).await;
    assert_snapshot!(both(&world), @"
    exit: 1
    --- stderr
    error: no pod of headscale/main is ready: main-0 is running and not ready
    hint: `kubectl get pods -n [NAMESPACE] -l app.kubernetes.io/name=headscale,app.kubernetes.io/instance=main` shows its pods
    ");
    world.delete_pod().await;
    assert_snapshot!(both(&world), @"
    exit: 1
    --- stderr
    error: no pod of headscale/main is ready: there is none
    hint: `kubectl get pods -n [NAMESPACE] -l app.kubernetes.io/name=headscale,app.kubernetes.io/instance=main` shows its pods
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_may_not_be_forwarded() {
    let Some(world) = World::new(Version::V0_29).await else { return };
    let kubeconfig = world.reader().await;
    let run = world.run(&["policy", "get", "main", "--kubeconfig", &kubeconfig]);
    assert_snapshot!(world.hide(run), @r#"
    exit: 1
    --- stderr
    Error from server (Forbidden): pods "main-0" is forbidden: User "system:serviceaccount:[NAMESPACE]:reader" cannot get resource "pods/portforward" in API group "" in the namespace "[NAMESPACE]"
    hint: `kubectl auth can-i --list` shows what you may do
    hint: this needs `get` and `create` of `pods/portforward` in namespace [NAMESPACE]
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headscale_that_is_down() {
    let Some(mut world) = World::new(Version::V0_29).await else { return };
    world.stop().await;
    assert_snapshot!(both(&world), @"
    exit: 1
    --- stderr
    Error from headscale (Unavailable): headscale/main cannot be reached: error forwarding port 8080 to pod [NAMESPACE]/main-0: Connection refused (os error 111)
    hint: its pod is ready all the same: `kubectl logs` of it may say more
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headscale_that_never_answers() {
    let Some(world) = World::empty(Version::V0_29).await else { return };
    // Connections are taken by the system, and nobody looks at them.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = deaf.local_addr().expect("bound");
    let labels = [("app.kubernetes.io/name", "headscale"), ("app.kubernetes.io/instance", "deaf")];
    world.kubelet.run(&world.sandbox.namespace, "deaf-0", &labels, 8080, address).await;
    world.secret_named("deaf-api-key", json!({ "api-key": world.key() })).await;
    world.sandbox.instance("deaf").await;
    assert_snapshot!(world.run(&["policy", "get", "deaf", "--request-timeout", "1s"]), @"
    exit: 1
    --- stderr
    Error from headscale (Timeout): ask for the version: no answer within 1 s
    hint: is headscale/deaf up, and is this its address?
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headscale_without_a_policy() {
    let Some(world) = World::empty(Version::V0_29).await else { return };
    assert_snapshot!(both(&world), @"
    exit: 1
    --- stderr
    Error from headscale (NotFound): headscale/main has no policy, and so allows everything
    hint: a HeadscalePolicy gives it one; name a file to ask about that
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_do_not_go_together() {
    let Some(world) = World::empty(Version::V0_29).await else { return };
    let code = |args: &[&str]| world.run(args).code;
    assert_eq!(code(&["policy", "get"]), Some(2));
    assert_eq!(code(&["policy", "get", "main", "--address", "http://127.0.0.1:1"]), Some(2));
    assert_eq!(code(&["policy", "get", "main", "--api-key-file", "key"]), Some(2));
    assert_eq!(code(&["policy", "check", "--instance", "main", "--tailnet", "t.json"]), Some(2));
    assert_eq!(code(&["policy", "check", "--instance", "main", "--fix"]), Some(2));
}
