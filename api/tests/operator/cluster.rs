//! The objects on a real API server.

use std::time::Duration;

use headscale_api::desired::{Inputs, desired_state};
use headscale_api::kinds::Headscale;
use headscale_api::operator::{NAME, Options, desired};
use headscale_controlplane::ControlPlane;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, Secret};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams,
};
use serde_json::{Value, json};

use crate::all;

fn api(client: &kube::Client, object: &Value) -> Api<DynamicObject> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let version = text(&object["apiVersion"]);
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let kind = GroupVersionKind::gvk(group, version, &text(&object["kind"]));
    let resource = ApiResource::from_gvk(&kind);
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Applies all with strict field validation; gives their resource versions.
async fn apply(client: &kube::Client, objects: &[Value]) -> Vec<Option<String>> {
    let params = PatchParams::apply("tests").force().validation_strict();
    let mut versions = Vec::new();
    for object in objects {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let applied = api(client, object).patch(name, &params, &Patch::Apply(object)).await;
        let applied = applied.unwrap_or_else(|error| panic!("{}/{name}: {error}", object["kind"]));
        versions.push(applied.metadata.resource_version);
    }
    versions
}

#[tokio::test]
async fn applying_twice_changes_nothing_and_restricted_takes_the_pod() {
    let Some(plane) = ControlPlane::shared().await else { return };
    let client = plane.client();
    for options in [Options::default(), all()] {
        let (namespace, watched) = (plane.namespace().await, plane.namespace().await);
        let watch_namespaces =
            if options.watch_namespaces.is_empty() { vec![] } else { vec![watched] };
        let options = Options { namespace: namespace.clone(), watch_namespaces, ..options };
        let objects = desired(&options);
        let first = apply(&client, &objects).await;
        assert_eq!(apply(&client, &objects).await, first);

        let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.patch(&namespace, &PatchParams::default(), &patch).await.expect("labelled");
        let deployment = objects.iter().find(|it| it["kind"] == "Deployment").expect("one");
        let mut pod = deployment["spec"]["template"].clone();
        pod["metadata"]["name"] = json!("operator");
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        let trial = PostParams { dry_run: true, ..PostParams::default() };
        pods.create(&trial, &pod).await.expect("it is admitted");
    }
}

/// Kubernetes refuses a Role that gives more than its maker has, so this holds the rights too.
#[tokio::test]
async fn an_operator_with_these_rights_may_make_an_instance_and_do_nothing_beyond() {
    let Some(plane) = ControlPlane::shared().await else { return };
    let (namespace, other) = (plane.namespace().await, plane.namespace().await);
    let options = Options {
        namespace: namespace.clone(),
        watch_namespaces: vec![namespace.clone()],
        with_user_roles: false,
        ..Options::default()
    };
    apply(&plane.client(), &desired(&options)).await;
    let operator = plane.client_as(&plane.token_for(&namespace, NAME).await);

    let spec = json!({ "version": "0.29.2", "replicas": 1, "ingress": {},
        "config": { "server_url": "https://vpn.example.com" } });
    let headscale = json!({ "apiVersion": "headscale.infrado.cloud/v1beta1", "kind": "Headscale",
        "metadata": { "name": "vpn", "namespace": namespace }, "spec": spec });
    let headscale: Headscale = serde_json::from_value(headscale).expect("an instance");
    let objects = desired_state(&headscale, &Inputs::default());
    let kinds: Vec<&str> = objects.iter().map(|object| object.kind()).collect();
    assert!(kinds.contains(&"Role") && kinds.contains(&"Ingress"), "{kinds:?}");
    until_allowed(&operator, &namespace).await;
    let objects: Vec<Value> = objects.iter().map(|object| object.to_value()).collect();
    apply(&operator, &objects).await;

    let is_forbidden = |error: kube::Error| match error {
        kube::Error::Api(status) => status.code == 403,
        _ => false,
    };
    let secrets: Api<Secret> = Api::namespaced(operator.clone(), &other);
    let elsewhere = secrets.list(&ListParams::default()).await.expect_err("another namespace");
    assert!(is_forbidden(elsewhere));
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(operator.clone(), &namespace);
    let data = claims.delete("data-vpn-0", &DeleteParams::default()).await.expect_err("data");
    assert!(is_forbidden(data));
    let mut role = objects.iter().find(|it| it["kind"] == "Role").expect("one").clone();
    role["rules"][0] = json!({ "apiGroups": [""], "resources": ["nodes"], "verbs": ["get"] });
    let params = PatchParams::apply("tests").force();
    let more = api(&operator, &role).patch("vpn", &params, &Patch::Apply(&role)).await;
    assert!(is_forbidden(more.expect_err("more than it has")));
}

/// The API server's authorizer learns of roles by a watch.
async fn until_allowed(client: &kube::Client, namespace: &str) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let allowed = async {
        while secrets.list(&ListParams::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), allowed)
        .await
        .expect("the role is known by then");
}

/// Whoever may edit a namespace by Kubernetes' own role may edit what is of our kinds in it; there is
/// no controller manager here that would aggregate, so that the labels and rules are all to be seen.
#[test]
fn kubernetes_own_roles_learn_of_the_kinds() {
    let objects = desired(&Options::default());
    for (whole, name, verb) in
        [("view", "viewer", "list"), ("edit", "editor", "create"), ("admin", "admin", "delete")]
    {
        let name = json!(format!("headscale-{name}"));
        let role = objects.iter().find(|it| it["metadata"]["name"] == name).expect("a role");
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{whole}");
        assert_eq!(role["metadata"]["labels"][label], "true");
        let rule = &role["rules"][0];
        assert!(rule["resources"].as_array().expect("kinds").len() == 5, "{rule}");
        assert!(rule["verbs"].as_array().expect("verbs").contains(&json!(verb)), "{rule}");
        let is_view = whole == "view";
        assert_eq!(rule["verbs"].as_array().expect("verbs").len(), if is_view { 3 } else { 8 });
    }
}
