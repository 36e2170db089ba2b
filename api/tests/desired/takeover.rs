//! An instance of the Go operator v0.2.2 becomes ours.

use headscale_api::desired::{Existing, Names};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Api, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::cases::named;
use crate::cluster::Restricted;

/// The StatefulSet and the Service that the Go operator makes of the case `legacy`, with 1Gi.
fn of_the_go_operator() -> [Value; 2] {
    let labels = json!({
        "app.kubernetes.io/name": "headscale",
        "app.kubernetes.io/instance": "headscale-sample",
        "app.kubernetes.io/managed-by": "headscale-operator",
    });
    let containers = json!([
        {
            "name": "headscale",
            "image": "headscale/headscale:v0.28.0",
            "command": ["headscale", "serve"],
            "ports": [{ "name": "http", "containerPort": 8080 }],
            "volumeMounts": [{ "name": "config", "mountPath": "/etc/headscale", "readOnly": true }],
            "livenessProbe": {
                "httpGet": { "path": "/health", "port": 8080 },
                "initialDelaySeconds": 30,
                "periodSeconds": 10,
            },
        },
        { "name": "apikey-manager", "image": "apikey-manager" },
    ]);
    let claim = json!({
        "metadata": { "name": "data" },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "1Gi" } },
        },
    });
    let pod = json!({
        "serviceAccountName": "headscale",
        "securityContext": { "runAsUser": 65532, "runAsNonRoot": true },
        "containers": containers,
        "volumes": [{ "name": "config", "configMap": { "name": "headscale-config" } }],
    });
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": { "name": "headscale", "labels": labels },
        "spec": {
            "replicas": 1,
            "serviceName": "headscale",
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
            "volumeClaimTemplates": [claim],
        },
    });
    let ports = json!([
        { "name": "http", "port": 8080, "targetPort": 8080 },
        { "name": "grpc", "port": 50443, "targetPort": 50443 },
    ]);
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "headscale", "labels": labels },
        "spec": { "type": "ClusterIP", "selector": labels, "ports": ports },
    });
    [set, service]
}

#[tokio::test]
async fn nothing_is_made_anew_and_a_second_time_nothing_changes() {
    let Some(namespace) = Restricted::new().await else { return };
    for object in of_the_go_operator() {
        let api = namespace.api(&object);
        let new = serde_json::from_value(object).expect("an object");
        api.create(&PostParams::default(), &new).await.expect("made");
    }
    let sets: Api<StatefulSet> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let before = sets.get("headscale").await.expect("it is there");

    let take = |existing: StatefulSet| {
        let mut case = named("legacy");
        case.inputs.existing =
            Existing { names: Some(Names::legacy()), stateful_set: Some(existing) };
        namespace.objects(case)
    };
    // The claim of the object has another size than the spec, and Kubernetes never lets it change.
    let params = PatchParams::apply("tests").force();
    let mut versions = Vec::new();
    for object in take(before.clone()) {
        versions.push(namespace.apply(&object, &params).await);
    }
    let after = sets.get("headscale").await.expect("it is there");
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.metadata.generation, Some(2), "its pod is replaced once");

    let template = after.spec.as_ref().expect("a spec").template.clone();
    let containers = template.spec.expect("a pod").containers;
    let live = containers[0].liveness_probe.clone().and_then(|probe| probe.http_get);
    assert_eq!(live.and_then(|get| get.path).as_deref(), Some("/version"));

    let mut again = Vec::new();
    for object in take(after) {
        again.push(namespace.apply(&object, &params).await);
    }
    assert_eq!(again, versions);
}
