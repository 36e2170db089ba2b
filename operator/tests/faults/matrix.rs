//! Each fault, on each side, while a user is made, one is deleted, and a key is made, replaced and
//! deleted: afterwards everything is as without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::PreAuthKey;
use headscale_faults::{Answer, Fault, RequestInfo};
use headscale_standin::Version;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::bench::Bench;
use crate::program::{PATIENCE, Running};
use crate::world;

/// For how long a fault is in force, at least.
const WINDOW: Duration = Duration::from_millis(1200);
/// How many requests are no loop without pauses: of those that meet the fault, and of all others in
/// that time, a second each.
const CALM: (usize, usize) = (100, 150);

/// So many rows are run at a time: most of a row is waiting.
const AT_A_TIME: usize = 5;

/// What a fault is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Requests to the API server about the objects that are changed.
    Kubernetes,
    /// Watches.
    Watches,
    /// Requests to Headscale, the first of which are lists.
    Headscale,
    /// Of the calls of Headscale that change something, the first ones of each kind.
    HeadscaleWrites,
}

/// A row of the matrix.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    side: Side,
    fault: fn() -> Fault,
    /// How many requests meet it, at most; of each kind where it is about kinds.
    times: usize,
}

fn status(code: u16, reason: &str, headers: Vec<(&'static str, String)>) -> Fault {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "harm", "reason": reason, "code": code,
    });
    let json = ("content-type", "application/json".to_owned());
    let headers = headers.into_iter().chain([json]).collect();
    Fault::Answer(Answer { status: code, headers, body: body.to_string() })
}

fn retry_after() -> Fault {
    status(429, "TooManyRequests", vec![("retry-after", "1".to_owned())])
}

/// The version from which it is watched is not known any more.
pub(crate) fn expired() -> Fault {
    let event = json!({
        "type": "ERROR",
        "object": {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410,
        },
    });
    let headers = vec![("content-type", "application/json".to_owned())];
    Fault::Answer(Answer { status: 200, headers, body: format!("{event}\n") })
}

const EVERY: usize = usize::MAX;

const ROWS: [Row; 31] = [
    Row {
        name: "409",
        side: Side::Kubernetes,
        fault: || status(409, "Conflict", vec![]),
        times: EVERY,
    },
    Row { name: "429", side: Side::Kubernetes, fault: retry_after, times: EVERY },
    Row {
        name: "500",
        side: Side::Kubernetes,
        fault: || status(500, "InternalError", vec![]),
        times: EVERY,
    },
    Row { name: "503", side: Side::Kubernetes, fault: || Fault::Status(503), times: EVERY },
    // Longer than it is waited for.
    Row {
        name: "timeout",
        side: Side::Kubernetes,
        fault: || Fault::Delay(Duration::from_secs(40)),
        times: 8,
    },
    Row { name: "cut", side: Side::Kubernetes, fault: || Fault::DropBefore, times: EVERY },
    Row {
        name: "cut amid the answer",
        side: Side::Kubernetes,
        fault: || Fault::Truncate,
        times: 12,
    },
    Row { name: "answer lost", side: Side::Kubernetes, fault: || Fault::DropAfter, times: EVERY },
    Row {
        name: "late",
        side: Side::Kubernetes,
        fault: || Fault::LateAfter(Duration::from_millis(250)),
        times: EVERY,
    },
    Row { name: "expired", side: Side::Watches, fault: expired, times: EVERY },
    Row {
        name: "410",
        side: Side::Watches,
        fault: || status(410, "Expired", vec![]),
        times: EVERY,
    },
    Row { name: "503", side: Side::Watches, fault: || Fault::Status(503), times: EVERY },
    Row { name: "dropped", side: Side::Watches, fault: || Fault::DropAfter, times: EVERY },
    Row { name: "409", side: Side::Headscale, fault: || Fault::Status(409), times: EVERY },
    Row { name: "429", side: Side::Headscale, fault: retry_after, times: EVERY },
    Row { name: "500", side: Side::Headscale, fault: || Fault::Status(500), times: EVERY },
    Row { name: "503", side: Side::Headscale, fault: || Fault::Status(503), times: EVERY },
    Row {
        name: "timeout",
        side: Side::Headscale,
        fault: || Fault::Delay(Duration::from_secs(40)),
        times: 8,
    },
    Row { name: "cut", side: Side::Headscale, fault: || Fault::DropBefore, times: EVERY },
    Row {
        name: "cut amid the answer",
        side: Side::Headscale,
        fault: || Fault::Truncate,
        times: 12,
    },
    Row { name: "answer lost", side: Side::Headscale, fault: || Fault::DropAfter, times: EVERY },
    Row {
        name: "late",
        side: Side::Headscale,
        fault: || Fault::LateAfter(Duration::from_millis(250)),
        times: EVERY,
    },
    Row { name: "409", side: Side::HeadscaleWrites, fault: || Fault::Status(409), times: 2 },
    Row { name: "500", side: Side::HeadscaleWrites, fault: || Fault::Status(500), times: 2 },
    Row { name: "503", side: Side::HeadscaleWrites, fault: || Fault::Status(503), times: 2 },
    Row {
        name: "timeout",
        side: Side::HeadscaleWrites,
        fault: || Fault::Delay(Duration::from_secs(40)),
        times: 1,
    },
    Row { name: "cut", side: Side::HeadscaleWrites, fault: || Fault::DropBefore, times: 2 },
    Row {
        name: "cut amid the answer",
        side: Side::HeadscaleWrites,
        fault: || Fault::Truncate,
        times: 2,
    },
    Row { name: "answer lost", side: Side::HeadscaleWrites, fault: || Fault::DropAfter, times: 2 },
    Row {
        name: "late",
        side: Side::HeadscaleWrites,
        fault: || Fault::LateAfter(Duration::from_millis(250)),
        times: 2,
    },
    // As of a proxy that has a cache. It says that what was there is not.
    Row {
        name: "stale list",
        side: Side::Headscale,
        fault: || {
            let headers = vec![("content-type", "application/json".to_owned())];
            let body = json!({ "users": [], "preAuthKeys": [] }).to_string();
            Fault::Answer(Answer { status: 200, headers, body })
        },
        times: 1,
    },
];

impl Row {
    /// Whether the request is one that meets the fault.
    fn is_for(&self, proxied: &str, request: &RequestInfo) -> bool {
        let is_watch = request.path.contains("watch=");
        match self.side {
            Side::Headscale if request.listener != proxied => false,
            Side::Headscale => self.name != "stale list" || request.method == "GET",
            Side::HeadscaleWrites => request.listener == proxied && request.method != "GET",
            _ if request.listener == proxied => false,
            Side::Watches => is_watch,
            // The bystanders are others, and no new Secret is made for them.
            Side::Kubernetes => {
                let is_new = request.method == "POST" && request.path.contains("/secrets");
                !is_watch && (is_new || request.path.contains("/hit-"))
            }
        }
    }
}

impl Row {
    /// What kind of request it is, of which so many meet the fault.
    fn kind(&self, request: &RequestInfo) -> String {
        if self.side != Side::HeadscaleWrites && self.name != "stale list" {
            return String::new();
        }
        let path: String = request.path.chars().filter(|it| !it.is_ascii_digit()).collect();
        let path = path.split('?').next().unwrap_or_default();
        format!("{} {path}", request.method)
    }
}

/// What a run of a row found out.
struct Found {
    met: usize,
    others: usize,
    window: Duration,
    took: Duration,
}

/// Keys with which nodes are let in and that neither a Secret nor what is written in one names.
async fn unnamed(bench: &Bench, keys: &[PreAuthKey]) -> Vec<u64> {
    let secrets: Api<Secret> = bench.api();
    let secrets = secrets.list(&ListParams::default()).await.expect("Secrets").items;
    let mut named = String::new();
    for secret in secrets {
        for (_, value) in secret.data.clone().unwrap_or_default() {
            named.push_str(&String::from_utf8_lossy(&value.0));
        }
        for value in secret.annotations().values() {
            named.push_str(value);
        }
    }
    let is_named = |key: &&PreAuthKey| {
        let prefix = key.prefix.as_ref().is_some_and(|prefix| named.contains(prefix.as_str()));
        prefix || key.expiration.is_some_and(|until| named.contains(&until.to_string()))
    };
    keys.iter().filter(|key| !is_named(key)).map(|key| key.id).collect()
}

async fn run(row: Row, version: Version) -> Option<Found> {
    let bench = Bench::new(version).await?;
    // Headscale that is past the proxy, for those that must not notice anything.
    let direct = bench.headscale.address().expect("it listens");
    let past = format!("past.{}.svc={direct}", bench.namespace);
    bench.make_headscale("past").await;
    bench.put_api_key("past").await;
    let mut running = bench
        .operator()
        .flag("in-flight", "600ms")
        .flag("check-interval", "300ms")
        .flag("resync", "1s")
        .also("resolve", &past)
        .start();
    for name in ["owner", "hit-gone"] {
        bench.make_user(name, json!({})).await;
    }
    for name in ["hit-turned", "hit-ended"] {
        bench.make_key(name, json!({ "headscaleUserRef": "owner" })).await;
    }
    bench.make_key("by", json!({ "headscaleRef": "past", "tags": ["tag:a"] })).await;
    running
        .until("ready", async || {
            bench.is_user_ready("hit-gone").await
                && bench.is_key_ready("hit-turned").await
                && bench.is_key_ready("hit-ended").await
                && bench.is_key_ready("by").await
        })
        .await;
    let before = bench.text("by").await;

    bench.proxy.reset();
    if row.side == Side::Watches {
        // Those that are open would go on.
        bench.proxy.refuse(true);
    }
    let (met, is_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let (proxied, counted, rule) = (bench.proxied.clone(), Arc::clone(&met), Arc::clone(&is_on));
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    bench.proxy.faults(move |request| {
        if !rule.load(Ordering::SeqCst) || !row.is_for(&proxied, request) {
            return None;
        }
        let kind = row.kind(request);
        let of_kind = kinds.entry(kind).or_default();
        *of_kind += 1;
        (*of_kind <= row.times).then(|| {
            counted.fetch_add(1, Ordering::SeqCst);
            (row.fault)()
        })
    });
    bench.proxy.refuse(false);
    let began = Instant::now();
    bench.make_user("hit-made", json!({})).await;
    bench.delete::<HeadscaleUser>("hit-gone").await;
    bench.make_key("hit-new", json!({ "headscaleUserRef": "owner" })).await;
    let ephemeral = json!({ "spec": { "ephemeral": true } });
    bench.patch::<HeadscalePreAuthKey>("hit-turned", ephemeral.clone()).await;
    bench.delete::<HeadscalePreAuthKey>("hit-ended").await;
    bench.make_user("bystander", json!({ "headscaleRef": "past" })).await;
    bench.patch::<HeadscalePreAuthKey>("by", ephemeral).await;
    let most_unnamed = Mutex::new(0);
    let sample = async || {
        let keys = bench.working().await;
        let unnamed = unnamed(&bench, &keys).await.len();
        let mut most = most_unnamed.lock().expect("not poisoned");
        *most = unnamed.max(*most);
    };
    running
        .until(&format!("{row} is over: others go on", row = row.name), async || {
            sample().await;
            let others = row.side == Side::Watches
                || (bench.is_user_ready("bystander").await
                    && bench.is_key_ready("by").await
                    && bench.text("by").await != before);
            others && met.load(Ordering::SeqCst) > 0 && began.elapsed() >= WINDOW
        })
        .await;
    // Where it is about kinds, each of them is to meet it, and then it is over.
    is_on.store(row.side == Side::HeadscaleWrites, Ordering::SeqCst);
    let (window, requests) = (began.elapsed(), bench.proxy.requests().len());
    let in_window = met.load(Ordering::SeqCst);

    converged(&bench, &mut running, row.name, sample).await;
    let took = began.elapsed();
    let most = *most_unnamed.lock().expect("not poisoned");
    // One of each object that is hit.
    assert!(most <= 3, "{most} keys that nothing names");
    world::is_quiet(&bench, &mut running, world::LOOKS).await;
    bench.tells_no_secret().await;
    let met = met.load(Ordering::SeqCst);
    Some(Found { met, others: requests.saturating_sub(in_window), window, took })
}

/// Waits for what would be there without the fault, and that nothing else is.
async fn converged(bench: &Bench, running: &mut Running, row: &str, sample: impl AsyncFn()) {
    let users = ["owner", "hit-made", "bystander"];
    let keys = ["hit-new", "hit-turned", "by"];
    let deadline = Instant::now() + PATIENCE;
    loop {
        sample().await;
        let wrong = world::differences(bench, &users, &keys).await;
        if wrong.is_empty() {
            break;
        }
        let log = || running.log();
        assert!(Instant::now() < deadline, "{row}: {wrong:#?}\n{}", log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let names: Vec<String> = bench.users().await.into_iter().map(|user| user.name).collect();
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
}

/// Runs all rows of a side, some at a time.
async fn matrix(side: Side) {
    let rows: Vec<Row> = ROWS.into_iter().filter(|row| row.side == side).collect();
    let versions = [Version::V0_29, Version::V0_30];
    let rows = rows.into_iter().zip(versions.into_iter().cycle());
    let running = rows.map(|(row, version)| async move { (row, run(row, version).await) });
    let mut running = stream::iter(running).buffer_unordered(AT_A_TIME);
    while let Some((row, found)) = running.next().await {
        let Some(Found { met, others, window, took }) = found else { return };
        println!(
            "{side:?} {}: {met} requests met it and {others} did not within {window:?}; all was as \
             it should be after {took:?}",
            row.name
        );
        let seconds = usize::try_from(window.as_secs()).expect("few") + 1;
        assert!(met <= CALM.0 * seconds, "{}: {met} requests in {window:?}", row.name);
        assert!(others <= CALM.1 * seconds, "{}: {others} requests in {window:?}", row.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_does_to_a_request_changes_nothing_in_the_end() {
    matrix(Side::Kubernetes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_watches_changes_nothing_in_the_end() {
    matrix(Side::Watches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_headscale_does_to_a_call_that_changes_something_changes_nothing_else_in_the_end() {
    matrix(Side::HeadscaleWrites).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_headscale_does_to_a_request_changes_nothing_in_the_end() {
    matrix(Side::Headscale).await;
}
