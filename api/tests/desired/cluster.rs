//! The objects on a real API server.

use headscale_api::desired::Object;
use headscale_controlplane::ControlPlane;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::{Value, json};

use crate::cases::{Case, cases, published};

/// A namespace in which pods must be `restricted`.
pub(crate) struct Restricted {
    pub(crate) client: kube::Client,
    pub(crate) name: String,
}

impl Restricted {
    /// A new one; `None` where there is no API server to run.
    pub(crate) async fn new() -> Option<Self> {
        let plane = ControlPlane::shared().await?;
        let (client, name) = (plane.client(), plane.namespace().await);
        let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.patch(&name, &PatchParams::default(), &patch).await.expect("labelled");
        Some(Self { client, name })
    }

    /// The objects of `case`, as one of this namespace.
    pub(crate) fn objects(&self, case: Case) -> Vec<Object> {
        let mut case = case;
        case.headscale.metadata.namespace = Some(self.name.clone());
        case.objects()
    }

    pub(crate) fn api(&self, object: &Value) -> Api<DynamicObject> {
        let text = |field: &str| object[field].as_str().expect("text").to_owned();
        let version = text("apiVersion");
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = GroupVersionKind::gvk(group, version, &text("kind"));
        let resource = ApiResource::from_gvk(&kind);
        Api::namespaced_with(self.client.clone(), &self.name, &resource)
    }

    /// Applies an object with strict field validation; gives its resource version and generation.
    pub(crate) async fn apply(&self, object: &Object, params: &PatchParams) -> Value {
        let manifest = object.to_value();
        let params = params.clone().validation_strict();
        let (api, patch) = (self.api(&manifest), Patch::Apply(&manifest));
        let stored = api.patch(object.name(), &params, &patch).await;
        let stored = stored.unwrap_or_else(|error| panic!("{object:?}: {error}"));
        json!([stored.metadata.resource_version, stored.metadata.generation])
    }
}

/// A Pod as the StatefulSet makes it, with a volume for its claim.
fn pod(objects: &[Object]) -> Value {
    let set = objects.iter().find(|object| object.kind() == "StatefulSet").expect("a server");
    let mut pod = set.to_value()["spec"]["template"].clone();
    pod["metadata"]["name"] = json!(format!("{}-0", set.name()));
    // No server makes classes of priority that are not its own.
    pod["spec"]["priorityClassName"] = Value::Null;
    let claim = json!({ "claimName": format!("data-{}-0", set.name()) });
    let volumes = pod["spec"]["volumes"].as_array_mut().expect("volumes");
    volumes.push(json!({ "name": "data", "persistentVolumeClaim": claim }));
    pod
}

async fn admit(namespace: &Restricted, pod: &Value) -> Result<(), String> {
    let pod: Pod = serde_json::from_value(pod.clone()).expect("a pod");
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let pods: Api<Pod> = Api::namespaced(namespace.client.clone(), &namespace.name);
    pods.create(&params, &pod).await.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn applying_twice_changes_nothing() {
    for case in cases().into_iter().chain(published()) {
        let Some(namespace) = Restricted::new().await else { return };
        let name = case.name.clone();
        let params = PatchParams::apply("tests");
        for object in namespace.objects(case) {
            let first = namespace.apply(&object, &params).await;
            let second = namespace.apply(&object, &params).await;
            assert_eq!(first, second, "{name}: {object:?}");
        }
    }
}

#[tokio::test]
async fn pods_are_admitted_where_restricted_is_enforced() {
    for case in cases().into_iter().chain(published()) {
        let Some(namespace) = Restricted::new().await else { return };
        let name = case.name.clone();
        let mut pod = pod(&namespace.objects(case));
        assert_eq!(admit(&namespace, &pod).await, Ok(()), "{name}");

        pod["spec"]["containers"][0]["securityContext"]["capabilities"] = Value::Null;
        let refused = admit(&namespace, &pod).await.expect_err("restricted is enforced");
        assert!(refused.contains("violates PodSecurity"), "{name}: {refused}");
    }
}

#[tokio::test]
async fn two_instances_share_a_namespace() {
    let Some(namespace) = Restricted::new().await else { return };
    let params = PatchParams::apply("tests");
    for name in ["one", "two"] {
        let mut case = crate::cases::named("minimal");
        case.headscale.metadata.name = Some(name.to_owned());
        for object in namespace.objects(case) {
            // A field of the other one would be a conflict only for another manager, so what counts
            // is that it is new.
            let manifest = object.to_value();
            let there = namespace.api(&manifest).get_opt(object.name()).await.expect("an answer");
            assert_eq!(there, None, "{object:?}");
            namespace.apply(&object, &params).await;
        }
    }
}
