//! What people write and should not, and what they do by hand: a condition names the field and what
//! mends it, one Event tells, nothing goes round and round, and nobody else notices.

use std::time::{Duration, Instant};

use headscale_api::kinds::{Headscale, HeadscalePreAuthKey, HeadscaleUser};
use headscale_client::HeadscaleApi as _;
use headscale_controlplane::ControlPlane;
use headscale_faults::{Answer, Fault};
use headscale_standin::Version;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

use crate::bench::{Bench, define};
use crate::program::Running;
use crate::world;

/// How long it is watched that nothing goes round and round.
const WINDOW: Duration = Duration::from_secs(2);
/// What is no loop in that time: two lists of Headscale every 100 ms, and each object once a second.
const CALM: usize = 120;

/// Events about an object with one of these reasons.
pub(crate) async fn events(bench: &Bench, name: &str, reason: &str) -> usize {
    let api: Api<Event> = bench.api();
    let events = api.list(&ListParams::default()).await.expect("events").items;
    let is_it = |event: &&Event| {
        event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(name)
            && event.reason.as_deref() == Some(reason)
    };
    events.iter().filter(is_it).count()
}

/// Waits until `Ready` of the user has this reason; checks that its message has all of `hints`,
/// that one Event tells, that a bystander is looked after, and that little is asked and nothing is
/// written meanwhile.
async fn is_told(bench: &Bench, running: &mut Running, name: &str, reason: &str, hints: &[&str]) {
    let ready = async || bench.ready_user(name).await;
    running.until(&format!("{name} is told {reason}"), async || ready().await.1 == reason).await;
    let (status, _, message) = ready().await;
    assert_eq!(status, "False", "{message}");
    for hint in hints {
        assert!(message.contains(hint), "{hint} in {message}");
    }
    running.until("an Event", async || events(bench, name, reason).await > 0).await;
    bench.proxy.reset();
    let began = Instant::now();
    running.until("a while", async || began.elapsed() > WINDOW).await;
    let (asked, writes) = (bench.proxy.requests().len(), bench.writes());
    assert!(asked < CALM, "{asked} requests in {WINDOW:?} after {reason}");
    assert_eq!(writes, Vec::<String>::new(), "after {reason}");
    assert_eq!(events(bench, name, reason).await, 1, "Events {reason}");
    assert_eq!(ready().await.1, reason);
    let bystander = format!("by-{name}");
    bench.make_user(&bystander, json!({ "headscaleRef": "past" })).await;
    running.until("others go on", async || bench.is_user_ready(&bystander).await).await;
}

/// A bench with another Headscale that nothing happens to, and the operator.
async fn start(version: Version) -> Option<(Bench, Running)> {
    let bench = Bench::new(version).await?;
    bench.make_headscale("past").await;
    bench.put_api_key("past").await;
    let direct = bench.headscale.address().expect("it listens");
    let past = format!("past.{}.svc={direct}", bench.namespace);
    let running = bench.operator().also("resolve", &past).start();
    Some((bench, running))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_objects_for_one_user() {
    let Some((bench, mut running)) = start(Version::V0_29).await else { return };
    bench.make_user("first", json!({ "username": "carol" })).await;
    running.until("ready", async || bench.is_user_ready("first").await).await;
    // Ages are told to the second.
    let began = Instant::now();
    running.until("a second later", async || began.elapsed() > Duration::from_millis(1100)).await;
    bench.make_user("second", json!({ "username": "carol" })).await;
    let hints = ["HeadscaleUser first", "carol", "delete one of them"];
    is_told(&bench, &mut running, "second", "UserClaimed", &hints).await;
    assert!(bench.is_user_ready("first").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_renamed_by_hand() {
    let Some((bench, mut running)) = start(Version::V0_30).await else { return };
    bench.make_user("dora", json!({})).await;
    running.until("ready", async || bench.is_user_ready("dora").await).await;
    let id = bench.users().await[0].id;
    bench.http.rename_user(id, "doreen").await.expect("renamed");
    let hints = ["doreen", "rename it back", "delete this object"];
    is_told(&bench, &mut running, "dora", "UserRenamed", &hints).await;
    assert_eq!(bench.users().await.len(), 2, "doreen and the bystander");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_deleted_by_hand_is_made_anew_with_its_keys() {
    let Some((bench, mut running)) = start(Version::V0_30).await else { return };
    bench.make_user("emil", json!({})).await;
    bench.make_key("k", json!({ "headscaleUserRef": "emil" })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let before = bench.text("k").await;
    let id = bench.users().await[0].id;
    bench.http.delete_user(id).await.expect("deleted");
    running
        .until("made anew", async || {
            bench.text("k").await != before
                && world::differences(&bench, &["emil"], &["k"]).await.is_empty()
        })
        .await;
    world::is_quiet(&bench, &mut running, world::LOOKS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_api_key_that_is_missing_renamed_or_no_key() {
    let Some((bench, mut running)) = start(Version::V0_29).await else { return };
    bench.make_headscale("bare").await;
    bench.make_user("fritz", json!({ "headscaleRef": "bare" })).await;
    let hints = ["bare-api-key", "sidecar"];
    is_told(&bench, &mut running, "fritz", "UserCreationFailed", &hints).await;
    // It is there, under the name that the spec has, and holds nonsense.
    let renamed = json!({ "spec": { "api_key": { "secret_name": "renamed" } } });
    bench.patch::<Headscale>("bare", renamed).await;
    running
        .until("told of the other name", async || {
            bench.ready_user("fritz").await.2.contains("Secret renamed")
        })
        .await;
    let proxied = bench.proxied.clone();
    drop(running);
    let host = format!("bare.{}.svc={proxied}", bench.namespace);
    let mut running = bench.operator().also("resolve", &host).start();
    bench.put_api_key("renamed").await;
    let name = json!({ "spec": { "api_key": { "secret_name": "renamed-api-key" } } });
    bench.patch::<Headscale>("bare", name).await;
    running.until("ready", async || bench.is_user_ready("fritz").await).await;
    let nonsense = json!({ "stringData": { "api-key": "nonsense" } });
    bench.patch::<Secret>("renamed-api-key", nonsense).await;
    bench.make_user("greta", json!({ "headscaleRef": "bare" })).await;
    running
        .until("told what is wrong", async || {
            let (_, reason, message) = bench.ready_user("greta").await;
            reason == "UserCreationFailed" && message.contains("data.api-key")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headscale_that_answers_with_nonsense() {
    let answers = [
        ("text/html", "<html><body>Welcome to nginx!</body></html>"),
        ("application/json", r#"{"users": "none", "preAuthKeys": 7}"#),
        ("application/json", ""),
        ("application/json", "[1, 2"),
    ];
    let Some((bench, mut running)) = start(Version::V0_29).await else { return };
    for (number, (kind, body)) in answers.into_iter().enumerate() {
        let name = format!("odd-{number}");
        // It is made anew with each: what is said of it is about this answer.
        let proxied = bench.proxied.clone();
        bench.proxy.reset();
        bench.make_user(&name, json!({ "headscaleRef": "hs" })).await;
        running.until("ready", async || bench.is_user_ready(&name).await).await;
        let key = format!("key-{name}");
        let rule = move |request: &headscale_faults::RequestInfo| {
            let headers = vec![("content-type", kind.to_owned())];
            let answer = Answer { status: 200, headers, body: body.to_owned() };
            (request.listener == proxied).then(|| Fault::Answer(answer.clone()))
        };
        bench.proxy.faults(rule.clone());
        bench.make_key(&key, json!({ "headscaleUserRef": name })).await;
        running
            .until("told", async || {
                let (status, reason, message) = bench.ready_key(&key).await;
                status == "False"
                    && reason == "PreAuthKeyCreationFailed"
                    && message.contains("Headscale")
            })
            .await;
        let (_, _, message) = bench.ready_key(&key).await;
        println!("{body:?}: {message}");
        bench.proxy.reset();
        bench.proxy.faults(rule);
        let began = Instant::now();
        running.until("a while", async || began.elapsed() > WINDOW).await;
        let asked = bench.proxy.requests().len();
        assert!(asked < CALM, "{asked} requests in {WINDOW:?}");
        // The same words again are no news.
        assert_eq!(events(&bench, &key, "PreAuthKeyCreationFailed").await, 1, "{message}");
        let bystander = format!("by-{name}");
        bench.make_user(&bystander, json!({ "headscaleRef": "past" })).await;
        running.until("others go on", async || bench.is_user_ready(&bystander).await).await;
        bench.proxy.reset();
        running.until("it is well again", async || bench.is_key_ready(&key).await).await;
        assert_eq!(bench.working().await.len(), number + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_looks_like_one_in_another_namespace() {
    let Some((bench, mut running)) = start(Version::V0_30).await else { return };
    bench.make_user("hans", json!({ "headscaleRef": "elsewhere/hs" })).await;
    let hints = ["elsewhere/hs", "spec.headscaleRef", &bench.namespace];
    is_told(&bench, &mut running, "hans", "HeadscaleNotFound", &hints).await;
    // Of a user, the API server takes no such name.
    let spec = json!({ "headscaleRef": "hs", "headscaleUserRef": "elsewhere/ida" });
    let spec = serde_json::from_value(spec).expect("a spec");
    let keys: Api<HeadscalePreAuthKey> = bench.api();
    let refused = keys.create(&PostParams::default(), &HeadscalePreAuthKey::new("ida", spec)).await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("spec.headscaleUserRef"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_written_makes_no_key_after_key() {
    let Some((bench, mut running)) = start(Version::V0_29).await else { return };
    // As with a quota or a webhook.
    bench.proxy.faults(|request| {
        let is_write = request.method != "GET" && request.path.contains("/secrets");
        is_write.then_some(Fault::Status(403))
    });
    bench.make_key("k", json!({ "tags": ["tag:a"] })).await;
    running
        .until("told", async || bench.ready_key("k").await.1 == "PreAuthKeyCreationFailed")
        .await;
    let began = Instant::now();
    running.until("a while", async || began.elapsed() > WINDOW).await;
    assert!(bench.keys().await.is_empty(), "what cannot be kept is not made");
    bench.proxy.reset();
    running.until("ready", async || bench.is_key_ready("k").await).await;
    assert_eq!(bench.keys().await.len(), 1);
}

/// All that is in it is deleted at once. Nothing but finalizers keeps anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_with_all_that_is_in_it() {
    let Some((bench, mut running)) = start(Version::V0_30).await else { return };
    bench.make_user("u", json!({})).await;
    bench.make_key("k", json!({ "headscaleUserRef": "u" })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let namespaces: Api<Namespace> = Api::all(bench.cluster.client());
    namespaces.delete(&bench.namespace, &DeleteParams::default()).await.expect("deleted");
    // As the controller of namespaces does it: in no order that would help, and Secrets at once.
    let params = (DeleteParams::default(), ListParams::default());
    let secrets: Api<Secret> = bench.api();
    secrets.delete_collection(&params.0, &params.1).await.expect("deleted");
    let headscales: Api<Headscale> = bench.api();
    headscales.delete_collection(&params.0, &params.1).await.expect("deleted");
    let keys: Api<HeadscalePreAuthKey> = bench.api();
    keys.delete_collection(&params.0, &params.1).await.expect("deleted");
    let users: Api<HeadscaleUser> = bench.api();
    users.delete_collection(&params.0, &params.1).await.expect("deleted");
    running
        .until("nothing is left", async || {
            bench.user("u").await.is_none() && bench.pre_auth_key("k").await.is_none()
        })
        .await;
    bench.proxy.reset();
    let began = Instant::now();
    running.until("a while", async || began.elapsed() > WINDOW).await;
    let asked = bench.proxy.requests().len();
    assert!(asked < CALM, "{asked} requests in {WINDOW:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_goes_and_comes_back() {
    let Some(cluster) = ControlPlane::start().await else { return };
    // It ends with the process of the tests.
    let cluster: &'static ControlPlane = Box::leak(Box::new(cluster));
    define(cluster).await;
    let bench = Bench::on(cluster, Version::V0_29).await;
    let mut running = bench.operator().start();
    bench.make_user("u", json!({})).await;
    bench.make_key("k", json!({ "headscaleUserRef": "u" })).await;
    running.until("ready", async || bench.is_key_ready("k").await).await;
    let before = bench.text("k").await;
    bench.proxy.reset();
    cluster.stop_apiserver();
    let began = Instant::now();
    running.until("a while", async || began.elapsed() > WINDOW).await;
    let requests = bench.proxy.requests();
    let asked = requests.iter().filter(|request| request.listener != bench.proxied).count();
    println!("{asked} requests to an API server that is away, in {WINDOW:?}");
    assert!(asked < CALM, "{asked} requests in {WINDOW:?}");
    cluster.start_apiserver().await;
    let back = Instant::now();
    bench.make_user("later", json!({})).await;
    running
        .until("it goes on", async || {
            world::differences(&bench, &["u", "later"], &["k"]).await.is_empty()
        })
        .await;
    println!("all is well {:?} after the API server came back", back.elapsed());
    assert_eq!(bench.text("k").await, before, "the key is the one that was");
}
