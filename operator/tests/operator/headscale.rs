//! Instances: their whole life, and what gets in its way.

use headscale_api::kinds::Headscale;
use headscale_standin::Version;
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::instance::config;

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
}

fn _unused() -> (Value, Option<Headscale>) {
    (config(), None)
}
