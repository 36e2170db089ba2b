//! Many objects, and several operators.

use headscale_api::kinds::HeadscalePreAuthKey;
use headscale_controlplane::ControlPlane;
use headscale_standin::Version;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::bench::{Bench, define};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_users_and_keys_converge_and_then_nothing_is_written() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    for number in 0..50 {
        bench.make_user(&format!("u{number}"), json!({})).await;
        let of_user = json!({ "headscaleUserRef": format!("u{number}") });
        bench.make_key(&format!("k{number}"), of_user).await;
    }
    // Nothing is lost that had to be waited for, however long one of so many requests takes.
    let operator = || bench.operator().flag("send-deadline", "10s").flag("in-flight", "10s");
    let mut running = operator().start();
    running
        .until("all ready", async || {
            let keys: Api<HeadscalePreAuthKey> = bench.api();
            let keys = keys.list(&ListParams::default()).await.expect("keys").items;
            keys.iter().all(|key| {
                let conditions = key.status.as_ref().map(|status| &*status.conditions);
                crate::bench::said(conditions.unwrap_or_default(), "Ready", key.metadata.generation)
                    .0
                    == "True"
            })
        })
        .await;
    let writes = bench.writes();
    println!("50 users and 50 keys take {} writes", writes.len());
    // A user: metadata, the user, its status. A key: metadata, intent, the key, the Secret, status.
    // Some are looked at twice on their way.
    assert!(writes.len() <= 50 * 8 + 60, "{writes:#?}");
    assert_eq!((bench.users().await.len(), bench.keys().await.len()), (50, 50));

    // All of them are looked at again, and Headscale several times.
    bench.proxy.reset();
    let asked = async || {
        let requests = bench.proxy.requests();
        let is_list = |path: &str| path == "/api/v1/preauthkey";
        let secrets = requests.iter().filter(|it| it.path.contains("/secrets/k")).count();
        requests.iter().filter(|it| is_list(&it.path)).count() > 8 && secrets >= 50
    };
    running.until("looked at again", asked).await;
    assert_eq!(bench.writes(), Vec::<String>::new());
    // Another operator finds nothing to do either.
    drop(running);
    bench.proxy.reset();
    let mut running = operator().start();
    running.until("looked at again", asked).await;
    assert_eq!(bench.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_once_make_one_of_each() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let mut running = [bench.operator().start(), bench.operator().start()];
    for number in 0..8 {
        bench.make_user(&format!("u{number}"), json!({})).await;
        let of_user = json!({ "headscaleUserRef": format!("u{number}") });
        bench.make_key(&format!("k{number}"), of_user).await;
    }
    for number in 0..8 {
        let name = format!("k{number}");
        running[0].until("ready", async || bench.is_key_ready(&name).await).await;
    }
    running[1].until("one key each", async || bench.keys().await.len() == 8).await;
    assert_eq!(bench.users().await.len(), 8);
    let working = bench.working().await;
    for number in 0..8 {
        let text = bench.text(&format!("k{number}")).await.expect("a key");
        let is_its = |prefix: &str| text.contains(prefix);
        let of = working.iter().filter(|key| is_its(key.prefix.as_ref().expect("one").as_str()));
        assert_eq!(of.count(), 1, "the key in the Secret works");
    }
    for number in 0..8 {
        bench.delete::<HeadscalePreAuthKey>(&format!("k{number}")).await;
    }
    running[0].until("gone", async || bench.keys().await.is_empty()).await;
}

/// Makes a user and its key in both, and waits until they are ready.
async fn in_both(benches: [&Bench; 2], operator: &crate::program::Operator) {
    let mut running = operator.start();
    for bench in benches {
        bench.make_user("u", json!({})).await;
        bench.make_key("k", json!({ "headscaleUserRef": "u" })).await;
        running.until("ready", async || bench.is_key_ready("k").await).await;
        assert_eq!(bench.users().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_that_are_named_are_looked_after_and_no_others() {
    let Some(one) = Bench::new(Version::V0_29).await else { return };
    let Some(two) = Bench::new(Version::V0_30).await else { return };
    let Some(other) = Bench::new(Version::V0_30).await else { return };
    other.make_user("u", json!({})).await;
    let operator = one
        .operator()
        .flag("kubeconfig", &one.admin_kubeconfig())
        .also("namespace", &two.namespace)
        .also("resolve", &two.resolve())
        .also("resolve", &other.resolve());
    in_both([&one, &two], &operator).await;
    assert!(other.user("u").await.expect("there").metadata.finalizers.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_namespace_all_are_looked_after_once_the_kinds_are_defined() {
    let Some(cluster) = ControlPlane::start().await else { return };
    // It ends with the process of the tests.
    let cluster: &'static ControlPlane = Box::leak(Box::new(cluster));
    let directory = tempfile::tempdir().expect("a directory");
    let token = cluster.admin_token();
    let kubeconfig = cluster.kubeconfig(directory.path(), token, "default", None);
    let early = crate::program::Operator::new(directory.path())
        .flag("kubeconfig", &kubeconfig.display().to_string())
        .flag("health-probe-bind-address", "0");
    let mut early = early.start();
    early.until_it_says("cannot be watched").await;
    define(cluster).await;
    early.until_it_says("looking after").await;
    drop(early);
    let one = Bench::on(cluster, Version::V0_28).await;
    let two = Bench::on(cluster, Version::V0_30).await;
    let operator = one
        .operator()
        .flag("kubeconfig", &one.admin_kubeconfig())
        .without("namespace")
        .also("resolve", &two.resolve());
    in_both([&one, &two], &operator).await;
}
