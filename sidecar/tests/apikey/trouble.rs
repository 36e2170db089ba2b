//! What may be wrong, what is said about it, and how it heals. `docs/keys.md` has the table.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use headscale_faults::{Proxy, Upstream};
use headscale_keys::secret::{EXPIRATION_ANNOTATION, KEY, OWNER_LABELS, RECORD_ANNOTATION};
use headscale_standin::{Call, Fault, Kind};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use rustix::process::Signal;

use crate::bench::{Bench, Running, SECRET, Way};
use crate::faulty::Watcher;

async fn fails(mut running: Running, code: i32, text: &str) {
    let status = running.ended().await;
    let log = running.log();
    assert_eq!(status.code(), Some(code), "{log}");
    assert!(log.contains(text), "{text:?} in {log}");
}

#[tokio::test]
async fn durations_that_do_not_go_together_are_refused_at_once() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    for (flag, value, text) in [
        (
            "rotation-buffer",
            "2160h",
            "rotation buffer (2160h) must be less than expiration (2160h)",
        ),
        ("rotation-buffer", "-1h", "rotation buffer (1h ago) must not be negative"),
        ("expiration", "0", "expiration (0s) must be at least a second"),
        ("grace", "2000h", "grace (2000h) must not be longer than the rotation buffer (1920h)"),
        ("check-interval", "0", "`0` is not longer than nothing"),
        ("expiration", "three months", "`three months` is no duration: write 90m, 2160h"),
        ("wait", "-5m", "`-5m` is not longer than nothing"),
    ] {
        fails(bench.sidecar().flag(flag, value).start(), 2, text).await;
    }
    assert_eq!(bench.secret().await, None, "nothing is written");
}

#[tokio::test]
async fn a_headscale_that_does_not_come_is_waited_for_and_named() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    let nowhere = bench.path("nowhere.sock").display().to_string();
    let waiting = bench.sidecar().flag("socket-path", &nowhere).flag("wait", "1s").start();
    fails(waiting, 3, "Headscale did not answer within 1s").await;

    // One that waits ends at once when it is told to (P12).
    let mut waiting = bench.sidecar().flag("socket-path", &nowhere).start();
    waiting.until_it_says("waiting for Headscale to be ready").await;
    assert!(waiting.log().contains("nowhere.sock"), "{}", waiting.log());
    let began = Instant::now();
    waiting.signal(Signal::TERM);
    assert!(waiting.ended().await.success());
    assert!(began.elapsed() < Duration::from_secs(5), "P12");
}

#[tokio::test]
async fn a_socket_that_must_not_be_opened_tells_of_the_permission_trap() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    if !rustix::process::geteuid().is_root() {
        headscale_testkit::tell("skipped: needs root, whom permissions do not stop, to be another");
        return;
    }
    fs::set_permissions(bench.directory.path(), Permissions::from_mode(0o755)).expect("set");
    fs::set_permissions(bench.path("headscale.sock"), Permissions::from_mode(0o504)).expect("set");
    let token = &bench.token;
    let open = bench.cluster.kubeconfig(bench.directory.path(), token, &bench.namespace, None);
    fs::set_permissions(&open, Permissions::from_mode(0o644)).expect("set");
    let other = bench.sidecar().flag("wait", "100ms");
    let other = other
        .flag("kubeconfig", &open.display().to_string())
        .by_user(65534, bench.directory.path());
    fails(other.start(), 3, "unix_socket_permission").await;
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_named() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    let admin = bench.cluster.kubeconfig(
        bench.directory.path(),
        bench.cluster.admin_token(),
        &bench.namespace,
        None,
    );
    let running = bench
        .sidecar()
        .flag("kubeconfig", &admin.display().to_string())
        .flag("namespace", "nowhere")
        .arg("--once")
        .start();
    fails(running, 1, "namespace nowhere does not exist: create it").await;
    assert!(bench.ours().is_empty(), "no key is made that has no place");
}

#[tokio::test]
async fn somebody_elses_secret_is_never_written() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    let ours: std::collections::BTreeMap<_, _> =
        OWNER_LABELS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut other = ours.clone();
    other.insert(OWNER_LABELS[0].0.to_owned(), "Helm".to_owned());
    for (labels, kind, text) in [
        (None, "Opaque", "label app.kubernetes.io/managed-by is absent"),
        (Some(other), "Opaque", "is \\\"Helm\\\", expected headscale-operator"),
        (Some(ours), "example.com/other", "it is of type example.com/other, expected Opaque"),
    ] {
        let secret = Secret {
            metadata: ObjectMeta { name: Some(SECRET.to_owned()), labels, ..ObjectMeta::default() },
            type_: Some(kind.to_owned()),
            data: Some([(KEY.to_owned(), ByteString(b"theirs".to_vec()))].into()),
            ..Secret::default()
        };
        let api = bench.secrets();
        let made = api.create(&PostParams::default(), &secret).await.expect("created");
        fails(bench.sidecar().arg("--once").start(), 1, text).await;
        assert_eq!(bench.secret().await, Some(made), "P5");
        assert!(bench.ours().is_empty(), "no key is made that has no place");
        // One that goes on running heals when the name is free.
        let mut running = bench.sidecar().flag("health-addr", "127.0.0.1:0").start();
        running.until_it_says("choose another --secret-name").await;
        api.delete(SECRET, &DeleteParams::default()).await.expect("deleted");
        running.until("there is a key", async || bench.key().await.is_some()).await;
        drop(running);
        bench.start_over().await;
    }
}

type Edit = fn(&mut Secret);

#[tokio::test]
async fn a_secret_that_was_edited_is_repaired() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    bench.settle().await;
    let edits: [(&str, Edit); 7] = [
        ("the record is nonsense", |secret| {
            let annotations = secret.metadata.annotations.as_mut().expect("annotations");
            annotations.insert(RECORD_ANNOTATION.to_owned(), "{nonsense".to_owned());
        }),
        ("the record is gone", |secret| {
            secret.metadata.annotations.as_mut().expect("some").remove(RECORD_ANNOTATION);
        }),
        ("the expiration is nonsense", |secret| {
            let annotations = secret.metadata.annotations.as_mut().expect("annotations");
            annotations.insert(EXPIRATION_ANNOTATION.to_owned(), "soon".to_owned());
        }),
        ("the key is cut", |secret| {
            let data = secret.data.as_mut().expect("data");
            data.get_mut(KEY).expect("a key").0.truncate(40);
        }),
        ("the key is another text", |secret| {
            let data = secret.data.as_mut().expect("data");
            let text = &mut data.get_mut(KEY).expect("a key").0;
            let end = text.len() - 10;
            text.truncate(end);
            text.extend(b"0123456789");
        }),
        ("the key is somebody else's, mistyped", |secret| {
            let text = format!("hskey-api-somebodyelse-{}", "t".repeat(64));
            let data = secret.data.as_mut().expect("data");
            data.insert(KEY.to_owned(), ByteString(text.into_bytes()));
        }),
        ("the key is gone", |secret| {
            secret.data.as_mut().expect("data").remove(KEY);
        }),
    ];
    for (what, edit) in edits {
        let mut secret = bench.secret().await.expect("a Secret");
        edit(&mut secret);
        let labels = secret.metadata.labels.as_mut().expect("labels");
        labels.insert("theirs".to_owned(), "stays".to_owned());
        secret
            .data
            .as_mut()
            .expect("data")
            .insert("theirs".to_owned(), ByteString(b"stays".to_vec()));
        bench.secrets().replace(SECRET, &PostParams::default(), &secret).await.expect("edited");
        bench.settle().await;
        bench.is_at_rest().await;
        let repaired = bench.secret().await.expect("a Secret");
        assert!(repaired.data.expect("data").contains_key("theirs"), "P5: {what}");
        assert!(repaired.metadata.labels.expect("labels").contains_key("theirs"), "P5: {what}");
        let expiration = &repaired.metadata.annotations.expect("some")[EXPIRATION_ANNOTATION];
        let current = bench.record().await.current.expect("a current key");
        assert_eq!(*expiration, current.token.to_string(), "{what}");
    }
    bench.tells_no_secret().await;
}

/// A key that Headscale refuses does not pass for one that works because it is listed.
#[tokio::test]
async fn a_refused_key_is_not_taken_for_one_that_works_when_no_other_is_to_be_had() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    bench.settle().await;
    let mut secret = bench.secret().await.expect("a Secret");
    let text = &mut secret.data.as_mut().expect("data").get_mut(KEY).expect("a key").0;
    let end = text.len() - 10;
    text.truncate(end);
    text.extend(b"0123456789");
    bench.secrets().replace(SECRET, &PostParams::default(), &secret).await.expect("edited");
    let fault = Fault { call: Call::CreateApiKey, kind: Kind::Status(503), times: 2 };
    bench.headscale.faults().inject(fault);
    bench.settle().await;
    assert_eq!(bench.headscale.faults().left(), 0, "it was tried again");
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_secret_that_nobody_can_write_is_named() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    bench.settle().await;
    let mut secret = bench.secret().await.expect("a Secret");
    secret.immutable = Some(true);
    bench.secrets().replace(SECRET, &PostParams::default(), &secret).await.expect("edited");
    fails(bench.sidecar().arg("--once").start(), 1, "it is immutable; delete the Secret").await;
    assert_eq!(bench.ours().len(), 1, "no key is made that has no place");
}

#[tokio::test]
async fn a_lost_or_restored_database_gets_a_new_key() {
    for way in Way::ALL {
        let Some(bench) = Bench::new(way).await else { return };
        bench.settle().await;
        let old = bench.key().await.expect("a key");
        let backup = bench.headscale.snapshot();
        let mut running = bench.sidecar().flag("grace", "0").start();
        let works = async || {
            bench.key().await.is_some_and(|key| bench.headscale.authenticates(key.expose()))
        };
        bench.start_over_headscale();
        running.until("there is a key that works", works).await;
        assert_ne!(bench.key().await.expect("a key").expose(), old.expose());
        // The backup does not have the key that was made since.
        bench.headscale.restore(&backup);
        running.until("there is a key that works", works).await;
        drop(running);
        assert!(bench.headscale.authenticates(old.expose()), "P5: nobody knows the old one now");
        bench.tells_no_secret().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_takes_no_key_from_anybody() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    bench.settle().await;
    let old = bench.key().await.expect("a key");
    let proxy = Proxy::new();
    let address = bench.cluster.url().strip_prefix("https://").expect("a URL").to_owned();
    let upstream = Upstream::Tls {
        addr: address.parse().expect("an address"),
        ca_pem: bench.cluster.ca_pem().to_owned(),
        server_name: "127.0.0.1".to_owned(),
    };
    let server = format!("http://{}", proxy.listen_tcp(upstream).await);
    let kubeconfig = bench.cluster.kubeconfig(
        bench.directory.path(),
        &bench.token,
        &bench.namespace,
        Some(&server),
    );
    let watcher = Watcher::over(&bench);
    proxy.refuse(true);
    let mut running = bench
        .sidecar()
        .flag("kubeconfig", &kubeconfig.display().to_string())
        .flag("expiration", "2162h")
        .flag("rotation-buffer", "2161h")
        .flag("grace", "0")
        .flag("health-addr", "127.0.0.1:0")
        .start();
    running.until_it_says("Secret").await;
    assert!(bench.headscale.authenticates(old.expose()), "P1: the old key goes on working");
    assert_eq!(bench.ours().len(), 1, "P8: no key is made that cannot be stored");
    proxy.refuse(false);
    running
        .until("the key that is due is another", async || {
            bench.key().await.is_some_and(|key| key.prefix() != old.prefix())
        })
        .await;
    running.until_it_says("after:").await;
    // It is away again: that the key works is known, and stays so.
    let address = running.health_address().await;
    let ready = async || crate::http::get(address.clone(), "/readyz").await.0;
    running.until("ready", async || ready().await == 200).await;
    let failures = async || {
        let (_, metrics) = crate::http::get(address.clone(), "/metrics").await;
        metrics.matches("headscale_apikey_failures_total{reason=\"kubernetes\"}").count()
            + metrics.matches("reason=\"kubernetes\"} 9").count()
    };
    proxy.refuse(true);
    running.until("it fails", async || failures().await > 0).await;
    assert_eq!(ready().await, 200, "the key works on");
    proxy.refuse(false);
    drop(running);
    bench.settle().await;
    bench.is_at_rest().await;
    watcher.saw_nothing_wrong().await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_named_and_may_come_back() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    bench.settle().await;
    let bindings: Api<RoleBinding> = Api::namespaced(bench.cluster.client(), &bench.namespace);
    let mut binding = bindings.get("headscale").await.expect("a binding");
    bindings.delete("headscale", &DeleteParams::default()).await.expect("deleted");
    let mut running = bench.sidecar().start();
    running.until_it_says("get is forbidden").await;
    assert!(running.log().contains("the Role needs get on this Secret"), "{}", running.log());
    binding.metadata.resource_version = None;
    bindings.create(&PostParams::default(), &binding).await.expect("created");
    running.until_it_says("all is well again").await;
}

#[tokio::test]
async fn a_url_of_another_server_publishes_nothing() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    let Some(other) = Bench::new(Way::Grpc).await else { return };
    let wrong = other.headscale.url().expect("it listens");
    let running = bench.sidecar().flag("headscale-url", &wrong).arg("--once").start();
    fails(running, 1, "Headscale refuses a key that it has just made").await;
    assert_eq!(bench.key().await.map(|key| key.prefix().clone()), None, "P2");
    // With the right one it goes on, and what was made is gone.
    bench.settle().await;
    bench.is_at_rest().await;
}

#[tokio::test]
async fn without_a_socket_and_without_a_first_key_it_is_said_what_is_missing() {
    let Some(bench) = Bench::new(Way::Tcp).await else { return };
    let without = bench.sidecar().flag("bootstrap-key-file", "/nowhere/key").arg("--once").start();
    fails(without, 1, "/nowhere/key: No such file or directory").await;
    let nothing = bench.sidecar().flag("headscale-url", "").start();
    fails(nothing, 2, "there is no way to Headscale").await;
}
