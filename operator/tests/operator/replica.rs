//! A node with its two Secrets, whose pod is played by the test.

use std::collections::BTreeMap;

use headscale_api::kinds::Headscale;
use headscale_client::HeadscaleApi as _;
use headscale_operator::reissue::record::Record;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::program::Running;

/// The HeadscalePreAuthKey that nodes' keys are like.
pub(crate) const TEMPLATE: &str = "proxies";
/// Where the instance says that nodes find it.
pub(crate) const SERVER_URL: &str = "https://headscale.example.com";

/// What a pod does, and what stands in its Secrets.
pub(crate) struct Replica<'b> {
    pub(crate) bench: &'b Bench,
    pub(crate) name: String,
}

/// Has the instance say where it is, and makes the object that keys are like.
pub(crate) async fn prepare(bench: &Bench) {
    let config = json!({ "spec": { "config": { "server_url": SERVER_URL } } });
    bench.patch::<Headscale>(HEADSCALE, config).await;
    bench.make_key(TEMPLATE, json!({ "tags": ["tag:proxy"], "reusable": true })).await;
}

impl<'b> Replica<'b> {
    /// Makes the state Secret, with the label and this in it.
    pub(crate) async fn new(bench: &'b Bench, name: &str, data: Value) -> Self {
        Self::labelled(bench, name, TEMPLATE, data).await
    }

    pub(crate) async fn labelled(bench: &'b Bench, name: &str, label: &str, data: Value) -> Self {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": name, "labels": { "headscale.infrado.cloud/reissue": label },
            },
            "stringData": data,
        }))
        .expect("a Secret");
        bench.api().create(&PostParams::default(), &secret).await.expect("created");
        Self { bench, name: name.to_owned() }
    }

    pub(crate) fn config_name(&self) -> String {
        format!("{}-config", self.name)
    }

    /// Makes the config Secret before the operator does, as it makes it.
    pub(crate) async fn put_config(&self, key: Option<&str>) {
        let mut file = json!({ "Version": "alpha0", "ServerURL": SERVER_URL });
        if let Some(key) = key {
            file["AuthKey"] = key.into();
        }
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": self.config_name(),
                "labels": {
                    "app.kubernetes.io/managed-by": "headscale-operator",
                    "headscale.infrado.cloud/type": "reissue-config",
                },
            },
            "stringData": { "cap-106.hujson": file.to_string() },
        }))
        .expect("a Secret");
        self.bench.api().create(&PostParams::default(), &secret).await.expect("created");
    }

    /// Writes its state Secret as a pod does: `null` removes.
    pub(crate) async fn write(&self, data: Value) {
        let mut encoded = serde_json::Map::new();
        for (name, value) in data.as_object().expect("fields") {
            let bytes = value.as_str().map(|it| k8s_openapi::ByteString(it.as_bytes().to_vec()));
            encoded.insert(name.clone(), json!(bytes));
        }
        let api: Api<Secret> = self.bench.api();
        let patch = Patch::Merge(json!({ "data": encoded }));
        api.patch(&self.name, &PatchParams::default(), &patch).await.expect("written");
    }

    pub(crate) async fn state(&self) -> BTreeMap<String, String> {
        let secret = self.bench.secret(&self.name).await.expect("a state Secret");
        let text = |bytes: k8s_openapi::ByteString| String::from_utf8(bytes.0).expect("text");
        secret.data.into_iter().flatten().map(|(name, value)| (name, text(value))).collect()
    }

    pub(crate) async fn config(&self) -> Option<Secret> {
        self.bench.secret(&self.config_name()).await
    }

    /// The file that nodes read.
    pub(crate) async fn file(&self) -> Option<Value> {
        let bytes = self.config().await?.data?.remove("cap-106.hujson")?;
        Some(serde_json::from_slice(&bytes.0).expect("JSON"))
    }

    /// The key that the config has.
    pub(crate) async fn key(&self) -> Option<String> {
        let key = self.file().await?.get("AuthKey")?.as_str()?.to_owned();
        (!key.is_empty()).then_some(key)
    }

    pub(crate) async fn record(&self) -> Record {
        let config = self.config().await.expect("a config Secret");
        let text = &config.annotations()["reissue.headscale.infrado.cloud/record"];
        Record::from_json(text).expect("a record")
    }

    /// Waits for a key that is not `old`, and gives it.
    pub(crate) async fn another(&self, running: &mut Running, old: Option<&str>) -> String {
        let is_another = async || self.key().await.is_some_and(|key| Some(key.as_str()) != old);
        running.until("another key", is_another).await;
        self.key().await.expect("a key")
    }

    /// Comes in with the key as a new machine, and says which node it is.
    pub(crate) async fn enters(&self, key: &str) -> u64 {
        let node = self.bench.join(key).expect("let in");
        self.write(json!({ "device_id": node.to_string(), "reissue_authkey": null })).await;
        node
    }

    /// Is in for good: the operator has taken the key, which is used up, out of the config.
    pub(crate) async fn settles(&self, running: &mut Running, key: &str) -> u64 {
        let node = self.enters(key).await;
        running.until("dropped", async || self.key().await.is_none()).await;
        node
    }

    /// Takes the new key as stock pods do: clears the marker and its login.
    pub(crate) async fn clears(&self) {
        self.write(json!({ "reissue_authkey": null, "device_id": null })).await;
    }

    /// Has the operator look, twice, so that it is done with the first time.
    pub(crate) async fn is_looked_at(&self, running: &mut Running) {
        let path = format!("/secrets/{}", self.name);
        for turn in 0..2 {
            let looks = || {
                let requests = self.bench.proxy.requests();
                requests.iter().filter(|it| it.method == "GET" && it.path.ends_with(&path)).count()
            };
            let before = looks();
            let now = jiff::Timestamp::now().to_string();
            let touch =
                json!({ "metadata": { "annotations": { "touched": format!("{now} {turn}") } } });
            self.bench.patch::<Secret>(&self.name, touch).await;
            running.until("looked", async || looks() > before).await;
        }
    }

    /// Whether Headscale has this node.
    pub(crate) async fn has_node(&self, node: u64) -> bool {
        self.bench.http.get_node(node).await.is_ok()
    }

    /// Has its login end, so that it is not taken to be well.
    pub(crate) async fn expires(&self, node: u64) {
        let now = headscale_client::NodeExpiry::Now;
        self.bench.http.expire_node(node, now).await.expect("expired");
    }

    /// Reasons of the Events about its state Secret.
    pub(crate) async fn told(&self) -> Vec<(String, String)> {
        let events: Api<k8s_openapi::api::events::v1::Event> = self.bench.api();
        let events = events.list(&kube::api::ListParams::default()).await.expect("events").items;
        let about = events.into_iter().filter(|event| {
            event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(&*self.name)
        });
        about.map(|it| (it.reason.unwrap_or_default(), it.note.unwrap_or_default())).collect()
    }

    pub(crate) async fn is_told(&self, reason: &str, part: &str) -> bool {
        self.told().await.iter().any(|(told, note)| told == reason && note.contains(part))
    }
}
