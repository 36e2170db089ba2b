//! `create --wait`: what an operator would do is done by a task that writes the status when the
//! object appears.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::Duration;

use insta::assert_snapshot;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, Sandbox};

/// A condition `Ready`.
fn ready(status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2030-01-01T00:00:00Z" })
}

fn api(sandbox: &Sandbox, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("headscale.infrado.cloud", "v1beta1", kind);
    Api::namespaced_with(sandbox.client(), &sandbox.namespace, &ApiResource::from_gvk(&kind))
}

/// Waits for the object, and then writes each status in turn.
fn operator(sandbox: &Sandbox, kind: &str, name: &str, statuses: Vec<Value>) -> JoinHandle<()> {
    let (api, name) = (api(sandbox, kind), name.to_owned());
    tokio::spawn(async move {
        appears(&api, &name).await;
        for status in statuses {
            let patch = Patch::Merge(json!({ "status": status }));
            api.patch_status(&name, &PatchParams::default(), &patch).await.expect("it is taken");
        }
    })
}

async fn appears(api: &Api<DynamicObject>, name: &str) {
    let look = async {
        while api.get_opt(name).await.expect("an answer").is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it appears");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_until_it_is_ready() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let waiting = ready("False", "WaitingForHeadscale", "vpn has no pod that is ready");
    let done = ready("True", "Created", "");
    let operator = operator(
        &sandbox,
        "HeadscalePreAuthKey",
        "laptop",
        vec![
            json!({ "conditions": [waiting], "observedGeneration": 1 }),
            json!({ "conditions": [waiting], "observedGeneration": 1, "keyId": "7" }),
            json!({ "conditions": [done], "observedGeneration": 1 }),
        ],
    );
    let run = sandbox.run(&[
        "create",
        "preauthkey",
        "laptop",
        "--instance",
        "vpn",
        "--user-id",
        "1",
        "--secret-name",
        "laptop-key",
        "--wait",
    ]);
    operator.await.expect("statuses are written");
    // A status that comes and goes between two looks may not be told.
    let mut run = run;
    run.stderr = run.stderr.replace(
        "note: headscalepreauthkey/laptop: Ready=False WaitingForHeadscale: vpn has no pod that is \
         ready\n",
        "",
    );
    assert_snapshot!(run, @r#"
    exit: 0
    --- stdout
    headscalepreauthkey.headscale.infrado.cloud/laptop created
    headscalepreauthkey.headscale.infrado.cloud/laptop condition met
    --- stderr
    note: headscalepreauthkey/laptop: Ready=True Created
    note: the key is in the Secret "laptop-key": kubectl get secret laptop-key -n [NAMESPACE] -o jsonpath='{.data.key}' | base64 -d
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_condition_of_the_current_generation_counts() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let operator = operator(
        &sandbox,
        "HeadscaleUser",
        "alice",
        vec![json!({ "conditions": [ready("True", "Old", "")], "observedGeneration": 0 })],
    );
    let run =
        sandbox.run(&["create", "user", "alice", "--instance", "vpn", "--wait", "--timeout", "4s"]);
    operator.await.expect("the status is written");
    assert_snapshot!(run, @"
    exit: 1
    --- stdout
    headscaleuser.headscale.infrado.cloud/alice created
    --- stderr
    note: headscaleuser/alice: Ready=True Old (about what it was before)
    error: timed out waiting for the condition on headscaleusers/alice
    hint: it last was Ready=True Old (about what it was before)
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_says_what_it_waited_for_and_why() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let wait = |name, timeout| {
        sandbox.run(&["create", "user", name, "--instance", "vpn", "--wait", "--timeout", timeout])
    };
    assert_snapshot!(wait("alice", "1s"), @"
    exit: 1
    --- stdout
    headscaleuser.headscale.infrado.cloud/alice created
    --- stderr
    error: timed out waiting for the condition on headscaleusers/alice
    hint: nobody said anything about it: does the operator run, and does it look after this namespace?
    ");
    let operator = operator(
        &sandbox,
        "HeadscaleUser",
        "bob",
        vec![
            json!({ "conditions": [ready("False", "Refused", "the name is taken in Headscale")] }),
        ],
    );
    assert_snapshot!(wait("bob", "4s"), @"
    exit: 1
    --- stdout
    headscaleuser.headscale.infrado.cloud/bob created
    --- stderr
    note: headscaleuser/bob: Ready=False Refused: the name is taken in Headscale
    error: timed out waiting for the condition on headscaleusers/bob
    hint: it last was Ready=False Refused: the name is taken in Headscale
    ");
    operator.await.expect("the status is written");
    assert_snapshot!(sandbox.run(&["create", "user", "carol", "--instance", "vpn", "--wait",
        "--timeout", "0"]), @"
    exit: 1
    --- stdout
    headscaleuser.headscale.infrado.cloud/carol created
    --- stderr
    error: timed out waiting for the condition on headscaleusers/carol
    hint: nobody said anything about it: does the operator run, and does it look after this namespace?
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_deleted_meanwhile_ends_the_wait() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let api = api(&sandbox, "HeadscaleUser");
    let operator = tokio::spawn(async move {
        appears(&api, "alice").await;
        api.delete("alice", &DeleteParams::default()).await.expect("deleted");
    });
    let run = sandbox.run(&["create", "user", "alice", "--instance", "vpn", "--wait"]);
    operator.await.expect("it is deleted");
    assert_snapshot!(run, @"
    exit: 1
    --- stdout
    headscaleuser.headscale.infrado.cloud/alice created
    --- stderr
    error: headscaleusers/alice was deleted while it was waited for
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_interrupts_a_wait_is_told_what_was_made() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let plugin = env!("CARGO_BIN_EXE_kubectl-headscale");
    let mut command =
        sandbox.command(plugin, &["create", "user", "alice", "--instance", "vpn", "--wait"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the plugin runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "headscaleuser.headscale.infrado.cloud/alice created\n");
    operator(
        &sandbox,
        "HeadscaleUser",
        "alice",
        vec![json!({ "conditions": [ready("False", "Waiting", "")] })],
    )
    .await
    .expect("the status is written");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut told = String::new();
    stderr.read_line(&mut told).expect("a line");
    let pid = child.id().to_string();
    sandbox.command("/bin/kill", &["-INT", &pid]).status().expect("kill runs");
    stderr.read_to_string(&mut told).expect("the rest");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130), "{told}");
    assert_snapshot!(told.replace(&sandbox.namespace, "[NAMESPACE]"), @"
    note: headscaleuser/alice: Ready=False Waiting
    interrupted: headscaleuser.headscale.infrado.cloud/alice was created, and was not ready yet
    hint: it last was Ready=False Waiting
    hint: `kubectl headscale get user alice -n [NAMESPACE]` shows how it is now
    ");
}
