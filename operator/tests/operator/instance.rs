//! An instance: its objects, and the controllers of Kubernetes that are not there, played.

use std::collections::BTreeMap;

use headscale_api::kinds::{Headscale, HeadscaleStatus};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt as _;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use serde_json::{Value, json};

use crate::bench::{Bench, said};

/// The kinds of objects that an instance has.
pub(crate) fn kinds() -> [ApiResource; 9] {
    [
        ApiResource::erase::<Headscale>(&()),
        ApiResource::erase::<ServiceAccount>(&()),
        ApiResource::erase::<Role>(&()),
        ApiResource::erase::<RoleBinding>(&()),
        ApiResource::erase::<Secret>(&()),
        ApiResource::erase::<ConfigMap>(&()),
        ApiResource::erase::<Service>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<Ingress>(&()),
    ]
}

/// A configuration that is good for all versions.
pub(crate) fn config() -> Value {
    json!({
        "server_url": "https://headscale.example.com",
        "dns": { "base_domain": "tailnet.example.com" },
    })
}

impl Bench {
    /// Makes the Headscale of the bench a whole one, with this beside version and configuration.
    pub(crate) async fn make_whole(&self, name: &str, more: Value) {
        let mut spec = json!({ "version": "0.29.2", "replicas": 1, "config": config() });
        for (field, value) in more.as_object().expect("an object") {
            spec[field] = value.clone();
        }
        self.patch::<Headscale>(name, json!({ "spec": spec })).await;
    }

    /// Makes another Headscale.
    pub(crate) async fn make_instance(&self, name: &str, more: Value) -> Headscale {
        let mut spec = json!({ "version": "0.29.2", "replicas": 1, "config": config() });
        for (field, value) in more.as_object().expect("an object") {
            spec[field] = value.clone();
        }
        let object = json!({
            "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "Headscale",
            "metadata": { "name": name },
            "spec": spec,
        });
        let object: Headscale = serde_json::from_value(object).expect("a Headscale");
        self.api().create(&PostParams::default(), &object).await.expect("created")
    }

    pub(crate) async fn headscale_object(&self, name: &str) -> Option<Headscale> {
        self.api().get_opt(name).await.expect("it can be read")
    }

    pub(crate) async fn headscale_status(&self, name: &str) -> HeadscaleStatus {
        self.headscale_object(name).await.and_then(|it| it.status).unwrap_or_default()
    }

    /// Status, reason and message of a condition, where it is about the object as it is.
    pub(crate) async fn says(&self, name: &str, type_: &str) -> (String, String, String) {
        let object = self.headscale_object(name).await;
        let generation = object.as_ref().and_then(|it| it.metadata.generation);
        let status = object.and_then(|it| it.status).unwrap_or_default();
        said(&status.conditions, type_, generation)
    }

    pub(crate) async fn reason(&self, name: &str, type_: &str) -> String {
        self.says(name, type_).await.1
    }

    pub(crate) async fn set(&self, name: &str) -> Option<StatefulSet> {
        self.api().get_opt(name).await.expect("it can be read")
    }

    /// The image of the container `headscale`.
    pub(crate) async fn image(&self, name: &str) -> String {
        let pod = self.set(name).await.and_then(|set| set.spec?.template.spec).unwrap_or_default();
        pod.containers.first().and_then(|it| it.image.clone()).unwrap_or_default()
    }

    /// Plays the controller of StatefulSets and the kubelet: the pod is the one that it should be,
    /// and ready where `is_ready`.
    pub(crate) async fn roll(&self, name: &str, is_ready: bool) {
        let set = self.set(name).await.expect("a StatefulSet");
        let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let revision = format!("{name}-{}", set.metadata.generation.unwrap_or_default());
        let status = json!({
            "observedGeneration": set.metadata.generation,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": if is_ready { replicas } else { 0 },
            "currentRevision": revision,
            "updateRevision": revision,
        });
        let api: Api<StatefulSet> = self.api();
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(name, &PatchParams::default(), &patch).await.expect("patched");
    }

    fn dynamic(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.cluster.client(), &self.namespace, kind)
    }

    /// The resource versions of everything, by kind and name.
    pub(crate) async fn everything(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for kind in kinds() {
            let listed = self.dynamic(&kind).list(&ListParams::default()).await.expect("a list");
            for object in listed.items {
                let version = object.resource_version().expect("a version");
                all.insert(format!("{}/{}", kind.kind, object.name_any()), version);
            }
        }
        all
    }

    /// The objects, without what the cluster and time add.
    pub(crate) async fn contents(&self, name: &str) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for kind in kinds().into_iter().skip(1) {
            let label = format!("app.kubernetes.io/instance={name}");
            let params = ListParams::default().labels(&label);
            for object in self.dynamic(&kind).list(&params).await.expect("a list").items {
                let mut value = serde_json::to_value(&object).expect("JSON");
                let annotations = value["metadata"]["annotations"].clone();
                value["metadata"] = json!({ "annotations": annotations });
                value["status"] = Value::Null;
                for address in ["clusterIP", "clusterIPs"] {
                    if let Some(spec) = value["spec"].as_object_mut() {
                        spec.remove(address);
                    }
                }
                all.insert(format!("{}/{}", kind.kind, object.name_any()), value);
            }
        }
        all
    }

    pub(crate) async fn edit(&self, kind: &str, name: &str, patch: Value) {
        let kind = kinds().into_iter().find(|it| it.kind == kind).expect("a kind");
        let api = self.dynamic(&kind);
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    }

    pub(crate) async fn read(&self, kind: &str, name: &str) -> Option<Value> {
        let kind = kinds().into_iter().find(|it| it.kind == kind).expect("a kind");
        let object = self.dynamic(&kind).get_opt(name).await.expect("an answer");
        object.map(|object| serde_json::to_value(object).expect("JSON"))
    }

    pub(crate) async fn remove(&self, kind: &str, name: &str) {
        let kind = kinds().into_iter().find(|it| it.kind == kind).expect("a kind");
        let api = self.dynamic(&kind);
        api.delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    pub(crate) async fn make(&self, object: Value) {
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let resource = kinds()
            .into_iter()
            .find(|it| it.kind == kind)
            .unwrap_or_else(|| ApiResource::erase::<PersistentVolumeClaim>(&()));
        let object = serde_json::from_value(object).expect("an object");
        let api = self.dynamic(&resource);
        let params =
            PostParams { field_manager: Some("manager".to_owned()), ..PostParams::default() };
        api.create(&params, &object).await.expect("made");
    }
}
