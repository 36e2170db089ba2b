//! From one minor version to the next, and never back.

use headscale_api::kinds::Headscale;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::stage::Stage;

const POD: &str = "demo-0";
const SECRET: &str = "demo-api-key";

fn image(version: &str) -> String {
    format!("headscale/headscale:{version}")
}

fn wanted(version: &str) -> serde_json::Value {
    json!({ "spec": { "version": version } })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_goes_through_each_minor_version_when_the_one_before_is_ready() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    stage.make_headscale("demo", "0.28.0").await;
    stage.make_user("demo", "alice").await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    stage.until(&mut operator, "a user", async || stage.is_user_ready("alice").await).await;

    stage.player.hold(POD);
    stage.patch::<Headscale>("demo", wanted("0.30.0")).await;
    stage.until(&mut operator, "the next pod", async || stage.images(POD).len() == 2).await;
    let is_upgrading = async || stage.condition("demo", "Progressing").await.1 == "Upgrading";
    stage.until(&mut operator, "upgrading", is_upgrading).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.images(POD), [image("0.28.0"), image("0.29.2")], "it waits");

    stage.player.release(POD);
    let is_done = async || stage.runs("demo", "demo", &image("0.30.0")).await;
    stage.until(&mut operator, "at 0.30", is_done).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.images(POD), [image("0.28.0"), image("0.29.2"), image("0.30.0")]);
    assert_eq!(stage.users("demo", SECRET).await, Some(vec!["alice".to_owned()]));
    let data = stage.player.data("data-demo-0").expect("a claim");
    let label = std::fs::read_to_string(data.join("backup/label")).expect("a copy was made");
    assert_eq!(label.trim(), "0.30");
    let status = stage.get::<Headscale>("demo").await.and_then(|it| it.status);
    assert_eq!(status.and_then(|it| it.version).as_deref(), Some("0.30.0"));

    // What was migrated does not go back.
    stage.patch::<Headscale>("demo", wanted("0.29.2")).await;
    let is_refused = async || stage.condition("demo", "Ready").await.1 == "DowngradeRefused";
    stage.until(&mut operator, "refused", is_refused).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.images(POD).len(), 3);
    assert!(stage.users("demo", SECRET).await.is_some(), "what runs stays");
    stage.patch::<Headscale>("demo", wanted("0.30.0")).await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!(stage.images(POD).len(), 3);
    stage.writes_nothing_more(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_is_the_last_one_and_says_so() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start_with("progress-deadline", "3s");
    stage.make_headscale("demo", "0.28.0").await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;

    stage.player.crash_image("headscale:0.29");
    stage.patch::<Headscale>("demo", wanted("0.30.0")).await;
    let has_given_up = async || {
        let (status, reason, _) = stage.condition("demo", "Progressing").await;
        (status.as_str(), reason.as_str()) == ("False", "ProgressDeadlineExceeded")
    };
    stage.until(&mut operator, "overdue", has_given_up).await;
    let (status, reason, message) = stage.condition("demo", "Degraded").await;
    assert_eq!((status.as_str(), reason.as_str()), ("True", "CrashLoop"), "{message}");
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.images(POD), [image("0.28.0"), image("0.29.2")]);

    // Mended, it goes on.
    stage.player.mend_image("headscale:0.29");
    let is_done = async || stage.runs("demo", "demo", &image("0.30.0")).await;
    stage.until(&mut operator, "at 0.30", is_done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_copy_of_the_database_no_later_version_touches_it() {
    let Some(stage) = Stage::new(&["demo"]).await else { return };
    let mut operator = stage.start();
    stage.make_headscale("demo", "0.28.0").await;
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;

    stage.player.crash_image("kubectl-headscale/sidecar");
    stage.patch::<Headscale>("demo", wanted("0.29.2")).await;
    let has_failed = async || stage.condition("demo", "Ready").await.1 == "BackupFailed";
    stage.until(&mut operator, "without a copy", has_failed).await;
    let pod: Pod = stage.get(POD).await.expect("it is there");
    let containers = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
    let server = containers.first().expect("the server");
    assert!(server.state.as_ref().is_some_and(|it| it.waiting.is_some()), "it has not run");
    assert_eq!(server.restart_count, 0);

    stage.player.mend_image("kubectl-headscale/sidecar");
    stage.until(&mut operator, "ready", async || stage.is_ready("demo").await).await;
    assert_eq!(stage.images(POD), [image("0.28.0"), image("0.29.2")]);
}
