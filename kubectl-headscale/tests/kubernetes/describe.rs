//! What `describe` knows and kubectl does not.

use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Sandbox, object};

/// An instance with all that stands around one.
async fn populated() -> Option<Sandbox> {
    let sandbox = Sandbox::new().await?;
    let made = sandbox
        .apply(json!({
            "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "Headscale",
            "metadata": { "name": "main", "labels": { "team": "net" } },
            "spec": {
                "version": "0.29.2", "replicas": 1,
                "config": { "server_url": "https://headscale.example.com", "db_type": "sqlite3",
                    "randomize_client_port": true },
                "acl_policy": { "tag_owners": { "tag:router": ["alice@"] } },
            },
            "status": { "version": "0.29.1", "conditions": [
                { "type": "Ready", "status": "False", "reason": "Upgrading",
                  "message": "waits for the pod\nof 0.29.2",
                  "lastTransitionTime": "2030-01-01T00:00:00Z" },
            ] },
        }))
        .await;
    let owner = json!([{ "apiVersion": "headscale.infrado.cloud/v1beta1", "kind": "Headscale",
        "name": "main", "uid": made.metadata.uid, "controller": true }]);
    let labels = json!({ "app": "main" });
    sandbox
        .apply(json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": { "name": "main", "ownerReferences": owner },
            "spec": { "replicas": 1, "serviceName": "main", "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels },
                    "spec": { "containers": [{ "name": "headscale", "image": "headscale" }] } } },
        }))
        .await;
    sandbox
        .apply(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "main", "ownerReferences": owner },
            "spec": { "selector": labels, "ports": [{ "name": "http", "port": 8080 }] },
        }))
        .await;
    sandbox
        .apply(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "main-api-key", "annotations": {
                "api-key.headscale.infrado.cloud/expiration": "2000-01-01T00:00:00Z" } },
            "stringData": { "api-key": "hskey-api-must-not-show" },
        }))
        .await;
    sandbox.user("main", "alice").await;
    sandbox.key("main", "laptop", "alice").await;
    sandbox.key("main", "stray", "nobody").await;
    sandbox
        .apply(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "laptop" },
            "stringData": { "key": "must-not-show" },
        }))
        .await;
    sandbox
        .apply(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "proxy-0",
                "labels": { "headscale.infrado.cloud/reissue": "laptop" } },
        }))
        .await;
    let inline = "{\n  \"acls\": [{\"action\": \"accept\", \"src\": [\"group:none\"], \
                  \"dst\": [\"*:*\"]}],\n}\n";
    let policy = json!({ "headscaleRef": "main", "inline": inline });
    sandbox.apply(object("HeadscalePolicy", "main", &policy)).await;
    let approver = json!({ "headscaleRef": "main",
        "routes": [{ "cidr": "10.0.0.0/8", "tags": ["tag:router", "tag:other"] }] });
    sandbox.apply(object("HeadscaleAutoApprover", "routes", &approver)).await;
    sandbox
        .apply(json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": { "name": "main.1" },
            "involvedObject": { "apiVersion": "headscale.infrado.cloud/v1beta1",
                "kind": "Headscale", "name": "main", "namespace": sandbox.namespace,
                "uid": made.metadata.uid },
            "type": "Normal", "reason": "Upgraded", "message": "from 0.28.0",
            "source": { "component": "operator" }, "lastTimestamp": "2000-01-01T00:00:00Z",
        }))
        .await;
    Some(sandbox)
}

/// Times without how long ago they are.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\dZ \([^)]*\)", "[TIME]");
    settings.add_filter(r"\(2\dy\d*d? ago\)", "([LONG] ago)");
    settings.add_filter(r"(Normal  Upgraded  )2\dy\d*d?", "$1[AGE]");
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_around_an_object_is_told() {
    let Some(sandbox) = populated().await else { return };
    let mut all = String::new();
    for words in [
        &["instance", "main"][..],
        &["user/alice"],
        &["preauthkeys"],
        &["policy", "main"],
        &["hsaa", "routes"],
        &["users", "nobody", "alice"],
        &["users", "-l", "a=b"],
    ] {
        let run = sandbox.run(&[&["describe"], words].concat());
        all.extend([format!("$ describe {}\n{run}\n", words.join(" "))]);
    }
    assert!(!all.contains("must-not-show"));
    settings().bind(|| assert_snapshot!(all));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_may_not_see_is_said_and_is_no_error() {
    let Some(sandbox) = populated().await else { return };
    let token = sandbox.plane.token_for(&sandbox.namespace, "reader").await;
    sandbox
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": { "name": "reader" },
            "rules": [{ "apiGroups": ["headscale.infrado.cloud"],
                "resources": ["headscales", "headscaleusers"], "verbs": ["get", "list"] }],
        }))
        .await;
    sandbox
        .apply(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": "reader" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                "name": "reader" },
            "subjects": [{ "kind": "ServiceAccount", "name": "reader",
                "namespace": sandbox.namespace }],
        }))
        .await;
    let kubeconfig = sandbox.kubeconfig(&token, None);
    let run = sandbox.run(&["describe", "instance", "main", "--kubeconfig", &kubeconfig]);
    settings().bind(|| assert_snapshot!(run));
}
