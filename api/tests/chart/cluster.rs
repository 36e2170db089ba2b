//! The chart and a real API server.

use headscale_api::kinds::{API_VERSION, crds};
use headscale_controlplane::ControlPlane;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::{Value, json};

use crate::helm::{Helm, RELEASE, chart, only};
use crate::values::sets;

/// A namespace in which pods must be `restricted`.
struct Restricted {
    plane: &'static ControlPlane,
    client: kube::Client,
    name: String,
}

impl Restricted {
    /// A new one; `None` where there is no API server to run.
    async fn new() -> Option<Self> {
        let plane = ControlPlane::shared().await?;
        let (client, name) = (plane.client(), plane.namespace().await);
        let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.patch(&name, &PatchParams::default(), &patch).await.expect("labelled");
        Some(Self { plane, client, name })
    }

    /// Where objects such as `object` are: in its namespace, or in none.
    fn api(&self, object: &Value) -> Api<DynamicObject> {
        let text = |field: &str| object[field].as_str().expect("text").to_owned();
        let version = text("apiVersion");
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = GroupVersionKind::gvk(group, version, &text("kind"));
        let resource = ApiResource::from_gvk(&kind);
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// What is stored of an object that is called as `object`.
    async fn stored(&self, object: &Value) -> Option<DynamicObject> {
        let name = object["metadata"]["name"].as_str().expect("a name");
        self.api(object).get_opt(name).await.expect("an answer")
    }
}

#[tokio::test]
async fn the_api_server_takes_every_object() {
    let Some(helm) = Helm::new() else { return };
    let Some(namespace) = Restricted::new().await else { return };
    // What belongs to the cluster may be another test's at the moment.
    let params = PatchParams::apply("tests").dry_run().force().validation_strict();
    for (set, values) in sets() {
        let objects = helm.template_as(RELEASE, &namespace.name, &values).expect("objects");
        for object in &objects {
            let name = object["metadata"]["name"].as_str().expect("a name");
            let answer = namespace.api(object).patch(name, &params, &Patch::Apply(object)).await;
            answer.unwrap_or_else(|error| panic!("{set}: {object}: {error}"));
        }
    }
}

#[tokio::test]
async fn pods_are_admitted_where_restricted_is_enforced() {
    let Some(helm) = Helm::new() else { return };
    let Some(namespace) = Restricted::new().await else { return };
    let pods: Api<Pod> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let params = PostParams { dry_run: true, ..PostParams::default() };
    for (set, values) in sets() {
        let objects = helm.template_as(RELEASE, &namespace.name, &values).expect("objects");
        let mut pod = only(&objects, "Deployment")["spec"]["template"].clone();
        pod["metadata"]["name"] = json!("operator");
        let admit = async |pod: &Value| {
            let pod: Pod = serde_json::from_value(pod.clone()).expect("a pod");
            pods.create(&params, &pod).await.map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(admit(&pod).await, Ok(()), "{set}");

        pod["spec"]["containers"][0]["securityContext"]["capabilities"] = Value::Null;
        let refused = admit(&pod).await.expect_err("restricted is enforced");
        assert!(refused.contains("violates PodSecurity"), "{set}: {refused}");
    }
}

#[tokio::test]
async fn a_release_is_installed_upgraded_and_uninstalled() {
    let Some(helm) = Helm::new() else { return };
    let Some(namespace) = Restricted::new().await else { return };
    let plane = namespace.plane;
    let token = plane.admin_token();
    let kubeconfig = plane.kubeconfig(helm.folder(), token, &namespace.name, None);
    let kubeconfig = kubeconfig.to_str().expect("a path in UTF-8");
    let chart = chart();
    let connection = ["--kubeconfig", kubeconfig, "--namespace", &namespace.name];
    let run = |values: &Value, arguments: &[&str]| {
        let printed = helm.run_with(values, &[arguments, &connection].concat());
        printed.unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    };
    let (one, two) = (json!({}), json!({ "replicaCount": 2 }));
    let rendered = helm.template_as(RELEASE, &namespace.name, &two).expect("objects");

    let notes = run(&one, &["install", RELEASE, &chart]);
    for object in &rendered {
        let expected = object["kind"] != "PodDisruptionBudget";
        assert_eq!(namespace.stored(object).await.is_some(), expected, "{object}");
    }
    let service = only(&rendered, "Service");
    let port = &service["spec"]["ports"][0]["port"];
    let name = service["metadata"]["name"].as_str().expect("a name");
    let address = format!("http://{name}.{}.svc:{port}/metrics", namespace.name);
    assert!(notes.contains(&address), "{notes}");
    assert!(!notes.contains("install crds"), "{notes}");

    let instance = json!({
        "apiVersion": API_VERSION,
        "kind": "Headscale",
        "metadata": { "name": "headscale", "namespace": namespace.name },
        "spec": {
            "version": "0.29.2",
            "replicas": 1,
            "config": {
                "server_url": "https://headscale.example.com",
                "dns": { "base_domain": "tailnet.example.com" },
            },
        },
    });
    let params = PatchParams::apply("tests");
    let made = namespace.api(&instance).patch("headscale", &params, &Patch::Apply(&instance)).await;
    made.expect("the definitions are there");

    let notes = run(&two, &["upgrade", RELEASE, &chart]);
    let deployment = namespace.stored(only(&rendered, "Deployment")).await.expect("there");
    assert_eq!(deployment.data["spec"]["replicas"], 2);
    let budget = namespace.stored(only(&rendered, "PodDisruptionBudget")).await;
    assert!(budget.is_some());
    assert!(notes.contains("kubectl headscale install crds"), "{notes}");

    let done = helm.run(&[&["uninstall", RELEASE], &connection[..]].concat());
    done.expect("uninstalled");
    for object in &rendered {
        let kept = namespace.stored(object).await;
        let going = kept.is_none_or(|object| object.metadata.deletion_timestamp.is_some());
        assert!(going, "{object}");
    }
    assert!(namespace.stored(&instance).await.is_some(), "instances stay");
    for crd in crds() {
        let mut crd = serde_json::to_value(crd).expect("JSON");
        crd["apiVersion"] = json!("apiextensions.k8s.io/v1");
        crd["kind"] = json!("CustomResourceDefinition");
        assert!(namespace.stored(&crd).await.is_some(), "definitions stay: {crd}");
    }
}
