//! `render` and the real `kubectl apply`.

use std::collections::BTreeMap;

use crate::support::Sandbox;

const KINDS: &str = "sa,role,rolebinding,cm,svc,sts,ingress";

/// The resource version of each object of the namespace.
fn versions(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let columns = "custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion";
    let table = sandbox.kubectl(&["get", KINDS, "-o", columns, "--no-headers"]).success();
    let rows = table.lines().filter_map(|line| line.rsplit_once(' '));
    let rows = rows.map(|(object, version)| (object.trim_end().to_owned(), version.to_owned()));
    rows.filter(|(object, _)| !object.contains("kube-root-ca.crt")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_twice_changes_nothing_where_only_restricted_pods_may_run() {
    let Some(sandbox) = Sandbox::new().await else { return };
    for mode in ["enforce", "warn"] {
        let label = format!("pod-security.kubernetes.io/{mode}=restricted");
        sandbox.kubectl(&["label", "ns", &sandbox.namespace, &label]).success();
    }
    let line = "kubectl headscale render instance vpn --server-url https://vpn.example.com \
                --base-domain tail.example.org --ingress-class nginx --policy-mode file \
                --set acl_policy.inline='{\"acls\": []}' | kubectl apply --server-side -f -";
    let first = sandbox.shell(line);
    // What is not restricted would be warned about.
    let applied = first.success();
    assert_eq!(applied.lines().count(), 8, "{applied}");
    let before = versions(&sandbox);
    assert!(before.len() >= 8, "{before:?}");
    assert_eq!(sandbox.shell(line).success(), applied);
    assert_eq!(versions(&sandbox), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rendered_kinds_are_those_that_are_installed() {
    let Some(sandbox) = Sandbox::new().await else { return };
    let line = "kubectl headscale render crds | kubectl apply --server-side --dry-run=server \
                --field-manager=tests -o name -f -";
    let names = sandbox.shell(line).success();
    assert_eq!(names.lines().count(), 5, "{names}");
}
