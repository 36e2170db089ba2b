//! Two sidecars on one Secret, and one that is stopped in the middle and goes on too late.

use std::sync::{Arc, OnceLock};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::Way;
use crate::faulty::{Faulty, Watcher};

/// The classic of a leader that was paused: stopped at its n-th request, it goes on with the answer
/// when another one has long taken over.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_at_any_request_does_no_harm_when_it_goes_on() {
    let Some(faulty) = Faulty::new(Way::Grpc).await else { return };
    faulty.bench.settle().await;
    let watcher = Watcher::over(&faulty.bench);
    for n in 1..40 {
        let hours = 2160 + 2 * n;
        let flags = |longer: usize| {
            let hours = hours + longer;
            [("expiration", format!("{}h", hours + 1)), ("rotation-buffer", format!("{hours}h30m"))]
        };
        let process: Arc<OnceLock<Pid>> = Arc::default();
        let stopped = Arc::clone(&process);
        faulty.proxy.reset();
        faulty.proxy.faults(move |request| {
            if request.n == n {
                kill_process(*stopped.wait(), Signal::STOP).expect("it is running");
            }
            None
        });
        let mut first = faulty.sidecar().arg("--once").flag("pod-name", "headscale-0");
        for (name, value) in flags(0) {
            first = first.flag(name, &value);
        }
        let mut first = first.start();
        let id = i32::try_from(first.pid()).expect("a number");
        process.set(Pid::from_raw(id).expect("not zero")).expect("set once");
        let reached = tokio::select! {
            () = faulty.proxy.arrived(n) => true,
            _ = first.ended() => faulty.proxy.requests().len() >= n,
        };
        if !reached {
            println!("stopped at each of {} requests", n - 1);
            assert!(n > 9, "a rotation takes more than {} requests", n - 1);
            break;
        }
        // The other one is not behind the proxy, and finds a key that is due for it.
        let before = faulty.bench.key().await.expect("a key");
        let mut second = faulty
            .bench
            .sidecar()
            .flag("grace", "0")
            .flag("send-deadline", "1s")
            .flag("in-flight", "200ms")
            .flag("pod-name", "headscale-1")
            .arg("--once");
        for (name, value) in flags(1) {
            second = second.flag(name, &value);
        }
        let mut second = second.start();
        let status = second.ended().await;
        let told = || {
            let requests = faulty.bench.headscale.requests();
            let last = requests.len().saturating_sub(30);
            format!("{n}: {}\n{}\n{:?}", second.log(), first.log(), &requests[last..])
        };
        assert!(status.success(), "{}", told());
        let after = faulty.bench.key().await.expect("a key");
        assert_ne!(before.prefix(), after.prefix(), "the other one took over");
        first.signal(Signal::CONT);
        let status = first.ended().await;
        assert!(status.success(), "{}", first.log());
        faulty.bench.settle().await;
        faulty.bench.is_at_rest().await;
    }
    watcher.saw_nothing_wrong().await;
    faulty.bench.tells_no_secret().await;
}

/// Two that rotate all the time: they come forward, and leave nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_leave_one_key() {
    let Some(faulty) = Faulty::new(Way::Http).await else { return };
    let bench = &faulty.bench;
    let sidecar = |name: &str| {
        bench
            .sidecar()
            .flag("pod-name", name)
            .flag("grace", "0")
            .flag("send-deadline", "1s")
            .flag("in-flight", "200ms")
            .flag("rotation-buffer", "2159h59m59.7s")
            .start()
    };
    let watcher = Watcher::over(bench);
    let mut both = [sidecar("headscale-0"), sidecar("headscale-1")];
    let mut seen = std::collections::BTreeSet::new();
    let mut turn = 0;
    while seen.len() < 12 {
        let known = seen.len();
        both[turn % 2]
            .until("there is another key", async || {
                seen.extend(bench.key().await.map(|key| key.prefix().clone()));
                seen.len() > known
            })
            .await;
        // Each is stopped for as long as the other needs for a key.
        both[turn % 2].signal(Signal::STOP);
        turn += 1;
        both[turn % 2].signal(Signal::CONT);
    }
    drop(both);
    bench.settle().await;
    bench.is_at_rest().await;
    watcher.saw_nothing_wrong().await;
    bench.tells_no_secret().await;
}
