//! Killed at every request, before it is forwarded and after it was answered.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use headscale_faults::{Fault, When};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Running, Way};
use crate::faulty::{Faulty, Watcher};

/// No run takes so many requests.
const MANY: usize = 60;

/// Starts `sidecar` so that it is killed at its `n`-th request; gives whether it was.
async fn killed_at(faulty: &Faulty, n: usize, when: When, flags: &[(&str, String)]) -> bool {
    let process: Arc<OnceLock<Pid>> = Arc::default();
    let killed = Arc::clone(&process);
    faulty.proxy.reset();
    faulty.proxy.at(n, when, move |_| {
        kill_process(*killed.wait(), Signal::KILL).expect("it is running");
    });
    let mut sidecar = faulty.sidecar().arg("--once");
    for (name, value) in flags {
        sidecar = sidecar.flag(name, value);
    }
    let mut running = sidecar.start();
    process.set(pid(&running)).expect("set once");
    let status = running.ended().await;
    let reached = faulty.proxy.requests().len() >= n;
    assert_eq!(status.success(), !reached, "{n}, {when:?}: {status}: {}", running.log());
    reached
}

fn pid(running: &Running) -> Pid {
    Pid::from_raw(i32::try_from(running.pid()).expect("a number")).expect("not zero")
}

async fn first_key(way: Way) {
    let Some(faulty) = Faulty::new(way).await else { return };
    let mut kills = 0;
    for n in 1..MANY {
        for when in [When::Before, When::After] {
            faulty.bench.start_over().await;
            if !killed_at(&faulty, n, when, &[]).await {
                println!("{way:?}: a first key takes {} requests, {kills} kills", n - 1);
                faulty.bench.is_at_rest().await;
                faulty.bench.tells_no_secret().await;
                assert!(n > 6, "it takes more than {n} requests");
                return;
            }
            kills += 1;
            faulty.has_no_unnamed_orphan().await;
            faulty.bench.settle().await;
            faulty.bench.is_at_rest().await;
        }
    }
    panic!("it never ends by itself");
}

async fn rotation(way: Way) {
    let Some(faulty) = Faulty::new(way).await else { return };
    faulty.bench.settle().await;
    let watcher = Watcher::over(&faulty.bench);
    let mut kills = 0;
    for n in 1..MANY {
        for when in [When::Before, When::After] {
            // Longer than any key before lives, so that the one that there is is due, and the next
            // one is not.
            let hours = 2160 + kills;
            let flags = [
                ("expiration", format!("{}h", hours + 1)),
                ("rotation-buffer", format!("{hours}h30m")),
            ];
            let before = faulty.bench.key().await.expect("a key");
            if !killed_at(&faulty, n, when, &flags).await {
                println!("{way:?}: a rotation takes {} requests, {kills} kills", n - 1);
                let after = faulty.bench.key().await.expect("a key");
                assert_ne!(before.prefix(), after.prefix(), "it was rotated");
                faulty.bench.is_at_rest().await;
                watcher.saw_nothing_wrong().await;
                faulty.bench.tells_no_secret().await;
                assert!(n > 8, "it takes more than {n} requests");
                return;
            }
            kills += 1;
            faulty.has_no_unnamed_orphan().await;
            faulty.bench.settle().await;
            faulty.bench.is_at_rest().await;
        }
    }
    panic!("it never ends by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_key_over_the_grpc_socket_survives_a_kill_at_every_request() {
    first_key(Way::Grpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_key_over_the_http_socket_survives_a_kill_at_every_request() {
    first_key(Way::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_key_over_tcp_survives_a_kill_at_every_request() {
    first_key(Way::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_over_the_grpc_socket_survives_a_kill_at_every_request() {
    rotation(Way::Grpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_over_the_http_socket_survives_a_kill_at_every_request() {
    rotation(Way::Http).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_over_tcp_survives_a_kill_at_every_request() {
    rotation(Way::Tcp).await;
}

/// A request that is cut off and arrives later, when its sender has gone on without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_survives_that_any_request_is_lost_or_late() {
    let Some(faulty) = Faulty::new(Way::Grpc).await else { return };
    faulty.bench.settle().await;
    let watcher = Watcher::over(&faulty.bench);
    let faults: [fn() -> Fault; 5] = [
        || Fault::DropBefore,
        || Fault::DropAfter,
        || Fault::Truncate,
        || Fault::Status(503),
        || Fault::LateAfter(Duration::from_millis(100)),
    ];
    for n in 1..MANY {
        let mut reached = false;
        for (number, fault) in faults.iter().enumerate() {
            faulty.proxy.reset();
            faulty.proxy.fault_at(n, fault());
            let hours = 2160 + n * 10 + number;
            let old = faulty.bench.key().await.expect("a key");
            let mut running = faulty
                .sidecar()
                .flag("expiration", &format!("{}h", hours + 1))
                .flag("rotation-buffer", &format!("{hours}h30m"))
                .start();
            running
                .until("the key is another, and the old one gone", async || {
                    faulty.bench.key().await.is_some_and(|key| key.prefix() != old.prefix())
                        && !faulty.bench.headscale.authenticates(old.expose())
                })
                .await;
            reached |= faulty.proxy.requests().len() >= n;
            drop(running);
            faulty.bench.settle().await;
        }
        if !reached || n > 25 {
            faulty.bench.is_at_rest().await;
            watcher.saw_nothing_wrong().await;
            faulty.bench.tells_no_secret().await;
            return;
        }
    }
}
