//! What the operator takes with many users and keys, and a Headscale that takes 150 ms for a call
//! with a key: `SIZE` of each (1,000). `HEADSCALE_OPERATOR` names the program that is measured, which
//! gets the environment of its image. With `COUNTED` set, a proxy counts its requests.

#![allow(missing_docs, reason = "a program has no interface")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a measurement fails by a panic, as a test does"
)]

#[allow(dead_code, reason = "each program uses a part of it")]
#[path = "../tests/operator/bench.rs"]
mod bench;
#[allow(dead_code, reason = "each program uses a part of it")]
#[path = "../tests/operator/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::{HeadscaleApi as _, UserFilter};
use headscale_controlplane::ControlPlane;
use headscale_standin::Version;
use kube::api::{Api, ListParams};
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::{Bench, HEADSCALE, define, said};
use crate::program::{Operator, Running};

/// What a call with a key takes in the real one, most of it for hashing the key.
const CALL: Duration = Duration::from_millis(150);
/// So many changes are timed.
const SAMPLES: usize = 100;
/// How long it is left alone.
const REST: Duration = Duration::from_secs(60);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// The image of the operator, which has variables of its environment.
const IMAGE: &str = include_str!("../../images/operator.Containerfile");

/// A process that is measured.
struct Measured {
    running: Running,
    metrics: String,
}

impl Measured {
    async fn start(operator: &Operator) -> Self {
        let mut running = operator.start();
        let metrics = running.address_of("/metrics").await;
        Self { running, metrics }
    }

    /// A line of `/proc/PID/status`, in KiB.
    fn memory(&self, name: &str) -> f64 {
        let pid = self.running.pid().as_raw_nonzero();
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        let size: f64 =
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a size");
        size / 1024.0
    }

    /// How long it has been on a processor.
    fn processor(&self) -> Duration {
        let pid = self.running.pid().as_raw_nonzero();
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let (_, rest) = text.rsplit_once(") ").expect("a name");
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks: u64 =
            fields[11].parse::<u64>().expect("ticks") + fields[12].parse::<u64>().expect("ticks");
        // Of 10 ms on all platforms that Linux has.
        Duration::from_millis(ticks * 10)
    }

    async fn writes(&self) -> u64 {
        let counters = counters(&self.metrics).await;
        counters.get("headscale_operator_writes_total").copied().unwrap_or(0)
    }

    async fn until(&mut self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "never {what}");
            assert!(self.running.status().is_none(), "it ended: {}", self.running.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The counters that are served at an address: by their names with labels, and summed up by names.
async fn counters(address: &str) -> BTreeMap<String, u64> {
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let mut counters = BTreeMap::new();
    for line in answer.lines().filter(|line| line.starts_with("headscale_operator_")) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<u64>() else { continue };
        let (family, labels) = name.split_once('{').unwrap_or((name, ""));
        *counters.entry(family.to_owned()).or_default() += value;
        if !labels.is_empty() {
            counters.insert(name.to_owned(), value);
        }
    }
    counters
}

/// How often objects of a kind were looked at and that went well, by these counters.
fn looked_at(counters: &BTreeMap<String, u64>, kind: &str) -> u64 {
    let name = format!("headscale_operator_reconciles_total{{kind=\"{kind}\",result=\"ok\"}}");
    counters.get(&name).copied().unwrap_or(0)
}

/// Whether anything was looked at by the one that serves its metrics at this address.
async fn has_looked(address: &str) -> bool {
    let counters = counters(address).await;
    ["HeadscaleUser", "HeadscalePreAuthKey"].iter().any(|kind| looked_at(&counters, kind) > 0)
}

/// How many objects are not ready.
async fn unready(bench: &Bench) -> usize {
    let users: Api<HeadscaleUser> = bench.api();
    let users = users.list(&ListParams::default()).await.expect("users").items;
    let keys: Api<HeadscalePreAuthKey> = bench.api();
    let keys = keys.list(&ListParams::default()).await.expect("keys").items;
    let is_ready = |conditions: Option<&[_]>, generation| {
        said(conditions.unwrap_or_default(), "Ready", generation).0 == "True"
    };
    let users = users.iter().filter(|user| {
        let conditions = user.status.as_ref().map(|status| &*status.conditions);
        !is_ready(conditions, user.metadata.generation)
    });
    let keys = keys.iter().filter(|key| {
        let conditions = key.status.as_ref().map(|status| &*status.conditions);
        !is_ready(conditions, key.metadata.generation)
    });
    users.count() + keys.count()
}

async fn has_user(bench: &Bench, name: &str) -> bool {
    let filter = UserFilter::Name(name.to_owned());
    bench.http.list_users(&filter).await.is_ok_and(|users| !users.is_empty())
}

#[tokio::main]
async fn main() {
    let size = std::env::var("SIZE").map_or(1000, |size| size.parse().expect("a number"));
    let is_counted = std::env::var_os("COUNTED").is_some();
    let Some(cluster) = ControlPlane::start().await else { return };
    let cluster: &'static ControlPlane = Box::leak(Box::new(cluster));
    define(cluster).await;
    let bench = Bench::tuned(cluster, Version::V0_29, |options| options.key_cost = CALL).await;
    let address = bench.headscale.address().expect("it listens");
    let direct = format!("{HEADSCALE}.{}.svc={address}", bench.namespace);
    let mut operator = bench.operator();
    for name in ["check-interval", "resync", "send-deadline", "in-flight", "log-level"] {
        // What it is installed with.
        operator = operator.without(name);
    }
    for variable in IMAGE.lines().filter_map(|line| line.strip_prefix("ENV ")) {
        let (name, value) = variable.split_once('=').expect("a variable");
        operator = operator.variable(name, value);
    }
    if !is_counted {
        let kubeconfig = bench.direct_kubeconfig();
        operator = operator.flag("kubeconfig", &kubeconfig).flag("resolve", &direct);
    }
    let operator =
        operator.flag("metrics-bind-address", "127.0.0.1:0").flag("leader-elect", "true");

    let mut first = Measured::start(&operator.clone().flag("pod-name", "first")).await;
    first.running.until_it_says("looking after").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("without objects: {:.1} MiB", first.memory("VmRSS"));

    bench.proxy.reset();
    let began = Instant::now();
    let numbers = stream::iter(0..size);
    let made = numbers.for_each_concurrent(16, |number| {
        let bench = &bench;
        async move {
            bench.make_user(&format!("u{number}"), json!({})).await;
            let spec = json!({ "headscaleUserRef": format!("u{number}"), "expiration": "24h" });
            bench.make_key(&format!("k{number}"), spec).await;
        }
    });
    made.await;
    println!("{size} users and {size} keys are applied in {:.1?}", began.elapsed());
    let mut asked_at = Instant::now();
    first
        .until("all ready", async || {
            if asked_at.elapsed() < Duration::from_secs(2) {
                return false;
            }
            let unready = unready(&bench).await;
            asked_at = Instant::now();
            unready == 0
        })
        .await;
    println!(
        "all are ready {:.1?} after the first was applied, {:.1?} of a processor; {:.1} MiB, {:.1} MiB at \
         most",
        began.elapsed(),
        first.processor(),
        first.memory("VmRSS"),
        first.memory("VmHWM"),
    );
    println!("{} writes, by the operator's count", first.writes().await);
    if is_counted {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for request in bench.proxy.requests() {
            let side = if request.listener == bench.proxied { "Headscale" } else { "API server" };
            let kind = if request.path.contains("/events") { "Event" } else { "" };
            *counts.entry(format!("{side} {} {kind}", request.method)).or_default() += 1;
        }
        println!("{counts:#?}");
        return;
    }

    // What is still on its way, such as a first look again.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (processor, writes) = (first.processor(), first.writes().await);
    let asked = bench.headscale.requests().len();
    tokio::time::sleep(REST).await;
    let share = (first.processor() - processor).as_secs_f64() / REST.as_secs_f64();
    println!(
        "left alone for {REST:?}: {:.2} % of a core, {} writes, {} calls of Headscale, {:.1} MiB",
        share * 100.0,
        first.writes().await - writes,
        bench.headscale.requests().len() - asked,
        first.memory("VmRSS"),
    );

    let mut times = Vec::new();
    for sample in 0..SAMPLES {
        let name = format!("sample{sample}");
        let began = Instant::now();
        bench.make_user(&name, json!({})).await;
        first.until("visible", async || has_user(&bench, &name).await).await;
        times.push(began.elapsed());
    }
    times.sort();
    println!(
        "a user is in Headscale {:.2?} after it is applied (median), {:.2?} at p99, {:.2?} at most",
        times[SAMPLES / 2],
        times[SAMPLES * 99 / 100 - 1],
        times[SAMPLES - 1],
    );

    let mut second = Measured::start(&operator.clone().flag("pod-name", "second")).await;
    second.running.until_it_says("waiting for Lease").await;
    let began = Instant::now();
    first.running.signal(Signal::TERM);
    let metrics = second.metrics.clone();
    second.until("a first look", async || has_looked(&metrics).await).await;
    println!("the next one looks at a first object {:.2?} after a graceful stop", began.elapsed());
    let all = u64::try_from(size).expect("a size");
    second
        .until("all looked at", async || {
            let counters = counters(&metrics).await;
            looked_at(&counters, "HeadscaleUser") >= all
                && looked_at(&counters, "HeadscalePreAuthKey") >= all
        })
        .await;
    println!(
        "it has looked at all after {:.1?} and {:.1?} of a processor, with {} writes; {:.1} MiB, {:.1} MiB at \
         most",
        began.elapsed(),
        second.processor(),
        second.writes().await,
        second.memory("VmRSS"),
        second.memory("VmHWM"),
    );

    let mut third = Measured::start(&operator.clone().flag("pod-name", "third")).await;
    third.running.until_it_says("waiting for Lease").await;
    let began = Instant::now();
    second.running.signal(Signal::KILL);
    let metrics = third.metrics.clone();
    third.until("a first look", async || has_looked(&metrics).await).await;
    println!("the next one looks at a first object {:.2?} after a kill", began.elapsed());
}
