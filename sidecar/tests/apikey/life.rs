//! A key's life without faults: the first one, rotation, adoption, the end of the process.

use std::time::{Duration, Instant};

use headscale_keys::Verified;
use headscale_keys::secret::{
    CREATED_AT, CREATED_AT_ANNOTATION, EXPIRATION, EXPIRATION_ANNOTATION, KEY, OWNER_LABELS,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use rustix::process::Signal;

use crate::bench::{Bench, SECRET, Sidecar, Way};

#[tokio::test]
async fn a_first_key_is_made_proved_and_described() {
    for way in Way::ALL {
        let Some(bench) = Bench::new(way).await else { return };
        bench.settle().await;
        bench.is_at_rest().await;
        let secret = bench.secret().await.expect("a Secret");
        let labels = secret.metadata.labels.clone().expect("labels");
        for (name, value) in OWNER_LABELS {
            assert_eq!(labels[name], value);
        }
        assert_eq!(secret.type_.as_deref(), Some("Opaque"));
        let annotations = secret.metadata.annotations.expect("annotations");
        let data = secret.data.expect("data");
        for (annotation, key) in
            [(EXPIRATION_ANNOTATION, EXPIRATION), (CREATED_AT_ANNOTATION, CREATED_AT)]
        {
            let time: Timestamp = annotations[annotation].parse().expect("RFC 3339");
            let distance = time.duration_since(Timestamp::now()).abs();
            assert!(distance < SignedDuration::from_hours(2161), "{annotation}: {time}");
            assert_eq!(data[key].0, annotations[annotation].as_bytes(), "said twice");
        }
        let current = bench.record().await.current.expect("a current key");
        assert_eq!(current.verified, Some(Verified::Authenticated), "P2");
        let listed = bench.headscale.api_keys();
        let made = listed.iter().find(|key| key.prefix == current.prefix.as_str());
        assert_eq!(made.and_then(|key| key.expiration), Some(current.token.expiration()));
    }
}

#[tokio::test]
async fn without_a_way_to_try_it_a_key_is_published_because_it_is_listed() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    for url in ["", "http://127.0.0.1:1"] {
        let mut running = bench.sidecar().flag("headscale-url", url).arg("--once").start();
        assert!(running.ended().await.success(), "{}", running.log());
        let current = bench.record().await.current.expect("a current key");
        assert_eq!(current.verified, Some(Verified::Listed));
        bench.secrets().delete(SECRET, &Default::default()).await.expect("deleted");
    }
}

#[tokio::test]
async fn a_key_is_rotated_in_time_and_the_old_one_lives_through_its_grace() {
    for way in Way::ALL {
        let Some(bench) = Bench::new(way).await else { return };
        bench.settle().await;
        let old = bench.key().await.expect("a key");
        // Longer than the key has to live, which is due then, and the next one is not.
        let mut running = bench
            .sidecar()
            .flag("expiration", "2161h")
            .flag("rotation-buffer", "2160h30m")
            .flag("grace", "1h")
            .start();
        running
            .until("the key is another", async || {
                bench.key().await.is_some_and(|key| key.prefix() != old.prefix())
            })
            .await;
        running.signal(Signal::TERM);
        assert!(running.ended().await.success());
        assert!(bench.headscale.authenticates(old.expose()), "P4: the old key works in its grace");
        let key = bench.key().await.expect("a key");
        assert!(bench.headscale.authenticates(key.expose()));
        let record = bench.record().await;
        assert!(record.retiring.iter().any(|retiring| retiring.key == *old.prefix()));
    }
}

#[tokio::test]
async fn a_replaced_key_is_deleted_after_its_grace() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    bench.settle().await;
    let old = bench.key().await.expect("a key");
    let mut first =
        bench.sidecar().flag("rotation-buffer", "2159h59m59.9s").flag("grace", "1s").start();
    first
        .until("the key is another", async || {
            bench.key().await.is_some_and(|key| key.prefix() != old.prefix())
        })
        .await;
    drop(first);
    // With the usual buffer nothing is due any more.
    let mut second = bench.sidecar().flag("grace", "1s").start();
    second
        .until("the old key is gone", async || !bench.headscale.authenticates(old.expose()))
        .await;
    second.until("it is forgotten", async || bench.record().await.retiring.is_empty()).await;
    bench.is_at_rest().await;
}

#[tokio::test]
async fn a_secret_of_the_go_sidecar_is_taken_over() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    let expiration = Timestamp::now() + SignedDuration::from_hours(2000);
    for (number, text) in [
        (1, format!("hskey-api--A_PGBw4kQ2x-{}", "k".repeat(64))),
        (2, format!("1234567.{}", "k".repeat(32))),
    ] {
        bench.headscale.plant_api_key(&text, Some(expiration));
        let secret = go_secret(&text, expiration);
        let secrets = bench.secrets();
        if number > 1 {
            secrets.delete(SECRET, &Default::default()).await.expect("deleted");
            let former: Vec<_> = bench.ours();
            assert_eq!(former.len(), 2, "the former key is nobody's now, and stays");
        }
        secrets.create(&PostParams::default(), &secret).await.expect("created");
        // As its manifest has it: no command, its own flags, the buffer that it had.
        let mut running = bench.sidecar().arg("--once").start();
        assert!(running.ended().await.success(), "{}", running.log());
        let key = bench.key().await.expect("a key");
        assert_eq!(key.expose(), text, "the key stays");
        let current = bench.record().await.current.expect("adopted");
        assert_eq!(current.prefix, *key.prefix());
        assert_eq!(current.verified, None);
    }
}

/// A Secret as the Go sidecar writes it.
fn go_secret(text: &str, expiration: Timestamp) -> Secret {
    let time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.to_owned()),
            labels: Some(
                OWNER_LABELS.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ),
            annotations: Some(
                [
                    (EXPIRATION_ANNOTATION.to_owned(), time(expiration)),
                    (CREATED_AT_ANNOTATION.to_owned(), time(Timestamp::now())),
                ]
                .into(),
            ),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some([(KEY.to_owned(), ByteString(text.as_bytes().to_vec()))].into()),
        ..Secret::default()
    }
}

#[tokio::test]
async fn a_manifest_of_the_go_sidecar_works_with_only_the_image_changed() {
    let manifest = include_str!("../fixtures/go-sidecar.yaml");
    let Some(bench) = Bench::with_manifest(Way::Grpc, manifest).await else { return };
    let sets: Api<StatefulSet> = Api::namespaced(bench.cluster.client(), &bench.namespace);
    let applied = sets.get("headscale").await.expect("it is applied").spec.expect("a spec");
    let containers = applied.template.spec.expect("a spec").containers;
    let container = containers.into_iter().find(|it| it.name == "apikey-manager");
    // As the kubelet does: the volume is the directory of the test, the environment the pod's.
    let mounted = bench.directory.path().display().to_string();
    let mut sidecar = Sidecar::bare(bench.directory.path())
        .env("KUBECONFIG", &bench.kubeconfig.display().to_string())
        .env("POD_NAMESPACE", &bench.namespace);
    for argument in container.expect("the sidecar").args.expect("arguments") {
        sidecar = sidecar.arg(&argument.replace("/var/run/headscale", &mounted));
    }
    // Go takes one dash too.
    let mut running = sidecar.arg("-secret-name=headscale-api-key").start();
    running.until("there is a key", async || bench.key().await.is_some()).await;
    running.until_it_says("Events are not posted").await;
    running.signal(Signal::TERM);
    let began = Instant::now();
    assert!(running.ended().await.success(), "{}", running.log());
    assert!(began.elapsed() < Duration::from_secs(5), "P12");
    assert_eq!(running.log().matches("Events are not posted").count(), 1, "{}", running.log());
}

#[tokio::test]
async fn what_was_done_is_told_by_an_event_on_the_owner() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    bench.settle().await;
    let events: Api<Event> = Api::namespaced(bench.cluster.client(), &bench.namespace);
    let found = events.list(&ListParams::default()).await.expect("events").items;
    let made: Vec<_> =
        found.iter().filter(|it| it.reason.as_deref() == Some("APIKeyCreated")).collect();
    let [event] = made.as_slice() else { panic!("one Event, not {found:?}") };
    assert_eq!(event.involved_object.kind.as_deref(), Some("Secret"));
    assert_eq!(event.involved_object.name.as_deref(), Some(SECRET));
    let key = bench.key().await.expect("a key");
    let note = event.message.as_deref().expect("a note");
    assert!(note.contains(key.prefix().as_str()) && !note.contains(key.expose()), "{note}");
}

#[tokio::test]
async fn in_rest_nothing_is_written_and_each_look_is_one_list() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    bench.settle().await;
    let secret = bench.secret().await;
    let before = bench.headscale.requests().len();
    let mut running = bench.sidecar().start();
    running
        .until("it has looked twenty times", async || {
            bench.headscale.requests().len() >= before + 20
        })
        .await;
    let requests = bench.headscale.requests();
    let lists = requests[before..]
        .iter()
        .filter(|it| it.contains("ListApiKeys") || it.contains("GET /api/v1/apikey"));
    assert_eq!(lists.count(), requests.len() - before, "{:?}", &requests[before..]);
    assert_eq!(bench.secret().await, secret, "no writes");
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served() {
    let Some(bench) = Bench::new(Way::Grpc).await else { return };
    let mut running = bench.sidecar().flag("health-addr", "127.0.0.1:0").start();
    let address = running.health_address().await;
    let page = |path: &'static str| crate::http::get(address.clone(), path);
    running.until("ready", async || page("/readyz").await.0 == 200).await;
    assert_eq!(page("/healthz").await.0, 200);
    assert_eq!(page("/nothing").await.0, 404);
    let (status, text) = page("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "headscale_apikey_rotations_total{reason=\"first\"} 1",
        "headscale_apikey_orphans 0",
        "headscale_apikey_verified 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let expires =
        text.lines().find_map(|it| it.strip_prefix("headscale_apikey_expires_in_seconds "));
    let expires: f64 = expires.expect("a gauge").parse().expect("a number");
    assert!((7_775_000.0..7_776_001.0).contains(&expires), "90 days: {expires}");
    bench.headscale.wipe();
    running
        .until("a new key is there", async || {
            bench.key().await.is_some_and(|key| bench.headscale.authenticates(key.expose()))
        })
        .await;
}
