//! `delete` in kubectl's words.

use std::process::Stdio;

use insta::assert_snapshot;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;

use crate::support::Sandbox;

fn users(sandbox: &Sandbox) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("headscale.infrado.cloud", "v1beta1", "HeadscaleUser");
    Api::namespaced_with(sandbox.client(), &sandbox.namespace, &ApiResource::from_gvk(&kind))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_said_as_kubectl_says_it() {
    let Some(sandbox) = Sandbox::new().await else { return };
    sandbox.instance("main").await;
    for words in [
        &["alice"][..],
        &["bob", "--wait=false"],
        &["carol", "-o", "name"],
        &["dave", "--dry-run=server"],
        &["dave", "--dry-run=client"],
        &["--all", "--dry-run=server"],
        &["nobody"],
        &["nobody", "--ignore-not-found"],
        &["eve", "nobody", "frank"],
        &["-l", "team=red"],
        &["-l", "team=none"],
        &["a", "-l", "b"],
        &["a", "--cascade=foreground", "--all"],
    ] {
        let made = ["alice", "bob", "carol", "dave", "eve", "frank"];
        for name in made {
            sandbox.user("main", name).await;
        }
        let expected = sandbox.kubectl(&[&["delete", "hsuser"], words].concat());
        for name in made {
            sandbox.user("main", name).await;
        }
        let got = sandbox.run(&[&["delete", "user"], words].concat());
        // kubectl has one sentence where it means several flags.
        if words.contains(&"a") {
            assert_eq!((got.code, got.stdout), (expected.code, expected.stdout));
            continue;
        }
        assert_eq!(got.to_string(), expected.to_string(), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_kinds_are_deleted_at_once_and_nothing_else() {
    let Some(sandbox) = Sandbox::new().await else { return };
    sandbox.instance("main").await;
    sandbox.user("main", "alice").await;
    sandbox.user("main", "bob").await;
    let run = sandbox.run(&["delete", "user/alice", "instance/main"]);
    assert_snapshot!(run, @r#"
    exit: 0
    --- stdout
    headscaleuser.headscale.infrado.cloud "alice" deleted from [NAMESPACE] namespace
    headscale.headscale.infrado.cloud "main" deleted from [NAMESPACE] namespace
    "#);
    assert_snapshot!(sandbox.run(&["get", "all", "-o", "name"]).success(), @"
    headscaleuser.headscale.infrado.cloud/bob
    ");
    assert_snapshot!(sandbox.run(&["delete", "users"]), @r"
    exit: 1
    --- stderr
    error: resource(s) were provided, but no name was specified
    hint: name some, or select with -l, or delete them all with --all
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_holds_it_back_until_the_time_is_up_or_someone_interrupts() {
    let Some(sandbox) = Sandbox::new().await else { return };
    sandbox.instance("main").await;
    sandbox.user("main", "alice").await;
    let api = users(&sandbox);
    let held = json!({ "metadata": { "finalizers": ["example.com/held"] } });
    api.patch("alice", &PatchParams::default(), &Patch::Merge(&held)).await.expect("patched");

    assert_snapshot!(sandbox.run(&["delete", "user", "alice", "--timeout=1s"]), @r#"
    exit: 1
    --- stdout
    headscaleuser.headscale.infrado.cloud "alice" deleted from [NAMESPACE] namespace
    --- stderr
    error: timed out waiting for the condition on headscaleusers/alice
    hint: example.com/held holds it back: does the operator run that takes it away?
    "#);

    // It says what it did before it waits, so that the test knows when to interrupt.
    let plugin = sandbox.programs().join("kubectl-headscale");
    let mut command = sandbox.command(plugin, &["delete", "user", "alice"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    let pipe = child.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(pipe), &mut line).expect("a line");
    let line = line.replace(&sandbox.namespace, "[NAMESPACE]");
    assert_eq!(
        line,
        "headscaleuser.headscale.infrado.cloud \"alice\" deleted from [NAMESPACE] namespace\n"
    );
    sandbox.interrupt(&child);
    assert_snapshot!(sandbox.finish(&child.wait_with_output().expect("it ends")), @r"
    exit: 130
    --- stderr
    note: interrupted; what is said to be deleted goes away all the same
    ");

    let free = json!({ "metadata": { "finalizers": [] } });
    api.patch("alice", &PatchParams::default(), &Patch::Merge(&free)).await.expect("patched");
    assert!(api.get_opt("alice").await.expect("asked").is_none());
}
