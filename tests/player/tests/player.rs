//! Pods of an instance are played: by the stand-in and the real sidecar, of a StatefulSet that the
//! controller manager of Kubernetes looks after.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use headscale_api::desired::{Inputs, desired_state};
use headscale_api::kinds::Headscale;
use headscale_client::{ApiKeys as _, HttpClient};
use headscale_controlplane::ControlPlane;
use headscale_keys::ApiKey;
use headscale_player::Player;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const POD: &str = "demo-0";

#[test]
#[ignore = "the player runs it"]
fn plays_a_container() -> ExitCode {
    headscale_player::program(headscale_sidecar::cli::main)
}

/// A namespace that is played.
struct Stage {
    plane: &'static ControlPlane,
    namespace: String,
    player: Player,
}

impl Stage {
    /// `None`, and a line that says so, where there is no control plane.
    async fn new() -> Option<Self> {
        let plane = ControlPlane::shared().await?;
        if !plane.start_controller_manager() {
            return None;
        }
        let namespace = plane.namespace().await;
        let player = Player::start(plane, &namespace);
        Some(Self { plane, namespace, player })
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.plane.client(), &self.namespace)
    }

    /// Applies all that the instance `demo` is made of.
    async fn apply(&self, version: &str, backup: bool) {
        let instance = json!({
            "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "Headscale",
            "metadata": { "name": "demo", "namespace": self.namespace },
            "spec": {
                "version": version,
                "replicas": 1,
                "config": {
                    "server_url": "http://headscale.example.com",
                    "policy": { "mode": "database" },
                    "dns": { "base_domain": "tailnet.example.com" },
                },
            },
        });
        let instance: Headscale = serde_json::from_value(instance).expect("an instance");
        let inputs = Inputs { backup, ..Inputs::default() };
        for object in desired_state(&instance, &inputs) {
            let manifest = object.to_value();
            let text = |field: &str| manifest[field].as_str().expect("text").to_owned();
            let version = text("apiVersion");
            let (group, version) = version.split_once('/').unwrap_or(("", &version));
            let kind = GroupVersionKind::gvk(group, version, &text("kind"));
            let api: Api<DynamicObject> = Api::namespaced_with(
                self.plane.client(),
                &self.namespace,
                &ApiResource::from_gvk(&kind),
            );
            let params = PatchParams::apply("tests").force();
            let applied = api.patch(object.name(), &params, &Patch::Apply(&manifest)).await;
            applied.unwrap_or_else(|error| panic!("{object:?}: {error}"));
        }
    }

    /// Waits until something holds.
    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(
                Instant::now() < deadline,
                "never {what}: {:#}\n{}\n{}",
                self.status().await,
                self.player.log(POD, "apikey-manager"),
                self.plane.said(),
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the StatefulSet is as it should be, and its pod is ready.
    async fn until_ready(&self) {
        let sets: Api<StatefulSet> = self.api();
        let is_ready = async || {
            let set = sets.get("demo").await.expect("it is there");
            let status = set.status.unwrap_or_default();
            status.observed_generation == set.metadata.generation
                && status.ready_replicas == Some(1)
                && status.current_revision == status.update_revision
        };
        self.until("ready", is_ready).await;
    }

    async fn pod(&self) -> Option<Pod> {
        self.api().get_opt(POD).await.expect("it can be read")
    }

    async fn status(&self) -> Value {
        let pod = self.pod().await;
        pod.map_or(Value::Null, |pod| serde_json::to_value(pod.status).expect("JSON"))
    }

    /// Whether the container `headscale`, or else the pod, waits for this reason.
    async fn waits_for(&self, reason: &str) -> bool {
        let status = self.status().await;
        status["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
    }

    /// A client with the key of the Secret, at the address of the Service.
    async fn client(&self) -> Option<HttpClient> {
        let secrets: Api<Secret> = self.api();
        let secret = secrets.get_opt("demo-api-key").await.expect("it can be read")?;
        let key = secret.data?.remove("api-key")?;
        let key = ApiKey::parse(std::str::from_utf8(&key.0).expect("text")).expect("a key");
        let url = format!("http://{}", self.player.address("demo"));
        Some(HttpClient::builder(&url).api_key(key).build().expect("a client"))
    }

    async fn until_the_key_works(&self) {
        let works = async || match self.client().await {
            Some(client) => client.list_api_keys().await.is_ok(),
            None => false,
        };
        self.until("with a key that works", works).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_a_key_by_its_sidecar_and_keeps_its_data_through_an_upgrade() {
    let Some(stage) = Stage::new().await else { return };
    let start = Instant::now();
    stage.apply("0.28.0", false).await;
    stage.until_ready().await;
    stage.until_the_key_works().await;
    headscale_testkit::tell(&format!("player: a key after {:.1} s", start.elapsed().as_secs_f64()));
    let key = stage.client().await.expect("a key");
    let address = stage.player.address("demo");

    stage.apply("0.29.2", true).await;
    stage.until_ready().await;
    let listed = async || key.list_api_keys().await.is_ok();
    stage.until("reached again", listed).await;
    assert_eq!(stage.player.address("demo"), address);
    let images: Vec<String> =
        stage.player.starts(POD).into_iter().map(|start| start.image).collect();
    assert_eq!(images, ["headscale/headscale:0.28.0", "headscale/headscale:0.29.2"]);
    let data = stage.player.data("data-demo-0").expect("a claim");
    assert!(data.join("backup/db.sqlite").is_file(), "{}", stage.player.log(POD, "backup"));
    assert!(data.join("backup/noise_private.key").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_start_is_told_and_starts_when_it_can() {
    let Some(stage) = Stage::new().await else { return };
    stage.player.withhold_image("headscale:0.29.2");
    stage.apply("0.29.2", false).await;
    stage.until("without an image", async || stage.waits_for("ImagePullBackOff").await).await;
    stage.player.crash_image("headscale:0.29.2");
    stage.player.give_image("headscale:0.29.2");
    stage.until("crashing", async || stage.waits_for("CrashLoopBackOff").await).await;
    stage.player.hold(POD);
    stage.player.mend_image("headscale:0.29.2");
    let runs = async || {
        let status = stage.status().await;
        !status["containerStatuses"][0]["state"]["running"].is_null()
    };
    stage.until("running", runs).await;
    assert_eq!(stage.status().await["containerStatuses"][0]["ready"], false);
    stage.player.release(POD);
    stage.until_ready().await;
    assert_eq!(stage.player.starts(POD).len(), 1);

    // A database that 0.29 was the last to use is none of 0.28's.
    stage.apply("0.28.0", false).await;
    stage.until("crashing", async || stage.waits_for("CrashLoopBackOff").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_comes_back_and_what_is_deleted_goes() {
    let Some(stage) = Stage::new().await else { return };
    stage.apply("0.30.0", false).await;
    stage.until_ready().await;
    stage.until_the_key_works().await;
    let restarts = async |index: usize| {
        let status = stage.status().await;
        status["containerStatuses"][index]["restartCount"].as_u64().unwrap_or_default()
    };
    for (index, container) in ["headscale", "apikey-manager"].into_iter().enumerate() {
        stage.player.kill(POD, container);
        stage.until(container, async || restarts(index).await == 1).await;
    }
    stage.until_ready().await;
    stage.until_the_key_works().await;

    let pods: Api<Pod> = stage.api();
    let former = stage.pod().await.and_then(|pod| pod.metadata.uid);
    pods.delete(POD, &DeleteParams::default()).await.expect("deleted");
    let is_another = async || {
        let pod = stage.pod().await;
        pod.is_some_and(|pod| pod.metadata.uid != former)
    };
    stage.until("another pod", is_another).await;
    stage.until_the_key_works().await;

    let sets: Api<StatefulSet> = stage.api();
    sets.delete("demo", &DeleteParams::default()).await.expect("deleted");
    stage.until("without a pod", async || stage.pod().await.is_none()).await;
    assert_eq!(stage.player.stand_in(POD, |_| ()), None);
}
