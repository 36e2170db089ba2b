//! `doctor`: a namespace where all is well as far as the API server knows, and what is wrong.

use insta::assert_snapshot;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Run, Sandbox};

const API_KEY: &str = "hskey-api--A_PGBw4kQ2x-";

fn secret(name: &str, key: &str, expiration: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "annotations": {
            "api-key.headscale.infrado.cloud/expiration": expiration } },
        "stringData": { "api-key": key } })
}

fn condition(status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2030-01-01T00:00:00Z" })
}

/// The report without what differs between runs.
fn shown(mut run: Run) -> Run {
    let lines = run.stdout.lines().map(|line| match line.split_once("the API server answers: ") {
        Some((start, _)) => {
            format!("{start}the API server answers: [VERSION] [cluster-reachable]\n")
        }
        None => format!("{line}\n"),
    });
    run.stdout = lines.collect();
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_without_an_instance_is_worth_a_look() {
    let Some(sandbox) = Sandbox::new().await else { return };
    assert_snapshot!(shown(sandbox.run(&["doctor"])), @r#"
    exit: 0
    --- stdout
    kubeconfig
      ok the namespace is "[NAMESPACE]" [kubeconfig]

    cluster
      ok the API server answers: [VERSION] [cluster-reachable]

    kinds
      ok all 5 kinds are there, in version 1 [kinds-installed]

    rights
      ok you may do in "[NAMESPACE]" what the commands do [rights]

    instances
      !! there is no instance in "[NAMESPACE]" [instance-exists]
         hint: `kubectl headscale create instance NAME --server-url URL` makes one

    Nothing is broken; 1 thing is worth a look.
    "#);
    assert_snapshot!(shown(sandbox.run(&["doctor", "vpn"])), @r#"
    exit: 1
    --- stdout
    kubeconfig
      ok the namespace is "[NAMESPACE]" [kubeconfig]

    cluster
      ok the API server answers: [VERSION] [cluster-reachable]

    kinds
      ok all 5 kinds are there, in version 1 [kinds-installed]

    rights
      ok you may do in "[NAMESPACE]" what the commands do [rights]

    instances
      XX there is no instance "vpn" in "[NAMESPACE]" [instance-exists]
         hint: `kubectl headscale get instances -A` lists all of the cluster

    1 thing is broken, nothing is worth a look.
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_with_an_instance_is_told() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let mut instance = json!({ "apiVersion": "headscale.infrado.cloud/v1beta1", "kind": "Headscale",
        "metadata": { "name": "vpn", "annotations": { "headscale.infrado.cloud/paused": "true" } },
        "spec": { "version": "v0.29.2", "replicas": 1, "config": {
            "server_url": "https://vpn.example.com", "dns": { "magic_dns": false },
            "database": { "type": "mysql" } } } });
    instance["status"] =
        json!({ "conditions": [condition("False", "NoPod", "the pod is pending")] });
    sandbox.apply(instance).await;
    sandbox
        .apply(secret(
            "vpn-api-key",
            &format!("{API_KEY}{}", "s".repeat(64)),
            "2020-01-01T00:00:00Z",
        ))
        .await;
    let mut user = json!({ "apiVersion": "headscale.infrado.cloud/v1beta1", "kind": "HeadscaleUser",
        "metadata": { "name": "alice" }, "spec": { "headscaleRef": "vpn", "username": "alice" } });
    user["status"] = json!({ "conditions": [condition("False", "Refused", "")] });
    sandbox.apply(user).await;
    let mut key = json!({ "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "HeadscalePreAuthKey", "metadata": { "name": "laptop" },
        "spec": { "headscaleRef": "vpn", "headscaleUserRef": "alice" } });
    key["status"] = json!({ "expiration": "2020-01-01T00:00:00Z" });
    sandbox.apply(key).await;
    sandbox.key("vpn", "phone", "alice").await;
    for (name, source) in [
        (
            "main",
            json!({ "inline": "{\"acls\": [{\"action\": \"accept\", \"src\": [\"group:x\"], \"dst\": [\"*:*\"]}]}" }),
        ),
        ("other", json!({ "configMapRef": { "name": "acl", "key": "policy.hujson" } })),
    ] {
        let mut spec = source;
        spec["headscaleRef"] = json!("vpn");
        sandbox
            .apply(json!({ "apiVersion": "headscale.infrado.cloud/v1beta1",
            "kind": "HeadscalePolicy", "metadata": { "name": name }, "spec": spec }))
            .await;
    }
    let run = shown(sandbox.run(&["doctor", "vpn"]));
    assert!(!run.stdout.contains("ssss"), "a key is shown");
    assert_snapshot!(without_days(&run.to_string()), @r#"
    exit: 1
    --- stdout
    kubeconfig
      ok the namespace is "[NAMESPACE]" [kubeconfig]

    cluster
      ok the API server answers: [VERSION] [cluster-reachable]

    kinds
      ok all 5 kinds are there, in version 1 [kinds-installed]

    rights
      ok you may do in "[NAMESPACE]" what the commands do [rights]

    instance vpn
      ok Headscale v0.29.2 at https://vpn.example.com [instance-exists]
      !! it is paused: nobody looks after it [instance-paused]
         hint: `kubectl annotate headscale vpn headscale.infrado.cloud/paused- -n [NAMESPACE]` goes on
      XX it is not ready: NoPod: the pod is pending [instance-ready]
         hint: `kubectl headscale describe instance vpn -n [NAMESPACE]` shows more
      XX there is no statefulset/vpn [instance-statefulset]
         hint: an operator makes it, or `kubectl headscale render instance | kubectl apply --server-side -f -`
      XX config.database.type: invalid database type "mysql", must be sqlite, sqlite3 or postgres (config-invalid-value) [instance-config]
         hint: write sqlite
      XX it has 2 policies, and can have one [instance-policy]
         hint: `kubectl headscale get policies -n [NAMESPACE]` lists them
      XX policy/other is the key "policy.hujson" of configmap/acl, which is not there [instance-policy]
         hint: `kubectl create configmap acl --from-file policy.hujson=FILE` makes it
      XX policy/main has 1 finding that Headscale refuses [instance-policy]
         hint: `kubectl get headscalepolicy main -n [NAMESPACE] -o yaml | kubectl headscale policy check -` shows them

    keys of vpn
      ok the API key is in secret/vpn-api-key [api-key-secret]
      XX the API key expired [N] days ago [api-key-expiration]
         hint: the sidecar replaces it: `kubectl logs -n [NAMESPACE] vpn-0 --all-containers` says why it does not
      !! 1 of 1 users are not ready: [users-ready]
         alice: Refused
         hint: `kubectl headscale get users -n [NAMESPACE] -o wide` lists them
      !! 1 of 2 pre-auth keys are not ready: [preauthkeys-ready]
         phone: nobody said anything about it
         hint: `kubectl headscale get preauthkeys -n [NAMESPACE] -o wide` lists them
      !! expired: laptop ([N] days ago) [preauthkeys-expired]
         hint: nothing joins with them: `kubectl headscale delete preauthkey NAME` removes one

    7 things are broken, 4 things are worth a look.
    "#);

    let json = sandbox.run(&["doctor", "vpn", "-o", "json"]);
    assert_eq!(json.code, Some(1), "{json}");
    let report: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let states = report["checks"].as_array().expect("checks").iter();
    let broken = states.filter(|check| check["state"] == "error");
    let broken: Vec<&str> = broken.filter_map(|check| check["id"].as_str()).collect();
    assert_eq!(
        broken,
        [
            "instance-ready",
            "instance-statefulset",
            "instance-config",
            "instance-policy",
            "instance-policy",
            "instance-policy",
            "api-key-expiration",
        ]
    );
}

/// `text` with `[N] days` for each count of days, which grows every day.
fn without_days(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let next = words.iter().skip(1).copied().chain([""]);
    let shown = words.iter().zip(next).map(|(word, next)| match next.starts_with("days") {
        true if word.starts_with('(') => "([N]",
        true => "[N]",
        false => word,
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_works_has_nothing_but_ok_until_headscale_is_asked() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let made = sandbox.run(&[
        "create",
        "instance",
        "vpn",
        "--server-url",
        "https://vpn.example.com",
        "--base-domain",
        "tail.example.org",
    ]);
    assert_eq!(made.code, Some(0), "{made}");
    sandbox
        .shell(
            "kubectl headscale render instance vpn --server-url https://vpn.example.com \
             --base-domain tail.example.org | kubectl apply --server-side -f -",
        )
        .success();
    let spec = json!({ "version": "v0.29.2", "replicas": 1, "config": {
        "server_url": "https://vpn.example.com", "dns": { "base_domain": "tail.example.org" } } });
    let mut instance = crate::support::object("Headscale", "vpn", &spec);
    instance["status"] = json!({ "conditions": [condition("True", "Running", "")] });
    sandbox.apply(instance).await;
    let sets: Api<StatefulSet> = Api::namespaced(sandbox.client(), &sandbox.namespace);
    let ready = json!({ "status": { "replicas": 1, "readyReplicas": 1, "availableReplicas": 1 } });
    sets.patch_status("vpn", &PatchParams::default(), &Patch::Merge(ready)).await.expect("taken");
    sandbox
        .apply(secret(
            "vpn-api-key",
            &format!("{API_KEY}{}", "s".repeat(64)),
            "2999-01-01T00:00:00Z",
        ))
        .await;
    let made = sandbox.run_with(
        "{\"acls\": [{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:*\"]}]}",
        &["create", "policy", "main", "--from-file", "-"],
    );
    assert_eq!(made.code, Some(0), "{made}");
    let run = shown(sandbox.run(&["doctor"]));
    assert_snapshot!(without_days(&run.to_string()), @r#"
    exit: 1
    --- stdout
    kubeconfig
      ok the namespace is "[NAMESPACE]" [kubeconfig]

    cluster
      ok the API server answers: [VERSION] [cluster-reachable]

    kinds
      ok all 5 kinds are there, in version 1 [kinds-installed]

    rights
      ok you may do in "[NAMESPACE]" what the commands do [rights]

    instance vpn
      ok Headscale v0.29.2 at https://vpn.example.com [instance-exists]
      ok it is ready [instance-ready]
      ok statefulset/vpn has its pod [instance-statefulset]
      ok Headscale 0.29 takes its configuration [instance-config]
      !! policy/main has 1 finding to look at [instance-policy]
         hint: `kubectl get headscalepolicy main -n [NAMESPACE] -o yaml | kubectl headscale policy check -` shows them

    keys of vpn
      ok the API key is in secret/vpn-api-key [api-key-secret]
      ok the API key is good for [N] days [api-key-expiration]
      ok there are no users [users-ready]
      ok there are no pre-auth keys [preauthkeys-ready]

    Headscale of vpn
      XX no pod of headscale/vpn is ready: there is none [headscale-answers]
         hint: `kubectl get pods -n [NAMESPACE] -l app.kubernetes.io/name=headscale,app.kubernetes.io/instance=vpn` shows its pods

    1 thing is broken, 1 thing is worth a look.
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_someone_may_not_do_is_told() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let token = sandbox.plane.token_for(&sandbox.namespace, "nobody").await;
    let kubeconfig = sandbox.kubeconfig(&token, None);
    assert_snapshot!(shown(sandbox.run(&["doctor", "--kubeconfig", &kubeconfig])), @r#"
    exit: 1
    --- stdout
    kubeconfig
      ok the namespace is "[NAMESPACE]" [kubeconfig]

    cluster
      ok the API server answers: [VERSION] [cluster-reachable]

    kinds
      !! customresourcedefinitions.apiextensions.k8s.io "headscaleautoapprovers.headscale.infrado.cloud" is forbidden: User "system:serviceaccount:[NAMESPACE]:nobody" cannot get resource "customresourcedefinitions" in API group "apiextensions.k8s.io" at the cluster scope [kinds-installed]
         hint: `kubectl auth can-i --list` shows what you may do

    rights
      XX you may not see instances in "[NAMESPACE]" [rights]
         hint: a Role with the verb "list" for headscales.headscale.infrado.cloud allows it; `kubectl auth can-i list headscales.headscale.infrado.cloud -n [NAMESPACE]` asks again
      !! you may not make instances in "[NAMESPACE]" [rights]
         hint: a Role with the verb "create" for headscales.headscale.infrado.cloud allows it; `kubectl auth can-i create headscales.headscale.infrado.cloud -n [NAMESPACE]` asks again
      !! you may not make users in "[NAMESPACE]" [rights]
         hint: a Role with the verb "create" for headscaleusers.headscale.infrado.cloud allows it; `kubectl auth can-i create headscaleusers.headscale.infrado.cloud -n [NAMESPACE]` asks again
      !! you may not make pre-auth keys in "[NAMESPACE]" [rights]
         hint: a Role with the verb "create" for headscalepreauthkeys.headscale.infrado.cloud allows it; `kubectl auth can-i create headscalepreauthkeys.headscale.infrado.cloud -n [NAMESPACE]` asks again
      !! you may not read the API key of an instance in "[NAMESPACE]" [rights]
         hint: a Role with the verb "get" for secrets allows it; `kubectl auth can-i get secrets -n [NAMESPACE]` asks again
      !! you may not talk to an instance in "[NAMESPACE]" [rights]
         hint: a Role with the verb "create" for pods/portforward allows it; `kubectl auth can-i create pods/portforward -n [NAMESPACE]` asks again

    instances
      XX headscales.headscale.infrado.cloud is forbidden: User "system:serviceaccount:[NAMESPACE]:nobody" cannot list resource "headscales" in API group "headscale.infrado.cloud" in the namespace "[NAMESPACE]" [instance-exists]
         hint: `kubectl auth can-i --list` shows what you may do

    2 things are broken, 6 things are worth a look.
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_ends_the_examination() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let kubeconfig = sandbox.kubeconfig("nobody", Some("https://127.0.0.1:1"));
    assert_snapshot!(sandbox.run(&["doctor", "--kubeconfig", &kubeconfig]), @r#"
    exit: 1
    --- stdout
    kubeconfig
      ok the namespace is "[NAMESPACE]" [kubeconfig]

    cluster
      XX The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port? [cluster-reachable]

    1 thing is broken, nothing is worth a look.
    "#);
    assert_snapshot!(sandbox.run(&["doctor", "--kubeconfig", "nowhere"]), @"
    exit: 1
    --- stdout
    kubeconfig
      XX stat nowhere: no such file or directory [kubeconfig]
         hint: --kubeconfig names the file that says where the cluster is

    1 thing is broken, nothing is worth a look.
    ");
}
