//! `install crds` in a cluster of its own, from nothing to newer kinds than ours.

use headscale_controlplane::ControlPlane;
use insta::assert_snapshot;

use crate::support::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_missing_installed_renewed_and_never_taken_back() {
    let Some(plane) = ControlPlane::start().await else { return };
    let Some(sandbox) = Sandbox::on(Box::leak(Box::new(plane))).await else { return };

    assert_snapshot!("missing", sandbox.run(&["create", "user", "alice", "--instance", "vpn"]));
    assert_snapshot!("doctor-without-kinds", sandbox.run(&["doctor"]));
    assert_snapshot!("client-dry-run", sandbox.run(&["install", "crds", "--dry-run=client"]));
    assert_snapshot!("server-dry-run", sandbox.run(&["install", "crds", "--dry-run=server"]));
    assert_eq!(sandbox.kubectl(&["get", "crd", "-o", "name"]).success(), "");

    assert_snapshot!("installed", sandbox.run(&["install", "crds"]));
    // They are served as soon as the command has ended.
    let user = ["create", "user", "alice", "--instance", "vpn"];
    sandbox.run(&user).success();
    assert_eq!(sandbox.run(&["install", "crds"]).code, Some(0), "again");

    let annotate = |value: &str| {
        let annotation = format!("headscale.infrado.cloud/crd-version{value}");
        let all = ["annotate", "--overwrite", "crd", "--all", &annotation];
        sandbox.kubectl(&all).success();
    };
    annotate("=99");
    assert_snapshot!("newer", sandbox.run(&["install", "crds"]));
    let forced = sandbox.run(&["install", "crds", "--force", "--force-conflicts"]);
    assert_snapshot!("forced", forced);
    annotate("-");
    assert_snapshot!("of-another-program", sandbox.run(&["install", "crds"]));
    annotate("=0");
    assert_snapshot!("older-and-of-someone-else", sandbox.run(&["install", "crds"]));
    assert_snapshot!("taken-over", sandbox.run(&["install", "crds", "--force-conflicts"]));
    // The user is still there.
    assert_eq!(
        sandbox.kubectl(&["get", "hsuser", "-o", "name"]).success(),
        "headscaleuser.headscale.infrado.cloud/alice\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_install_is_told_so() {
    let Some(sandbox) = Sandbox::without_kinds().await else { return };
    let token = sandbox.plane.token_for(&sandbox.namespace, "nobody").await;
    let kubeconfig = sandbox.kubeconfig(&token, None);
    assert_snapshot!(sandbox.run(&["install", "crds", "--kubeconfig", &kubeconfig]), @r#"
    exit: 1
    --- stderr
    Error from server (Forbidden): customresourcedefinitions.apiextensions.k8s.io "headscaleautoapprovers.headscale.infrado.cloud" is forbidden: User "system:serviceaccount:[NAMESPACE]:nobody" cannot get resource "customresourcedefinitions" in API group "apiextensions.k8s.io" at the cluster scope
    hint: `kubectl auth can-i --list` shows what you may do
    "#);
}
