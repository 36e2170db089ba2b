//! The whole life of an instance.

use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::{HeadscaleApi as _, NewUser};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde_json::json;

use crate::stage::Stage;

const POD: &str = "demo-0";
const SECRET: &str = "demo-api-key";

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_becomes_ready_is_used_changed_repaired_and_deleted() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    // In whatever order: a user waits for its Headscale, and a key for its user.
    stage.make_key("demo", "laptop", "alice").await;
    stage.make_user("demo", "alice").await;
    stage.make_headscale("demo", "0.29.2").await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until(&mut operator, "a user", async || stage.is_user_ready("alice").await).await;
    stage.until(&mut operator, "a key", async || stage.is_key_ready("laptop").await).await;
    assert_eq!(stage.users("demo", SECRET).await, Some(vec!["alice".to_owned()]));
    let status = stage.get::<Headscale>("demo").await.and_then(|it| it.status);
    assert_eq!(status.and_then(|it| it.version).as_deref(), Some("0.29.2"));
    assert_eq!(stage.images(POD).len(), 1);

    let config = json!({ "spec": { "config": { "node": { "expiry": "90d" } } } });
    stage.patch::<Headscale>("demo", config).await;
    let is_replaced = async || stage.images(POD).len() == 2 && stage.is_ready("demo").await;
    stage.until(&mut operator, "another pod", is_replaced).await;
    let has_config = async || {
        let map: Option<ConfigMap> = stage.get("demo-config").await;
        map.and_then(|map| map.data?.remove("config.yaml"))
            .is_some_and(|config| config.contains("90d"))
    };
    assert!(has_config().await);

    let another = json!({ "spec": { "selector": { "app": "another" } } });
    stage.patch::<Service>("demo", another).await;
    let is_repaired = async || {
        let service: Option<Service> = stage.get("demo").await;
        let selector = service.and_then(|service| service.spec?.selector).unwrap_or_default();
        !selector.contains_key("app")
    };
    stage.until(&mut operator, "a repaired Service", is_repaired).await;
    stage.delete::<Service>("demo").await;
    let is_made = async || stage.get::<Service>("demo").await.is_some();
    stage.until(&mut operator, "another Service", is_made).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;

    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.images(POD).len(), 2, "the pod is replaced once for one change");
    stage.writes_nothing_more(operator).await;

    let mut operator = stage.start();
    stage.delete::<HeadscalePreAuthKey>("laptop").await;
    stage.delete::<HeadscaleUser>("alice").await;
    let are_gone = async || {
        stage.get::<HeadscaleUser>("alice").await.is_none()
            && stage.get::<HeadscalePreAuthKey>("laptop").await.is_none()
    };
    stage.until(&mut operator, "without user and key", are_gone).await;
    // Somebody whom no object is about.
    let bob = NewUser { name: "bob".to_owned(), ..NewUser::default() };
    let client = stage.client("demo", SECRET).await.expect("a key");
    client.create_user(&bob).await.expect("a user");
    stage.delete::<Headscale>("demo").await;
    let is_gone = async || {
        stage.get::<Headscale>("demo").await.is_none()
            && stage.get::<StatefulSet>("demo").await.is_none()
            && stage.get::<Service>("demo").await.is_none()
            && stage.get::<Service>("demo-metrics").await.is_none()
            && stage.get::<ConfigMap>("demo-config").await.is_none()
            && stage.get::<ServiceAccount>("demo").await.is_none()
            && stage.get::<Role>("demo").await.is_none()
            && stage.get::<RoleBinding>("demo").await.is_none()
            && stage.get::<Pod>(POD).await.is_none()
    };
    stage.until(&mut operator, "gone", is_gone).await;
    // What cannot be had again stays.
    assert!(stage.get::<PersistentVolumeClaim>("data-demo-0").await.is_some());
    assert!(stage.get::<Secret>(SECRET).await.is_some());

    // And is there for another one of that name.
    stage.make_headscale("demo", "0.29.2").await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!(stage.users("demo", SECRET).await, Some(vec!["bob".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_scaled_to_nothing_and_comes_back_with_what_it_had() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    stage.make_headscale("demo", "0.30.0").await;
    stage.make_user("demo", "alice").await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until(&mut operator, "a user", async || stage.is_user_ready("alice").await).await;

    stage.patch::<Headscale>("demo", json!({ "spec": { "replicas": 0 } })).await;
    let is_off = async || {
        let (status, reason, _) = stage.condition("demo", "Ready").await;
        (status.as_str(), reason.as_str()) == ("False", "ScaledToZero")
            && stage.get::<Pod>(POD).await.is_none()
    };
    stage.until(&mut operator, "without a pod", is_off).await;
    stage.patch::<Headscale>("demo", json!({ "spec": { "replicas": 1 } })).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!(stage.users("demo", SECRET).await, Some(vec!["alice".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_pod_from_being_ready_is_told() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    stage.player.withhold_image("headscale:0.29.2");
    let mut operator = stage.start();
    stage.make_headscale("demo", "0.29.2").await;
    let says = async |word: &str| stage.condition("demo", "Ready").await.1 == word;
    stage.until(&mut operator, "no image", async || says("ImagePullFailed").await).await;
    stage.player.crash_image("headscale:0.29.2");
    stage.player.give_image("headscale:0.29.2");
    stage.until(&mut operator, "crashing", async || says("CrashLoop").await).await;
    stage.player.mend_image("headscale:0.29.2");
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
}
