//! What v0.2.2 of the Go operator leaves behind: an instance that it made, as the API server has it.

use headscale_api::kinds::Headscale;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::stage::Stage;

pub(crate) const NAME: &str = "headscale-sample";
/// What it calls the children of every instance.
pub(crate) const CHILD: &str = "headscale";
pub(crate) const SECRET: &str = "headscale-api-key";
/// The manager of its fields: the name of its program.
const MANAGER: &str = "manager";

fn labels() -> Value {
    json!({
        "app.kubernetes.io/name": "headscale",
        "app.kubernetes.io/instance": NAME,
        "app.kubernetes.io/managed-by": "headscale-operator",
    })
}

/// The spec with defaults, as its schema stored them.
fn spec() -> Value {
    json!({
        "version": "v0.28.0",
        "image": "headscale/headscale",
        "replicas": 1,
        "config": {
            "server_url": "http://vpn.headscale.local",
            "listen_addr": "0.0.0.0:8080",
            "metrics_listen_addr": "0.0.0.0:9090",
            "grpc_listen_addr": "0.0.0.0:50443",
            "grpc_allow_insecure": true,
            "unix_socket": "/var/run/headscale/headscale.sock",
            "unix_socket_permission": "0770",
            "noise": { "private_key_path": "/var/lib/headscale/noise_private.key" },
            "database": {
                "type": "sqlite",
                "sqlite": { "path": "/var/lib/headscale/db.sqlite", "write_ahead_log": true },
            },
            "prefixes": {
                "v4": "100.64.0.0/10",
                "v6": "fd7a:115c:a1e0::/48",
                "allocation": "sequential",
            },
            "derp": { "urls": ["https://controlplane.tailscale.com/derpmap/default"] },
            "policy": { "mode": "database" },
            "randomize_client_port": false,
            "dns": {
                "magic_dns": false,
                "override_local_dns": true,
                "nameservers": { "global": ["1.1.1.1"] },
            },
        },
        "persistent_volume_claim": { "size": "128Mi" },
        "api_key": {
            "auto_manage": true,
            "secret_name": SECRET,
            "expiration": "2160h",
            "rotation_buffer": "1920h",
            "manager_image": "ghcr.io/infradohq/headscale-operator/apikey-manager:latest",
        },
    })
}

/// The `headscale` container's probe of `/health` after this delay and every so often.
fn probe(delay: u32, period: u32) -> Value {
    json!({
        "httpGet": { "path": "/health", "port": 8080 },
        "initialDelaySeconds": delay,
        "periodSeconds": period,
    })
}

fn pod() -> Value {
    json!({
        "serviceAccountName": CHILD,
        "securityContext": {
            "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "runAsNonRoot": true,
        },
        "containers": [
            {
                "name": "headscale",
                "image": "headscale/headscale:v0.28.0",
                "imagePullPolicy": "IfNotPresent",
                "command": ["headscale", "serve"],
                "ports": [
                    { "name": "http", "containerPort": 8080 },
                    { "name": "metrics", "containerPort": 9090 },
                    { "name": "grpc", "containerPort": 50443 },
                ],
                "volumeMounts": [
                    { "name": "config", "mountPath": "/etc/headscale", "readOnly": true },
                    { "name": "data", "mountPath": "/var/lib/headscale" },
                    { "name": "socket", "mountPath": "/var/run/headscale" },
                ],
                "livenessProbe": probe(30, 10),
                "readinessProbe": probe(5, 5),
            },
            {
                "name": "apikey-manager",
                "image": "ghcr.io/infradohq/headscale-operator/apikey-manager:latest",
                "imagePullPolicy": "IfNotPresent",
                "args": [
                    "--socket-path=/var/run/headscale/headscale.sock",
                    format!("--secret-name={SECRET}"),
                    "--expiration=2160h",
                    "--rotation-buffer=1920h",
                ],
                "env": [{
                    "name": "POD_NAMESPACE",
                    "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } },
                }],
                "volumeMounts": [{ "name": "socket", "mountPath": "/var/run/headscale" }],
            },
        ],
        "volumes": [
            { "name": "config", "configMap": { "name": "headscale-config" } },
            { "name": "socket", "emptyDir": {} },
        ],
    })
}

/// Makes the instance and its children, in the Go operator's name, and with its status.
pub(crate) async fn make(stage: &Stage) {
    let headscale = json!({
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "Headscale",
        "metadata": { "name": NAME, "finalizers": ["headscale.infrado.cloud/finalizer"] },
        "spec": spec(),
    });
    let headscale: Headscale = stage.create(headscale).await;
    let status = json!({ "status": { "conditions": [{
        "type": "Ready",
        "status": "True",
        "reason": "Reconciled",
        "message": "Headscale is running",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }] } });
    let patch = Patch::Merge(status);
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let told = stage.api::<Headscale>().patch_status(NAME, &params, &patch).await;
    told.expect("a status");

    let account = json!({ "metadata": metadata(&headscale, CHILD) });
    child::<ServiceAccount>(stage, account).await;
    let verbs = ["get", "list", "watch", "update", "patch"];
    let rules = json!([
        { "apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": verbs },
        { "apiGroups": [""], "resources": ["secrets"], "verbs": ["create"] },
    ]);
    child::<Role>(stage, json!({ "metadata": metadata(&headscale, CHILD), "rules": rules })).await;
    let binding = json!({
        "metadata": metadata(&headscale, CHILD),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": CHILD },
        "subjects": [{ "kind": "ServiceAccount", "name": CHILD, "namespace": stage.namespace }],
    });
    child::<RoleBinding>(stage, binding).await;
    let config = spec()["config"].to_string();
    let map = json!({
        "metadata": metadata(&headscale, "headscale-config"),
        "data": { "config.yaml": config },
    });
    child::<ConfigMap>(stage, map).await;
    let claim = json!({
        "metadata": { "name": "data" },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "128Mi" } },
        },
    });
    let annotations = json!({ "headscale.infrado.cloud/config-hash": "0123456789abcdef" });
    let set = json!({
        "metadata": metadata(&headscale, CHILD),
        "spec": {
            "replicas": 1,
            "serviceName": CHILD,
            "selector": { "matchLabels": labels() },
            "template": {
                "metadata": { "labels": labels(), "annotations": annotations },
                "spec": pod(),
            },
            "volumeClaimTemplates": [claim],
        },
    });
    child::<StatefulSet>(stage, set).await;
    let ports = json!([
        { "name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP" },
        { "name": "grpc", "port": 50443, "targetPort": 50443, "protocol": "TCP" },
    ]);
    child::<Service>(stage, service(&headscale, CHILD, &ports)).await;
    let ports = json!([
        { "name": "metrics", "port": 9090, "targetPort": 9090, "protocol": "TCP" },
    ]);
    child::<Service>(stage, service(&headscale, "headscale-metrics", &ports)).await;
}

fn service(headscale: &Headscale, name: &str, ports: &Value) -> Value {
    json!({
        "metadata": metadata(headscale, name),
        "spec": { "type": "ClusterIP", "selector": labels(), "ports": ports },
    })
}

fn metadata(headscale: &Headscale, name: &str) -> Value {
    let owner = json!({
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "Headscale",
        "name": NAME,
        "uid": headscale.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    });
    json!({ "name": name, "labels": labels(), "ownerReferences": [owner] })
}

async fn child<K>(stage: &Stage, object: Value)
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).expect("an object");
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    stage.api::<K>().create(&params, &object).await.expect("created");
}
