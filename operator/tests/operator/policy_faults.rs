//! Policies and approvers while Headscale is away, changed by others, or the operator is killed.

use headscale_api::kinds::{Headscale, HeadscaleAutoApprover, HeadscalePolicy};
use headscale_client::HeadscaleApi as _;
use headscale_standin::Version;
use serde_json::json;

use crate::bench::HEADSCALE;
use crate::kill::{killed_at, settle};
use crate::policies::{
    approver, bench, event, has, is_applied, make_approver, make_policy, policy, ports, ready,
    ready_approver, status, text,
};

const FORCE: &str = "headscale.infrado.cloud/force-delete";
/// No run takes so many writes.
const MANY: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_sets_is_replaced_and_told() {
    let Some(bench) = bench(Version::V0_29).await else { return };
    let mut running = bench.operator().start();
    let declared = ports("22");
    make_policy(&bench, "p", json!({ "inline": declared })).await;
    running.until("applied", async || is_applied(&bench, "p", &declared).await).await;
    let before = status(&bench, "p").await;
    bench.http.set_policy(&ports("22,80")).await.expect("set");
    running.until("repaired", async || has(&bench, &declared).await).await;
    running.until("told", async || event(&bench, "PolicyRepaired").await.is_some()).await;
    let note = event(&bench, "PolicyRepaired").await.expect("an Event");
    assert!(note.contains("reachability grows"), "{note}");
    assert_eq!(status(&bench, "p").await, before, "the declared policy did not change");
    // Its layout is nobody's business.
    let same = declared.replace('\t', "  ");
    bench.http.set_policy(&same).await.expect("set");
    bench.proxy.reset();
    let asked = async || {
        let requests = bench.proxy.requests();
        requests.iter().filter(|it| it.path == "/api/v1/policy").count() > 4
    };
    running.until("looked at again", asked).await;
    assert!(has(&bench, &same).await);
    assert_eq!(bench.writes(), Vec::<String>::new());
    // The database is lost.
    let key = bench.key.expose().to_owned();
    bench.headscale.wipe();
    bench.headscale.plant_api_key(&key, None);
    running.until("given again", async || has(&bench, &declared).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_moves_is_new_to_its_new_headscale() {
    let Some(bench) = bench(Version::V0_29).await else { return };
    let declared = ports("22");
    make_policy(&bench, "p", json!({ "inline": declared })).await;
    let mut running = bench.operator().start();
    running.until("applied", async || is_applied(&bench, "p", &declared).await).await;
    drop(running);
    // Both names lead to one server, which has another policy by then.
    let other = "other";
    bench.make_headscale(other).await;
    bench.put_api_key(other).await;
    let config = json!({ "policy": { "mode": "database" } });
    bench.patch::<Headscale>(other, json!({ "spec": { "config": config } })).await;
    bench.http.set_policy("{\"acls\": []}").await.expect("set");
    bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "headscaleRef": other } })).await;
    let resolve = bench.resolve().replacen(HEADSCALE, other, 1);
    let mut running = bench.operator().also("resolve", &resolve).start();
    running.until("applied", async || is_applied(&bench, "p", &declared).await).await;
    assert_eq!(status(&bench, "p").await.reachability.expect("a change").verdict, "grows");
    assert_eq!(event(&bench, "PolicyRepaired").await, None, "nobody else did it");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_keeps_a_deleted_policy_or_approver_for_ever() {
    let Some(bench) = bench(Version::V0_30).await else { return };
    let mut running = bench.operator().flag("deletion-patience", "1s").start();
    let declared = ports("22");
    make_policy(&bench, "p", json!({ "inline": declared })).await;
    for name in ["away", "forced", "last"] {
        make_approver(&bench, name, json!({ "exitNodeTags": ["tag:router"] })).await;
        running.until("ready", async || ready_approver(&bench, name).await.0 == "True").await;
    }
    running.until("applied", async || ready(&bench, "p").await.0 == "True").await;
    bench.cut_headscale();
    // What was ready stays so: nothing else is known.
    bench
        .patch::<HeadscaleAutoApprover>(
            "forced",
            json!({ "metadata": { "annotations": { FORCE: "true" } } }),
        )
        .await;
    bench.delete::<HeadscaleAutoApprover>("forced").await;
    running.until("gone", async || approver(&bench, "forced").await.is_none()).await;
    bench.delete::<HeadscaleAutoApprover>("away").await;
    running.until("gone", async || approver(&bench, "away").await.is_none()).await;
    running.until("told", async || event(&bench, "PolicyOrphaned").await.is_some()).await;
    assert_eq!(ready(&bench, "p").await.0, "True");
    assert_eq!(ready_approver(&bench, "last").await.0, "True");
    // A change cannot be made now, and is made later.
    let changed = ports("443");
    bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": changed } })).await;
    running.until("told", async || ready(&bench, "p").await.1 == "PolicyPushFailed").await;
    bench.proxy.reset();
    running.until("applied", async || ready(&bench, "p").await.1 == "PolicyApplied").await;
    assert!(text(&bench).await.expect("a policy").contains("443"));
    // There is no Headscale any more.
    bench.delete::<Headscale>(HEADSCALE).await;
    running.until("told", async || ready(&bench, "p").await.1 == "HeadscaleNotFound").await;
    bench.delete::<HeadscaleAutoApprover>("last").await;
    bench.delete::<HeadscalePolicy>("p").await;
    running
        .until("gone", async || {
            approver(&bench, "last").await.is_none() && policy(&bench, "p").await.is_none()
        })
        .await;
}

/// Changes a policy and an approver to and fro, and kills at each write.
async fn kill_at_each_write(version: Version, is_done: bool) {
    let Some(bench) = bench(version).await else { return };
    let (small, large) = (ports("22"), ports("22,80"));
    make_policy(&bench, "p", json!({ "inline": small })).await;
    settle(&bench, async || is_applied(&bench, "p", &small).await).await;
    for n in 1..MANY {
        let mut reached = false;
        for (text, verdict) in [(&large, "grows"), (&small, "shrinks")] {
            bench.patch::<HeadscalePolicy>("p", json!({ "spec": { "inline": text } })).await;
            let applied = async || is_applied(&bench, "p", text).await;
            reached |= killed_at(&bench, n, is_done, applied).await;
            settle(&bench, applied).await;
            let status = status(&bench, "p").await;
            let change = status.reachability.expect("it is not lost");
            assert_eq!(change.verdict, verdict, "{n}");
            let rows = if verdict == "grows" { change.added } else { change.removed };
            assert_eq!(rows[0].ports.as_deref(), Some("80"), "{n}");
        }
        make_approver(&bench, "a", json!({ "exitNodeTags": ["tag:router"] })).await;
        let approved = async || ready_approver(&bench, "a").await.0 == "True";
        reached |= killed_at(&bench, n, is_done, approved).await;
        settle(&bench, approved).await;
        assert!(text(&bench).await.expect("a policy").contains("exitNode"));
        bench.delete::<HeadscaleAutoApprover>("a").await;
        let gone =
            async || approver(&bench, "a").await.is_none() && is_applied(&bench, "p", &small).await;
        reached |= killed_at(&bench, n, is_done, gone).await;
        settle(&bench, gone).await;
        if !reached {
            println!("a change takes less than {n} writes at a time");
            assert!(n > 3, "it takes more than {n} writes");
            bench.tells_no_secret().await;
            return;
        }
    }
    panic!("it never comes to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_survives_a_kill_at_every_write() {
    tokio::join!(
        kill_at_each_write(Version::V0_28, false),
        kill_at_each_write(Version::V0_30, true),
    );
}
