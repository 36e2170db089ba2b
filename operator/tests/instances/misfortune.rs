//! What happens to an instance that nobody wished for.

use std::time::{Duration, Instant};

use headscale_api::kinds::Headscale;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::stage::{PATIENCE, Stage};

const POD: &str = "demo-0";
const SECRET: &str = "demo-api-key";

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_data_is_lost_gets_a_key_and_its_users_again() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    stage.make_headscale("demo", "0.29.2").await;
    stage.make_user("demo", "alice").await;
    stage.until(&mut operator, "a user", async || stage.is_user_ready("alice").await).await;
    let key = stage.client("demo", SECRET).await.expect("a key");

    stage.patch::<Headscale>("demo", json!({ "spec": { "replicas": 0 } })).await;
    let is_off = async || stage.get::<Pod>(POD).await.is_none();
    stage.until(&mut operator, "without a pod", is_off).await;
    stage.player.lose("data-demo-0");
    stage.patch::<Headscale>("demo", json!({ "spec": { "replicas": 1 } })).await;
    let is_back = async || {
        stage.is_ready("demo").await
            && stage.users("demo", SECRET).await == Some(vec!["alice".to_owned()])
    };
    stage.until(&mut operator, "as it was", is_back).await;
    let former = headscale_client::ApiKeys::list_api_keys(&key).await;
    former.expect_err("the former key is of a database that is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_killed_comes_back_and_its_pod_is_not_replaced() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    stage.make_headscale("demo", "0.29.2").await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.player.hold(POD);
    stage.player.kill(POD, "headscale");
    let is_told = async || stage.condition("demo", "Ready").await.0 == "False";
    stage.until(&mut operator, "not ready", is_told).await;
    stage.player.release(POD);
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!(stage.images(POD).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_ends_and_the_operator_does_not_run_hot() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start_elsewhere().await;
    stage.make_headscale("demo", "0.29.2").await;
    stage.make_user("demo", "alice").await;
    stage.make_key("demo", "laptop", "alice").await;
    stage.until(&mut operator, "a key", async || stage.is_key_ready("laptop").await).await;

    let namespaces: Api<Namespace> = Api::all(stage.plane.client());
    namespaces.delete(&stage.namespace, &DeleteParams::default()).await.expect("deleted");
    let deadline = Instant::now() + PATIENCE;
    while let Some(left) = namespaces.get_opt(&stage.namespace).await.expect("readable") {
        let told = left.status.and_then(|status| status.conditions);
        assert!(Instant::now() < deadline, "it stays: {told:#?}\n{}", operator.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.proxy.reset();
    let start = Instant::now();
    let was_watched = async || start.elapsed() > Duration::from_secs(3);
    stage.until(&mut operator, "watched", was_watched).await;
    let requests = stage.proxy.requests().len();
    assert!(requests < 200, "{requests} requests in 3 s about nothing");
}
