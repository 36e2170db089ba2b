//! Who is at work.

use headscale_standin::Version;
use k8s_openapi::api::coordination::v1::Lease;
use rustix::process::Signal;
use serde_json::json;

use crate::bench::Bench;

const LEASE: &str = "a4b8d1f0.infrado.cloud";

#[tokio::test(flavor = "multi_thread")]
async fn one_works_and_hands_over_when_it_is_ended() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let operator =
        |name: &str| bench.operator().flag("leader-elect", "true").flag("pod-name", name).start();
    let holder = async || {
        let lease: Option<Lease> = bench.api().get_opt(LEASE).await.expect("it can be read");
        lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default()
    };
    let mut first = operator("first");
    first.until("at work", async || holder().await.starts_with("first_")).await;
    let mut second = operator("second");
    second.until_it_says("waiting for Lease").await;
    bench.make_user("a", json!({})).await;
    first.until("ready", async || bench.is_user_ready("a").await).await;
    assert!(!second.log().contains("looking after"), "{}", second.log());

    first.signal(Signal::TERM);
    assert!(first.ended().await.success(), "{}", first.log());
    let began = std::time::Instant::now();
    second.until("at work", async || holder().await.starts_with("second_")).await;
    bench.make_user("b", json!({})).await;
    second.until("ready", async || bench.is_user_ready("b").await).await;
    println!("the other was at work {:?} after a graceful stop", began.elapsed());

    // Somebody else has it: it ends.
    let stolen = json!({ "spec": { "holderIdentity": "thief", "renewTime": null } });
    bench.patch::<Lease>(LEASE, stolen).await;
    assert_eq!(second.ended().await.code(), Some(1), "{}", second.log());
    assert!(second.log().contains("somebody else took"), "{}", second.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_served() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let operator = bench
        .operator()
        .flag("health-probe-bind-address", "127.0.0.1:0")
        .flag("metrics-bind-address", "127.0.0.1:0");
    let mut running = operator.start();
    let health = running.address_of("/healthz").await;
    let metrics = running.address_of("/metrics").await;
    bench.make_key("k", json!({ "tags": ["tag:a"] })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    assert!(get(&health, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&health, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&health, "/metrics").await.starts_with("HTTP/1.1 404"));
    let text = get(&metrics, "/metrics").await;
    for line in [
        "headscale_operator_leads 1",
        "headscale_operator_preauth_keys_total{reason=\"first\"} 1",
        "headscale_operator_writes_total{kind=\"Secret\",verb=\"create\"} 1",
        "headscale_operator_headscale_calls_total{operation=\"create_preauth_key\",result=\"ok\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

/// A page, with its head.
async fn get(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}
