//! Auth keys of nodes, through kills, lost answers and crowds.

use std::time::Duration;

use headscale_faults::Fault;
use headscale_standin::Version;
use serde_json::json;

use crate::bench::Bench;
use crate::kill::killed_while;
use crate::program::Operator;
use crate::reissue::prefix;
use crate::replica::{Replica, TEMPLATE, prepare};

/// No round takes so many writes.
const MANY: usize = 20;

fn operator(bench: &Bench) -> Operator {
    let operator = crate::reissue::operator(bench).flag("reissue-interval", "1ms");
    // As for keys that are not reissued: a busy machine takes its time.
    operator.flag("send-deadline", "500ms").flag("in-flight", "500ms")
}

/// That one key for nodes works at most, and it is the one in the config.
async fn is_sound(bench: &Bench, replica: &Replica<'_>) {
    let own = bench.text(TEMPLATE).await.unwrap_or_default();
    let working = bench.working().await.into_iter().filter(|key| !key.used);
    let working: Vec<_> = working.filter(|key| !own.contains(prefix(key))).collect();
    assert!(working.len() <= 1, "{working:?}");
    let key = replica.key().await.unwrap_or_default();
    assert!(working.iter().all(|it| key.contains(prefix(it))), "it is not in anybody's hands");
}

async fn kill_at_each_write(version: Version, is_done: bool) {
    let Some(bench) = Bench::new(version).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    running.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let key = replica.another(&mut running, None).await;
    let mut node = replica.settles(&mut running, &key).await;
    drop(running);
    for n in 1..MANY {
        // A round with the old node deleted, and one with it kept and retired.
        for is_alarm in [false, true] {
            if !is_alarm {
                replica.expires(node).await;
            }
            replica.write(json!({ "reissue_authkey": "" })).await;
            let answered = async || replica.key().await.is_some();
            let mut reached = killed_while(&bench, operator(&bench), n, is_done, answered).await;
            let mut running = operator(&bench).start();
            let key = replica.another(&mut running, None).await;
            drop(running);
            is_sound(&bench, &replica).await;
            assert_eq!(replica.has_node(node).await, is_alarm);
            replica.clears().await;
            let old = node;
            node = replica.enters(&key).await;
            let settled =
                async || replica.key().await.is_none() && replica.record().await.kept.is_none();
            reached |= killed_while(&bench, operator(&bench), n, is_done, settled).await;
            operator(&bench).start().until("settled", settled).await;
            is_sound(&bench, &replica).await;
            assert!(replica.has_node(node).await && !replica.has_node(old).await);
            if !reached {
                println!("a round takes less than {n} writes at a time");
                assert!(n > 4, "it takes more than {n} writes");
                bench.tells_no_secret().await;
                return;
            }
        }
    }
    panic!("it never comes to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reissue_survives_a_kill_at_every_write() {
    tokio::join!(
        kill_at_each_write(Version::V0_28, false),
        kill_at_each_write(Version::V0_29, true),
        kill_at_each_write(Version::V0_30, false),
    );
}

/// Each of the answers to a write is lost, late or no, once.
async fn reissue_through(version: Version, fault: fn() -> Fault) {
    let Some(bench) = Bench::new(version).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).start();
    running.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let key = replica.another(&mut running, None).await;
    let mut node = replica.settles(&mut running, &key).await;
    for n in 1..MANY {
        replica.expires(node).await;
        bench.proxy.reset();
        let mut writes = 0;
        bench.proxy.faults(move |request| {
            if request.method == "GET" || request.path.contains("/events") {
                return None;
            }
            writes += 1;
            (writes == n).then(fault)
        });
        replica.write(json!({ "reissue_authkey": "" })).await;
        let key = replica.another(&mut running, None).await;
        // What was late has come: the operator waited for it before it went on.
        is_sound(&bench, &replica).await;
        replica.clears().await;
        node = replica.settles(&mut running, &key).await;
        if bench.writes().len() < n {
            bench.tells_no_secret().await;
            return;
        }
    }
    panic!("it never comes to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reissue_survives_the_loss_of_every_answer() {
    tokio::join!(
        reissue_through(Version::V0_28, || Fault::DropAfter),
        reissue_through(Version::V0_29, || Fault::Truncate),
        reissue_through(Version::V0_30, || Fault::DropBefore),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reissue_survives_conflicts_refusals_and_late_requests() {
    tokio::join!(
        reissue_through(Version::V0_29, || Fault::Status(409)),
        reissue_through(Version::V0_30, || Fault::Status(503)),
        reissue_through(Version::V0_28, || Fault::LateAfter(Duration::from_millis(40))),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_write_fails_is_expired() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    prepare(&bench).await;
    let mut running = operator(&bench).flag("send-deadline", "10s").start();
    running.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let before = bench.keys().await.len();
    // The first write makes the Secret, the second has the key.
    let mut writes = 0;
    bench.proxy.faults(move |request| {
        let is_write = request.method != "GET" && request.path.contains("/secrets");
        writes += usize::from(is_write);
        (is_write && writes == 2).then_some(Fault::Status(422))
    });
    let key = replica.another(&mut running, None).await;
    let keys = bench.keys().await;
    assert_eq!(keys.len(), before + 2, "one whose write failed, and one that is written");
    let lost = keys.iter().find(|it| !key.contains(prefix(it)) && it.id > 1).expect("listed");
    assert!(lost.expiration.is_some_and(|until| until <= jiff::Timestamp::now()));
    is_sound(&bench, &replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_share_a_bucket_that_a_restart_does_not_fill() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    prepare(&bench).await;
    let slow = || operator(&bench).flag("reissue-interval", "1h").flag("send-deadline", "10s");
    let mut running = slow().start();
    let mut replicas = Vec::new();
    for number in 0..5 {
        replicas.push(Replica::new(&bench, &format!("proxy-{number}"), json!({})).await);
    }
    // One each, and no more.
    let mut keys = Vec::new();
    for replica in &replicas {
        keys.push(replica.another(&mut running, None).await);
    }
    for is_restarted in [false, true] {
        if is_restarted {
            drop(running);
            running = slow().start();
        }
        for (replica, key) in replicas.iter().zip(&keys) {
            replica.write(json!({ "reissue_authkey": key })).await;
            let told = async || replica.is_told("AuthKeyReissueRateLimited", "").await;
            running.until("told", told).await;
            replica.is_looked_at(&mut running).await;
            assert_eq!(replica.key().await.as_ref(), Some(key));
        }
    }
    assert_eq!(bench.working().await.len(), 6, "with that of the object itself");
    let before = bench.keys().await.len();
    // One more node has one more token, which whoever comes first takes.
    Replica::new(&bench, "proxy-5", json!({})).await;
    running.until("one more", async || bench.keys().await.len() > before).await;
    // As time goes by, all of them get another.
    drop(running);
    running = operator(&bench).flag("reissue-interval", "20ms").start();
    for (replica, key) in replicas.iter().zip(&keys) {
        replica.another(&mut running, Some(key)).await;
    }
    bench.tells_no_secret().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_once_make_no_key_too_many() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    prepare(&bench).await;
    let (mut one, mut two) = (operator(&bench).start(), operator(&bench).start());
    one.until("ready", async || bench.is_key_ready(TEMPLATE).await).await;
    let replica = Replica::new(&bench, "proxy-0", json!({})).await;
    let key = replica.another(&mut two, None).await;
    let mut node = replica.settles(&mut one, &key).await;
    for _ in 0..3 {
        replica.expires(node).await;
        replica.write(json!({ "reissue_authkey": "" })).await;
        let key = replica.another(&mut one, None).await;
        is_sound(&bench, &replica).await;
        replica.clears().await;
        node = replica.settles(&mut two, &key).await;
        is_sound(&bench, &replica).await;
    }
    bench.tells_no_secret().await;
}
