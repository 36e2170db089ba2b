//! Several operators, and one after another.

use std::time::{Duration, Instant};

use headscale_api::kinds::HeadscaleUser;
use headscale_faults::Fault;
use headscale_standin::Version;
use k8s_openapi::api::coordination::v1::Lease;
use rustix::process::Signal;
use serde_json::json;

use crate::bench::Bench;
use crate::program::{Operator, Running};
use crate::world;

const LEASE: &str = "a4b8d1f0.infrado.cloud";
/// How long a Lease lasts that nobody renews.
const LASTS: Duration = Duration::from_secs(15);

async fn holder(bench: &Bench) -> String {
    let lease: Option<Lease> = bench.api().get_opt(LEASE).await.expect("it can be read");
    lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default()
}

fn candidate(bench: &Bench, name: &str) -> Operator {
    bench.operator().flag("leader-elect", "true").flag("pod-name", name)
}

/// One at work that has made a user, and one that waits.
async fn two(bench: &Bench) -> (Running, Running) {
    let mut first = candidate(bench, "first").start();
    bench.make_user("before", json!({})).await;
    first.until("ready", async || bench.is_user_ready("before").await).await;
    let mut second = candidate(bench, "second").start();
    second.until_it_says("waiting for Lease").await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_graceful_stop_the_other_looks_at_once() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let (mut first, mut second) = two(&bench).await;
    bench.proxy.reset();
    let began = Instant::now();
    first.signal(Signal::TERM);
    bench.make_user("after", json!({})).await;
    second.until("ready", async || bench.is_user_ready("after").await).await;
    println!("a change was carried out {:?} after a graceful stop", began.elapsed());
    assert!(first.ended().await.success(), "{}", first.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_other_takes_over_once_the_lease_has_run_out() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let (first, mut second) = two(&bench).await;
    let began = Instant::now();
    first.signal(Signal::KILL);
    bench.make_user("after", json!({})).await;
    second.until("ready", async || bench.is_user_ready("after").await).await;
    let took = began.elapsed();
    println!("a change was carried out {took:?} after a kill");
    assert!(took < LASTS + Duration::from_secs(5), "{took:?}");
}

/// A leader that was stopped amid its work, such as by a machine that sleeps, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_up_after_another_took_over_writes_nothing() {
    let Some(bench) = Bench::new(Version::V0_29).await else { return };
    let (mut first, mut second) = two(&bench).await;
    // It has a lot to do when it is stopped: each of its writes fails, and is tried again.
    let is_hit = |path: &str| path.contains("/headscaleusers/busy-");
    bench.proxy.faults(move |request| is_hit(&request.path).then_some(Fault::Status(500)));
    for number in 0..20 {
        bench.make_user(&format!("busy-{number}"), json!({})).await;
    }
    first
        .until("it tries", async || {
            bench.proxy.requests().iter().filter(|request| is_hit(&request.path)).count() > 20
        })
        .await;
    first.signal(Signal::STOP);
    second.until("it took over", async || holder(&bench).await.starts_with("second_")).await;
    second.signal(Signal::STOP);
    // All that comes from now on is of the first one.
    bench.proxy.reset();
    first.signal(Signal::CONT);
    assert_eq!(first.ended().await.code(), Some(1), "{}", first.log());
    assert_eq!(bench.writes(), Vec::<String>::new(), "{}", first.log());
    second.signal(Signal::CONT);
    let users: Vec<String> =
        (0..20).map(|number| format!("busy-{number}")).chain(["before".to_owned()]).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    // That one may have been stopped for too long too.
    drop(second);
    bench.delete::<Lease>(LEASE).await;
    let mut third = candidate(&bench, "third").start();
    third.until("ready", async || world::differences(&bench, &users, &[]).await.is_empty()).await;
    bench.delete::<HeadscaleUser>("before").await;
    third.until("gone", async || bench.user("before").await.is_none()).await;
}

/// As in a cluster where somebody runs two without electing one.
#[tokio::test(flavor = "multi_thread")]
async fn two_that_work_at_once_and_are_killed_in_turn_leave_one_of_each() {
    let Some(bench) = Bench::new(Version::V0_30).await else { return };
    let names: Vec<String> = (0..12).map(|number| format!("n{number}")).collect();
    let mut running = [bench.operator().start(), bench.operator().start()];
    for (number, name) in names.iter().enumerate() {
        bench.make_user(name, json!({})).await;
        bench.make_key(name, json!({ "headscaleUserRef": name })).await;
        if number % 4 == 3 {
            let victim = number / 4 % 2;
            running[victim].signal(Signal::KILL);
            running[victim] = bench.operator().start();
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    running[0]
        .until("one of each", async || world::differences(&bench, &names, &names).await.is_empty())
        .await;
    assert_eq!(bench.keys().await.len(), names.len(), "no other was left behind");
    world::is_quiet(&bench, &mut running[1], world::LOOKS).await;
    bench.tells_no_secret().await;
}
