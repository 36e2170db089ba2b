//! `create` against a real API server.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Sandbox, object};

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_made_in_kubectls_words() {
    let Some(sandbox) = Sandbox::new().await else { return };
    assert_snapshot!(sandbox.run(&["create", "instance", "vpn", "--server-url",
        "https://vpn.example.com", "--base-domain", "tail.example.org"]), @r#"
    exit: 0
    --- stdout
    headscale.headscale.infrado.cloud/vpn created
    --- stderr
    note: its API key will be in the Secret "vpn-api-key": kubectl get secret vpn-api-key -n [NAMESPACE] -o jsonpath='{.data.api-key}' | base64 -d
    "#);
    assert_snapshot!(sandbox.run(&["create", "user", "alice", "--email", "alice@example.com"]), @"
    exit: 0
    --- stdout
    headscaleuser.headscale.infrado.cloud/alice created
    ");
    assert_snapshot!(sandbox.run(&["create", "preauthkey", "laptop", "--user", "alice",
        "--expiration", "90d"]), @r#"
    exit: 0
    --- stdout
    headscalepreauthkey.headscale.infrado.cloud/laptop created
    --- stderr
    note: the key will be in the Secret "laptop": kubectl get secret laptop -n [NAMESPACE] -o jsonpath='{.data.key}' | base64 -d
    "#);
    assert_snapshot!(sandbox.run(&["create", "autoapprover", "office", "--route",
        "10.0.0.0/8=tag:router"]), @"
    exit: 0
    --- stdout
    headscaleautoapprover.headscale.infrado.cloud/office created
    ");
    assert_snapshot!(sandbox.run_with("{\"acls\": []}", &["create", "policy", "main",
        "--from-file", "-"]), @"
    exit: 0
    --- stdout
    headscalepolicy.headscale.infrado.cloud/main created
    ");
    let spec = sandbox.kubectl(&["get", "hspak", "laptop", "-o", "jsonpath={.spec}"]).success();
    assert_eq!(
        serde_json::from_str::<Value>(&spec).ok(),
        Some(json!({ "headscaleRef": "vpn", "headscaleUserRef": "alice", "expiration": "2160h" }))
    );
    let manager = "jsonpath={.metadata.managedFields[0].manager}";
    assert_eq!(
        sandbox
            .kubectl(&["get", "hsuser", "alice", "-o", manager, "--show-managed-fields"])
            .success(),
        "kubectl-headscale"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_dry_run_judges_and_keeps_nothing() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let args = ["create", "user", "alice", "--instance", "vpn", "--dry-run=server"];
    assert_snapshot!(sandbox.run(&args), @"
    exit: 0
    --- stdout
    headscaleuser.headscale.infrado.cloud/alice created (server dry run)
    ");
    let name = sandbox.run(&[&args[..], &["-o", "name"]].concat()).success();
    assert_eq!(name, "headscaleuser.headscale.infrado.cloud/alice\n");
    let yaml = sandbox.run(&[&args[..], &["-o", "yaml"]].concat()).success();
    assert!(yaml.contains("\n  uid: ") && !yaml.contains("managedFields"), "{yaml}");
    assert_snapshot!(sandbox.run(&["create", "user", "alice", "--instance", "vpn", "--username",
        "Alice!", "--email", "nowhere", "--dry-run=server"]), @r#"
    exit: 1
    --- stderr
    The HeadscaleUser "alice" is invalid: 
    * spec.email: Invalid value: "nowhere": spec.email in body should match '^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$'
    * spec.username: Invalid value: "Alice!": spec.username in body should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'
    "#);
    assert_eq!(sandbox.kubectl(&["get", "hsuser", "-o", "name"]).success(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_told_with_what_to_do() {
    let Some(sandbox) = Sandbox::new().await else { return };
    sandbox.instance("vpn").await;
    sandbox.user("vpn", "alice").await;
    assert_snapshot!(sandbox.run(&["create", "user", "alice"]), @r#"
    exit: 1
    --- stderr
    Error from server (AlreadyExists): headscaleusers.headscale.infrado.cloud "alice" already exists
    hint: `kubectl headscale get user alice` shows it; take another name
    hint: to change it, add `--dry-run=client -o yaml | kubectl apply -f -`
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_never_changes_is_refused_by_the_server() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let run = |name: &str| {
        sandbox.shell(&format!(
            "kubectl headscale create user alice --instance vpn --username {name} --dry-run=client \
         -o yaml | kubectl apply -f -"
        ))
    };
    assert_snapshot!(run("alice"), @"
    exit: 0
    --- stdout
    headscaleuser.headscale.infrado.cloud/alice created
    ");
    assert_snapshot!(run("bob"), @r#"
    exit: 1
    --- stderr
    The HeadscaleUser "alice" is invalid: spec.username: Invalid value: "string": username is immutable
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_instance_that_is_meant_is_the_only_one() {
    let Some(sandbox) = Sandbox::new().await else { return };
    assert_snapshot!(sandbox.run(&["create", "user", "alice"]), @r#"
    exit: 1
    --- stderr
    error: no instance in namespace "[NAMESPACE]"
    hint: `kubectl headscale create instance NAME --server-url URL` makes one
    hint: -n names another namespace, --instance an instance that is not there yet
    "#);
    sandbox.instance("one").await;
    let yaml = sandbox.run(&["create", "user", "alice", "-o", "yaml"]).success();
    assert!(yaml.contains("\n  headscaleRef: one\n"), "{yaml}");
    sandbox.instance("two").await;
    assert_snapshot!(sandbox.run(&["create", "user", "bob"]), @r#"
    exit: 2
    --- stderr
    error: which instance? namespace "[NAMESPACE]" has several: one, two
    hint: --instance names it
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_of_a_file_and_of_a_flag_must_agree() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let mut user =
        object("HeadscaleUser", "alice", &json!({ "headscaleRef": "v", "username": "a" }));
    user["metadata"]["namespace"] = json!("elsewhere");
    sandbox.write("user.json", user.to_string());
    assert_snapshot!(sandbox.run(&["create", "user", "-f", "user.json", "-n", "here"]), @r#"
    exit: 1
    --- stderr
    error: the namespace from the provided object "elsewhere" does not match the namespace "here". You must pass '--namespace=elsewhere' to perform this operation.
    "#);
    assert_snapshot!(sandbox.run(&["create", "user", "-f", "user.json"]), @r#"
    exit: 1
    --- stderr
    Error from server (NotFound): namespaces "elsewhere" not found
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_so() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let token = sandbox.plane.token_for(&sandbox.namespace, "nobody").await;
    let kubeconfig = sandbox.kubeconfig(&token, None);
    let args = ["create", "user", "alice", "--instance", "v", "--kubeconfig", &kubeconfig];
    assert_snapshot!(sandbox.run(&args), @r#"
    exit: 1
    --- stderr
    Error from server (Forbidden): headscaleusers.headscale.infrado.cloud is forbidden: User "system:serviceaccount:[NAMESPACE]:nobody" cannot create resource "headscaleusers" in API group "headscale.infrado.cloud" in the namespace "[NAMESPACE]"
    hint: `kubectl auth can-i --list` shows what you may do
    "#);
    assert_snapshot!(sandbox.run(&["create", "user", "alice", "--kubeconfig", &kubeconfig]), @r#"
    exit: 1
    --- stderr
    Error from server (Forbidden): headscales.headscale.infrado.cloud is forbidden: User "system:serviceaccount:[NAMESPACE]:nobody" cannot list resource "headscales" in API group "headscale.infrado.cloud" in the namespace "[NAMESPACE]"
    hint: `kubectl auth can-i --list` shows what you may do
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_only_the_server_knows_to_be_wrong_is_told_in_its_words() {
    let Some(sandbox) = Sandbox::new().await else { return };
    assert_snapshot!(sandbox.run(&["create", "instance", "vpn", "--server-url", "https://a.example.com",
        "--version", "latest!", "--set", "api_key.expiration=1h", "--set",
        "api_key.rotation_buffer=2h"]), @r#"
    exit: 1
    --- stderr
    note: nodes get no names: --base-domain is the domain to have them in
    The Headscale "vpn" is invalid: 
    * spec.api_key: Invalid value: "object": api_key.rotation_buffer must be less than api_key.expiration, which is 2160h unless given
    * spec.version: Invalid value: "latest!": spec.version in body should match '^v?(\d+\.)?(\d+\.)?(\*|\d+)(-.+)?$'
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_is_what_the_manifest_makes() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let args = "create instance vpn --server-url https://vpn.example.com --base-domain \
                tail.example.org --ingress-class nginx --policy-mode file";
    let applied = sandbox.shell(&format!(
        "kubectl headscale {args} --dry-run=client -o yaml | kubectl apply --server-side -f -"
    ));
    assert_eq!(applied.success(), "headscale.headscale.infrado.cloud/vpn serverside-applied\n");
    let spec = "jsonpath={.spec}";
    let by_kubectl = sandbox.kubectl(&["get", "hs", "vpn", "-o", spec]).success();
    sandbox.kubectl(&["delete", "hs", "vpn"]).success();
    let made = sandbox.shell(&format!("kubectl headscale {args}"));
    assert_eq!(made.code, Some(0), "{made}");
    assert_eq!(sandbox.kubectl(&["get", "hs", "vpn", "-o", spec]).success(), by_kubectl);
}
