//! `install`, `upgrade` and `uninstall` of the operator, from nothing to nothing.

use std::thread;

use headscale_acl::Date;
use headscale_api::operator::{DEFAULT_NAMESPACE, NAME, VERSION};
use headscale_controlplane::ControlPlane;
use insta::assert_snapshot;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kubectl_headscale::{Environment, Exit, Streams, run};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, Run, Sandbox, object};

/// `run` without the version of this release.
fn hide(run: Run) -> Run {
    let hide = |text: String| text.replace(VERSION, "[VERSION]");
    Run { stdout: hide(run.stdout), stderr: hide(run.stderr), ..run }
}

/// Says of the Deployment what a cluster with nodes would.
async fn available(sandbox: &Sandbox, namespace: &str) {
    let api: Api<Deployment> = Api::namespaced(sandbox.client(), namespace);
    let there = api.get(NAME).await.expect("a Deployment");
    let replicas = there.spec.and_then(|spec| spec.replicas);
    let status = json!({ "observedGeneration": there.metadata.generation, "replicas": replicas,
        "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas });
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(NAME, &PatchParams::default(), &patch).await.expect("a status");
}

/// What is labelled as the operator's.
fn labelled(sandbox: &Sandbox) -> String {
    let kinds = "deploy,svc,sa,pdb,role,rolebinding,clusterrole,clusterrolebinding";
    let labels = "app.kubernetes.io/name=headscale-operator";
    sandbox.kubectl(&["get", kinds, "-A", "-l", labels, "-o", "name"]).success()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_installed_upgraded_and_uninstalled_and_data_stays() {
    let Some(plane) = ControlPlane::start().await else { return };
    let Some(sandbox) = Sandbox::on(Box::leak(Box::new(plane))).await else { return };
    let run = |args: &[&str]| hide(sandbox.run(args));

    assert_snapshot!("operator-nothing-to-upgrade", run(&["upgrade", "--yes"]));
    assert_snapshot!("operator-nothing-to-uninstall", run(&["uninstall", "--yes"]));
    go_operator_is_in_the_way(&sandbox).await;
    assert_snapshot!("operator-nobody-to-ask", run(&["install"]));
    assert_snapshot!("operator-client-dry-run", run(&["install", "--dry-run=client"]));
    let dry = run(&["install", "--dry-run=server"]);
    assert_eq!(dry.code, Some(0), "{dry}");
    assert_eq!(labelled(&sandbox), "", "nothing was changed");
    assert_snapshot!("operator-installed", run(&["install", "operator", "--yes"]));

    let before = labelled(&sandbox);
    let again = run(&["install", "--yes"]);
    assert_eq!(again.code, Some(0), "{again}");
    assert!(again.stdout.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    // What is rendered is what is installed.
    let line = "kubectl headscale render operator | kubectl diff --server-side -f -";
    assert_eq!(sandbox.shell(line).success(), "");

    let late = run(&["install", "--yes", "--wait", "--timeout", "0s"]);
    assert_eq!(late.code, Some(1), "{late}");
    assert!(late.stderr.contains("it last was: not seen by Kubernetes yet"), "{late}");
    available(&sandbox, DEFAULT_NAMESPACE).await;
    let waited = run(&["install", "--yes", "--wait"]);
    assert!(waited.stdout.ends_with("deployment.apps/headscale-operator condition met\n"));
    assert_eq!(labelled(&sandbox), before);

    // An older one from a mirror, with settings of its own.
    let older = format!(
        "kubectl headscale render operator --crds=false --replicas 2 --watch-namespace {} --image \
         mirror.example/operator:v0.0.1 | sed 's/io.version: .*/io\\/version: 0.0.1/' | kubectl \
         apply --server-side --field-manager kubectl-headscale -f -",
        sandbox.namespace
    );
    assert_eq!(sandbox.shell(&older).code, Some(0));
    assert_snapshot!("operator-upgraded", run(&["upgrade", "--yes"]));
    assert_snapshot!("operator-settings-taken-back", run(&["install", "--yes"]));
    let kinds = sandbox.kubectl(&["get", "crd", "-o", "name"]).success();

    sandbox.user("vpn", "alice").await;
    assert_snapshot!("operator-uninstall-nobody-to-ask", run(&["uninstall"]));
    let delete_kinds = ["uninstall", "--delete-crds", "--confirm", DEFAULT_NAMESPACE];
    assert_snapshot!("operator-kinds-in-use", run(&delete_kinds));
    assert_eq!(labelled(&sandbox), before, "nothing was changed");
    assert_snapshot!("operator-uninstalled", run(&["uninstall", "--yes"]));
    assert_eq!(labelled(&sandbox), "");
    assert_eq!(sandbox.kubectl(&["get", "crd", "-o", "name"]).success(), kinds);
    let user = sandbox.kubectl(&["get", "hsuser", "-o", "name"]).success();
    assert_eq!(user, "headscaleuser.headscale.infrado.cloud/alice\n");
    let namespaces: Api<Namespace> = Api::all(sandbox.client());
    assert!(namespaces.get_opt(DEFAULT_NAMESPACE).await.expect("an answer").is_some());

    deletes_data(&sandbox).await;
}

fn kind(name: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("headscale.infrado.cloud", "v1beta1", name))
}

/// Lets objects go as the operator does, and says in which order they were deleted.
fn let_go(sandbox: &Sandbox, objects: &[(&'static str, &'static str)]) -> JoinHandle<Vec<String>> {
    let (client, namespace) = (sandbox.client(), sandbox.namespace.clone());
    let mut left: Vec<(&str, &str)> = objects.to_vec();
    tokio::spawn(async move {
        let mut order = Vec::new();
        while !left.is_empty() {
            let mut still = Vec::new();
            for (resource, name) in left {
                let api: Api<DynamicObject> =
                    Api::namespaced_with(client.clone(), &namespace, &kind(resource));
                let there = api.get(name).await.expect("it is held");
                if there.metadata.deletion_timestamp.is_none() {
                    still.push((resource, name));
                    continue;
                }
                order.push(format!("{resource}/{name}"));
                let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
                api.patch(name, &PatchParams::default(), &patch).await.expect("let go");
            }
            left = still;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        order
    })
}

/// All that is left of the other test goes, and more.
async fn deletes_data(sandbox: &Sandbox) {
    let run = |args: &[&str]| hide(sandbox.run(args));
    for (resource, name, spec) in [
        ("Headscale", "vpn", json!({ "version": "0.29.2", "replicas": 1 })),
        ("HeadscaleUser", "alice", json!({ "headscaleRef": "vpn", "username": "alice" })),
    ] {
        let mut made = object(resource, name, &spec);
        made["metadata"]["finalizers"] = json!(["headscale.infrado.cloud/finalizer"]);
        sandbox.apply(made).await;
    }
    // An instance that was rendered and runs without an operator keeps what it has.
    for instance in ["vpn", "rendered"] {
        let labels = json!({ "app.kubernetes.io/managed-by": "headscale-operator",
            "app.kubernetes.io/name": "headscale", "app.kubernetes.io/instance": instance });
        let spec = json!({ "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "1Gi" } } });
        let metadata = json!({ "name": format!("data-{instance}-0"), "labels": labels });
        let claim = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": metadata, "spec": spec });
        sandbox.apply(claim).await;
    }
    let everything =
        ["uninstall", "--delete-data", "--delete-crds", "--confirm", DEFAULT_NAMESPACE];
    assert_snapshot!("operator-needed-to-delete-data", run(&everything));
    assert_eq!(run(&["install", "--yes"]).code, Some(0));
    available(sandbox, DEFAULT_NAMESPACE).await;
    assert_snapshot!("operator-yes-is-not-enough", run(&["uninstall", "--delete-data", "--yes"]));
    let mistyped = run(&["uninstall", "--delete-data", "--confirm", "headscale"]);
    assert_eq!(mistyped.code, Some(2), "{mistyped}");

    let order = let_go(sandbox, &[("HeadscaleUser", "alice"), ("Headscale", "vpn")]);
    let gone = run(&everything);
    assert_snapshot!("operator-and-data-deleted", gone);
    let order = tokio::time::timeout(PATIENCE, order).await.expect("in time").expect("let go");
    assert_eq!(order, ["HeadscaleUser/alice", "Headscale/vpn"]);
    assert_eq!(labelled(sandbox), "");
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(sandbox.client(), &sandbox.namespace);
    let is_gone = async |name: &str| {
        let claim = claims.get_opt(name).await.expect("an answer");
        // Kubernetes holds it until no pod uses it, which nobody tells here.
        claim.is_none_or(|claim| claim.metadata.deletion_timestamp.is_some())
    };
    assert!(is_gone("data-vpn-0").await);
    assert!(!is_gone("data-rendered-0").await);
}

/// The Go operator's Deployment in a namespace of its own.
async fn go_operator(sandbox: &Sandbox, replicas: u8) {
    let labels = json!({ "control-plane": "controller-manager" });
    let container = json!({ "name": "manager", "command": ["/manager"],
        "image": "ghcr.io/infradohq/headscale-operator:0.2.2" });
    let spec = json!({ "replicas": replicas, "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } } });
    sandbox
        .apply(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "spec": spec,
            "metadata": { "name": "headscale-operator-controller-manager" } }))
        .await;
}

/// One in another namespace would work at the same time; of two in one namespace only one does.
async fn go_operator_is_in_the_way(sandbox: &Sandbox) {
    let run = |args: &[&str]| hide(sandbox.run(&[&["install", "--dry-run=server"], args].concat()));
    go_operator(sandbox, 1).await;
    assert_snapshot!("operator-beside-a-go-operator", run(&[]));
    let with = run(&["-n", &sandbox.namespace]);
    assert_eq!(with.code, Some(0), "{with}");
    let warning = with.stderr.lines().find(|line| line.starts_with("warning: "));
    assert_snapshot!("operator-with-a-go-operator", warning.expect("it is told"));
    go_operator(sandbox, 0).await;
    assert_eq!(run(&[]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_install_an_operator_is_told_so() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let token = sandbox.plane.token_for(&sandbox.namespace, "nobody").await;
    let kubeconfig = sandbox.kubeconfig(&token, None);
    assert_snapshot!(sandbox.run(&["install", "--yes", "--kubeconfig", &kubeconfig]), @r#"
    exit: 1
    --- stderr
    Error from server (Forbidden): deployments.apps "headscale-operator" is forbidden: User "system:serviceaccount:[NAMESPACE]:nobody" cannot get resource "deployments" in API group "apps" in the namespace "headscale-operator-system"
    hint: `kubectl auth can-i --list` shows what you may do
    "#);
}

/// Runs the plugin where standard input is a terminal, with what is typed there.
fn typed(sandbox: &Sandbox, answer: &'static str, args: &[&str]) -> (Exit, String, String) {
    let environment = Environment {
        cwd: sandbox.path(""),
        stdout_color: false,
        stderr_color: false,
        stdin_terminal: true,
        width: None,
        cache: None,
        docker_config: None,
        program: None,
        path: None,
        home: Some(sandbox.path("")),
        kubeconfig: None,
        in_cluster: None,
        now: jiff::Timestamp::UNIX_EPOCH,
        variable: |_| None,
        today: Date { year: 2030, month: 1, day: 1 },
    };
    let args: Vec<String> =
        ["kubectl-headscale"].iter().chain(args).map(|&arg| arg.to_owned()).collect();
    // The plugin has a runtime of its own, of which a thread can have one.
    let run = thread::spawn(move || {
        let (mut out, mut err, mut answer) = (Vec::new(), Vec::new(), answer.as_bytes());
        let mut streams = Streams { stdin: &mut answer, stdout: &mut out, stderr: &mut err };
        let exit = run(args.into_iter().map(Into::into), &environment, &mut streams);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (exit, text(out), text(err))
    });
    run.join().expect("it ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sits_at_a_terminal_is_asked() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let namespace = sandbox.namespace.as_str();
    let install = [
        "install",
        "--crds=false",
        "--user-roles=false",
        "-n",
        namespace,
        "--watch-namespace",
        namespace,
    ];
    for no in ["n\n", "\n", ""] {
        let (exit, out, err) = typed(&sandbox, no, &install);
        assert_eq!((exit, out.as_str()), (Exit::FAILED, ""), "{err}");
        assert!(err.contains("Change 7 objects? [y/N] error: nothing was changed"), "{err}");
    }
    let (exit, out, err) = typed(&sandbox, "y\n", &install);
    assert_eq!(exit, Exit::Success, "{err}");
    assert!(out.contains("deployment.apps/headscale-operator created\n"), "{out}");

    sandbox.instance("vpn").await;
    let delete = ["uninstall", "--delete-data", "-n", namespace];
    let (exit, _, err) = typed(&sandbox, "yes\n", &delete);
    assert_eq!(exit, Exit::FAILED, "{err}");
    let asked = format!("Type {namespace} to delete {namespace}/vpn with all data: ");
    assert!(err.contains(&asked), "{err}");
    let answer: &'static str = Box::leak(format!("{namespace}\n").into_boxed_str());
    let (exit, out, err) = typed(&sandbox, answer, &delete);
    assert_eq!(exit, Exit::Success, "{err}");
    assert!(out.starts_with("headscale.headscale.infrado.cloud/vpn deleted\n"), "{out}");
    assert!(out.contains("deployment.apps/headscale-operator deleted\n"), "{out}");
}

#[tokio::test]
async fn objects_are_printed_where_that_is_asked_for() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let flags = ["install", "--dry-run=client", "--crds=false"];
    let print = |format: &str| sandbox.run(&[&flags[..], &["-o", format]].concat()).success();
    let json: Value = serde_json::from_str(&print("json")).expect("JSON");
    let rendered = ["render", "operator", "--crds=false", "-o", "json"];
    assert_eq!(
        json,
        serde_json::from_str::<Value>(&sandbox.run(&rendered).success()).expect("JSON")
    );
    assert!(print("name").ends_with("deployment.apps/headscale-operator\n"));
    assert_eq!(print("yaml"), sandbox.run(&["render", "operator", "--crds=false"]).success());
}
