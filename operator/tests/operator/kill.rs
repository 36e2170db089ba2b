//! Killed at every write: before it is done, and after it, with the answer lost.

use std::sync::{Arc, OnceLock};

use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use headscale_faults::Fault;
use headscale_standin::Version;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::bench::Bench;
use crate::program::Operator;

/// No run takes so many writes.
pub(crate) const MANY: usize = 30;

/// One that waits for no longer than these tests need for requests that may still come: what was
/// sent before a kill arrives within that on a machine that is busy too, or it would be a key that
/// nobody knows of.
fn operator(bench: &Bench) -> Operator {
    bench.operator().flag("send-deadline", "500ms").flag("in-flight", "500ms")
}

/// As [`killed_while`], with the operator of these tests.
pub(crate) async fn killed_at(
    bench: &Bench,
    n: usize,
    is_done: bool,
    holds: impl AsyncFnMut() -> bool,
) -> bool {
    killed_while(bench, operator(bench), n, is_done, holds).await
}

/// Runs an operator until `holds`, and kills it at its `n`-th write; gives whether it came to it.
pub(crate) async fn killed_while(
    bench: &Bench,
    operator: Operator,
    n: usize,
    is_done: bool,
    mut holds: impl AsyncFnMut() -> bool,
) -> bool {
    let process: Arc<OnceLock<Pid>> = Arc::default();
    let victim = Arc::clone(&process);
    bench.proxy.reset();
    let mut writes = 0;
    bench.proxy.faults(move |request| {
        if request.method == "GET" || request.path.contains("/events") {
            return None;
        }
        writes += 1;
        if writes != n {
            return None;
        }
        kill_process(*victim.wait(), Signal::KILL).expect("it is running");
        (!is_done).then_some(Fault::DropBefore)
    });
    let mut running = operator.start();
    process.set(running.pid()).expect("set once");
    let deadline = std::time::Instant::now() + crate::program::PATIENCE;
    loop {
        if running.status().is_some() {
            bench.proxy.reset();
            return true;
        }
        if holds().await {
            // Its last write may be the one, with what is waited for done before.
            let reached = bench.writes().len() >= n;
            drop(running);
            bench.proxy.reset();
            return reached;
        }
        assert!(std::time::Instant::now() < deadline, "{n}: {}", running.log());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Runs the operator until `holds`.
pub(crate) async fn settle(bench: &Bench, holds: impl AsyncFnMut() -> bool) {
    bench.proxy.reset();
    operator(bench).start().until("settled", holds).await;
}

/// That there is one key that works, the one in the Secret, and none that is not known of.
async fn is_sound(bench: &Bench, secret: &str) {
    let working = bench.working().await;
    let text = bench.text(secret).await.expect("a key");
    assert_eq!(working.len(), 1, "one key works: {working:?}");
    let prefix = working[0].prefix.as_ref().expect("a prefix").as_str();
    assert!(text.contains(prefix), "it is the one in the Secret");
    assert_eq!(bench.keys().await.len(), 1, "no other was left behind");
}

async fn is_settled(bench: &Bench, name: &str) -> bool {
    let (status, _, message) = bench.ready_key(name).await;
    // A key that is not the wanted one works until the next is made, and is ready so far.
    let is_last = status == "True" && !message.contains("about to be replaced");
    is_last && bench.keys().await.len() == 1
}

/// Kills at each write, before or after it.
async fn kill_at_each_write_of_a_key(version: Version, is_done: bool) {
    let Some(bench) = Bench::new(version).await else { return };
    for n in 1..MANY {
        // Made, moved and changed at once, and deleted: each at the same write.
        bench.make_key("k", json!({ "tags": ["tag:a"] })).await;
        let made = async || is_settled(&bench, "k").await;
        let mut reached = killed_at(&bench, n, is_done, made).await;
        settle(&bench, made).await;
        is_sound(&bench, "k").await;

        let changed = json!({ "spec": { "secretName": "moved", "ephemeral": true } });
        bench.patch::<HeadscalePreAuthKey>("k", changed).await;
        let moved = async || is_settled(&bench, "k").await && bench.secret("k").await.is_none();
        reached |= killed_at(&bench, n, is_done, moved).await;
        settle(&bench, moved).await;
        is_sound(&bench, "moved").await;

        bench.delete::<HeadscalePreAuthKey>("k").await;
        let gone = async || bench.pre_auth_key("k").await.is_none();
        reached |= killed_at(&bench, n, is_done, gone).await;
        settle(&bench, gone).await;
        assert!(bench.keys().await.is_empty(), "nothing had joined with it");
        assert!(bench.secret("moved").await.is_none() && bench.secret("k").await.is_none());
        if !reached {
            println!("a life takes less than {n} writes at a time");
            assert!(n > 7, "it takes more than {n} writes");
            bench.tells_no_secret().await;
            return;
        }
    }
    panic!("it never comes to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_survives_a_kill_at_every_write_of_its_life() {
    tokio::join!(
        kill_at_each_write_of_a_key(Version::V0_29, false),
        kill_at_each_write_of_a_key(Version::V0_30, true),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_survives_a_kill_at_every_write_of_its_life() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    for n in 1..MANY {
        let mut reached = false;
        for is_done in [false, true] {
            bench.make_user("u", json!({})).await;
            let ready = async || bench.is_user_ready("u").await;
            reached |= killed_at(&bench, n, is_done, ready).await;
            settle(&bench, ready).await;
            let users = bench.users().await;
            assert_eq!(users.len(), 1);
            let status = bench.user("u").await.and_then(|user| user.status).expect("a status");
            assert_eq!(status.user_id, Some(users[0].id.to_string()));

            bench.delete::<HeadscaleUser>("u").await;
            let gone = async || bench.user("u").await.is_none();
            reached |= killed_at(&bench, n, is_done, gone).await;
            settle(&bench, gone).await;
            assert!(bench.users().await.is_empty());
        }
        if !reached {
            println!("a life takes less than {n} writes at a time");
            assert!(n > 3, "it takes more than {n} writes");
            return;
        }
    }
    panic!("it never comes to an end");
}

/// Makes and deletes a key for each fault, which one in three requests meets.
async fn make_keys_through(faults: [fn() -> Fault; 3]) {
    let Some(bench) = Bench::new(Version::V0_28).await else { return };
    for (number, fault) in faults.into_iter().enumerate() {
        // Not the watches, which have no end.
        bench.proxy.reset();
        let mut requests = 0;
        bench.proxy.faults(move |request| {
            if request.path.contains("watch=") || request.path.contains("/events") {
                return None;
            }
            requests += 1;
            (requests % 3 == number % 3 && requests < 24).then(fault)
        });
        let name = format!("k{number}");
        bench.make_key(&name, json!({ "tags": ["tag:a"] })).await;
        let mut running = operator(&bench).start();
        running.until("settled", async || is_settled(&bench, &name).await).await;
        is_sound(&bench, &name).await;
        bench.delete::<HeadscalePreAuthKey>(&name).await;
        running.until("gone", async || bench.pre_auth_key(&name).await.is_none()).await;
        assert!(bench.keys().await.is_empty());
    }
    bench.tells_no_secret().await;
}

/// The connection is lost, a server is busy, somebody writes in between, a request is late.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_through_many_faults_on_both_sides() {
    let late = || Fault::LateAfter(std::time::Duration::from_millis(30));
    tokio::join!(
        make_keys_through([|| Fault::DropBefore, || Fault::DropAfter, || Fault::Truncate]),
        make_keys_through([|| Fault::Status(409), || Fault::Status(503), late]),
    );
}
