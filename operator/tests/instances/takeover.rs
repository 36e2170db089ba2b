//! An instance of the Go operator becomes ours.

use headscale_api::kinds::Headscale;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret, Service};
use kube::ResourceExt as _;

use crate::go::{self, CHILD, NAME, SECRET};
use crate::stage::{PATIENCE, Stage};

const POD: &str = "headscale-0";

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_the_go_operator_rolls_once_and_keeps_what_it_has() {
    let Some(stage) = Stage::new(&[CHILD]).await else { return };
    go::make(&stage).await;
    // It runs, and its sidecar has made its key, before ours comes.
    let deadline = std::time::Instant::now() + PATIENCE;
    while stage.users(CHILD, SECRET).await.is_none() {
        let log = stage.player.log(POD, "apikey-manager");
        assert!(std::time::Instant::now() < deadline, "it has no key: {log}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let kept = async || {
        let set: StatefulSet = stage.get(CHILD).await.expect("a StatefulSet");
        let claim: PersistentVolumeClaim = stage.get("data-headscale-0").await.expect("a claim");
        let secret: Secret = stage.get(SECRET).await.expect("a Secret");
        let service: Service = stage.get(CHILD).await.expect("a Service");
        let address = service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone());
        let key = secret.data.clone().and_then(|mut data| data.remove("api-key"));
        let uids = [set.uid(), claim.uid(), secret.uid(), service.uid()];
        (uids, address, key.map(|key| key.0))
    };
    let before = kept().await;
    let noise = stage.player.data("data-headscale-0").expect("a claim").join("noise_private.key");
    let identity = std::fs::read(&noise).expect("the server has a key");

    let mut operator = stage.start();
    let is_ours = async || {
        let sidecar = stage.get::<StatefulSet>(CHILD).await.and_then(|set| {
            let containers = set.spec?.template.spec?.containers;
            containers.into_iter().nth(1)?.image
        });
        sidecar.is_some_and(|image| image.contains("kubectl-headscale/sidecar"))
            && stage.is_ready(NAME).await
    };
    stage.until(&mut operator, "ours", is_ours).await;
    stage.until_quiet(&mut operator).await;
    assert_eq!(stage.player.starts(POD).len(), 2, "it rolls once");
    assert_eq!(kept().await, before);
    assert_eq!(std::fs::read(&noise).expect("a key"), identity);
    let set: StatefulSet = stage.get(CHILD).await.expect("a StatefulSet");
    let containers = set.spec.and_then(|spec| spec.template.spec).expect("a pod").containers;
    let live = containers[0].liveness_probe.clone().expect("a probe");
    assert_eq!(live.initial_delay_seconds, None, "nothing of the former one is left");
    stage.writes_nothing_more(operator).await;
    assert_eq!(stage.player.starts(POD).len(), 2);

    // The finalizer that the other one set keeps nothing back.
    let mut operator = stage.start();
    stage.delete::<Headscale>(NAME).await;
    let is_gone = async || {
        stage.get::<Headscale>(NAME).await.is_none()
            && stage.get::<StatefulSet>(CHILD).await.is_none()
    };
    stage.until(&mut operator, "gone", is_gone).await;
    assert!(stage.get::<PersistentVolumeClaim>("data-headscale-0").await.is_some());
    assert!(stage.get::<Secret>(SECRET).await.is_some());
}
