//! Objects that cannot be read, of each kind: they say so, nothing is done for them, and nobody else
//! notices.

use std::time::{Duration, Instant};

use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser, crds,
};
use headscale_client::{HeadscaleApi as _, HttpClient};
use headscale_controlplane::ControlPlane;
use headscale_standin::{Options, PolicyMode, StandIn, Version};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};

use crate::bad_input::events;
use crate::bench::{Bench, HEADSCALE, define};
use crate::instance::config;
use crate::program::Running;

/// How long it is watched that nothing goes round and round.
const WINDOW: Duration = Duration::from_secs(2);
/// What is no loop in that time, for five objects that are looked at every two seconds.
const CALM: usize = 20;
/// Another Headscale, for the policy that cannot be read.
const OTHER: &str = "other";

/// A policy with an owner of the tag that approvers name.
fn policy(ports: &str) -> String {
    format!(
        "{{\"acls\": [{{\"action\": \"accept\", \"src\": [\"*\"], \"dst\": [\"*:{ports}\"]}}], \
         \"tagOwners\": {{\"tag:router\": [\"alice@\"]}}}}\n"
    )
}

/// A kind, and objects of it.
struct Case {
    kind: ApiResource,
    /// One that cannot be read.
    bad: Value,
    /// What is said of it.
    hints: [&'static str; 2],
    /// One that can, by its name.
    good: fn(&str) -> Value,
    /// The reason of `Ready` of that one.
    well: &'static str,
}

impl Case {
    fn of<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(
        bad: Value,
        hints: [&'static str; 2],
        good: fn(&str) -> Value,
        well: &'static str,
    ) -> Self {
        Self { kind: ApiResource::erase::<K>(&()), bad, hints, good, well }
    }

    /// What an object is called.
    fn name(&self, what: &str) -> String {
        let kind = match self.kind.kind.trim_start_matches("Headscale") {
            "" => "instance".to_owned(),
            kind => kind.to_lowercase(),
        };
        format!("{kind}-{what}")
    }

    fn api(&self, bench: &Bench) -> Api<DynamicObject> {
        Api::namespaced_with(bench.cluster.client(), &bench.namespace, &self.kind)
    }

    /// Stores an object, with a status that cannot be read either.
    async fn store(&self, bench: &Bench, name: &str, spec: Value) {
        let mut object = DynamicObject::new(name, &self.kind);
        object.data = json!({ "spec": spec });
        self.api(bench).create(&PostParams::default(), &object).await.expect("created");
        let status = json!({ "status": { "conditions": "none", "observedGeneration": "one" } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(status));
        self.api(bench).patch_status(name, &params, &patch).await.expect("patched");
    }

    /// Changes an object as a user does.
    async fn edit(&self, bench: &Bench, name: &str, spec: &Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api(bench).patch(name, &PatchParams::default(), &patch).await.expect("patched");
    }

    /// Reason and message of `Ready`, where it is about the object as it is.
    async fn ready(&self, bench: &Bench, name: &str) -> (String, String) {
        let object = self.api(bench).get_opt(name).await.expect("an answer");
        let object = object.map(|it| (it.metadata.generation, it.data)).unwrap_or_default();
        let conditions = object.1["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|it| it["type"] == "Ready").unwrap_or_default();
        if ready["observedGeneration"] != json!(object.0) {
            return Default::default();
        }
        let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("message"))
    }

    async fn until(&self, bench: &Bench, running: &mut Running, name: &str, reason: &str) {
        let is_it = async || self.ready(bench, name).await.0 == reason;
        running.until(&format!("{name} is {reason}"), is_it).await;
    }

    /// Waits until it is told what cannot be read.
    async fn is_told(&self, bench: &Bench, running: &mut Running, name: &str) {
        self.until(bench, running, name, "InvalidSpec").await;
        let (_, message) = self.ready(bench, name).await;
        for hint in self.hints {
            assert!(message.contains(hint), "{hint} in {message}");
        }
        assert!(message.contains("until that is mended"), "{message}");
    }
}

/// Each kind, with objects of it.
fn cases() -> [Case; 5] {
    [
        Case::of::<Headscale>(
            json!({ "version": 29, "replicas": 1, "config": config() }),
            ["spec.version cannot be read", "expected a string"],
            |_| json!({ "version": "0.29.2", "replicas": 1, "config": config() }),
            "PodNotReady",
        ),
        Case::of::<HeadscaleUser>(
            json!({ "headscaleRef": HEADSCALE, "username": { "name": "u" } }),
            ["spec.username cannot be read", "expected a string"],
            |name| json!({ "headscaleRef": HEADSCALE, "username": name }),
            "UserReady",
        ),
        Case::of::<HeadscalePreAuthKey>(
            json!({ "headscaleRef": HEADSCALE, "tags": "tag:router", "expiration": "2h" }),
            ["spec.tags cannot be read", "expected a sequence"],
            |_| json!({ "headscaleRef": HEADSCALE, "tags": ["tag:router"] }),
            "PreAuthKeyReady",
        ),
        Case::of::<HeadscaleAutoApprover>(
            json!({ "headscaleRef": HEADSCALE, "routes": [{ "cidr": 10, "tags": [] }] }),
            ["spec.routes cannot be read", "expected a string"],
            |name| {
                let net = if name.ends_with("bad") { 1 } else { 2 };
                let route = json!({ "cidr": format!("10.{net}.0.0/16"), "tags": ["tag:router"] });
                json!({ "headscaleRef": HEADSCALE, "routes": [route] })
            },
            "PolicyApplied",
        ),
        Case::of::<HeadscalePolicy>(
            json!({ "headscaleRef": OTHER, "inline": { "acls": [] } }),
            ["spec.inline cannot be read", "expected a string"],
            |name| {
                let headscale = if name.ends_with("bad") { OTHER } else { HEADSCALE };
                json!({ "headscaleRef": headscale, "inline": policy("22") })
            },
            "PolicyApplied",
        ),
    ]
}

/// Has the API server take anything for an object of our kinds.
async fn loosen(cluster: &ControlPlane) {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client());
    for mut crd in crds() {
        for version in &mut crd.spec.versions {
            let open = json!({ "openAPIV3Schema": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
            }});
            version.schema = Some(serde_json::from_value(open).expect("a schema"));
        }
        let params = PatchParams::apply("tests").force();
        api.patch(&crd.name_any(), &params, &Patch::Apply(&crd)).await.expect("defined");
    }
}

/// Another Headscale, which answers for itself, and where it listens.
async fn another(bench: &Bench) -> (StandIn, HttpClient, String) {
    let mut options = Options::new(bench.version, bench.directory.path().join(OTHER)).on_tcp();
    options.policy_mode = PolicyMode::Database;
    let other = StandIn::start(options).await.expect("a stand-in");
    other.plant_api_key(bench.key.expose(), None);
    let url = other.url().expect("it listens");
    let http = HttpClient::builder(&url).api_key(bench.key.clone()).build().expect("a client");
    bench.make_headscale(OTHER).await;
    bench.put_api_key(OTHER).await;
    let address = other.address().expect("it listens");
    (other, http, format!("{OTHER}.{}.svc={address}", bench.namespace))
}

async fn text(http: &HttpClient) -> Option<String> {
    http.policy().await.expect("a policy").map(|policy| policy.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_any_kind_that_cannot_be_read_stops_no_other() {
    let Some(cluster) = ControlPlane::start().await else { return };
    // It ends with the process of the tests. No other test has kinds that take anything.
    let cluster: &'static ControlPlane = Box::leak(Box::new(cluster));
    define(cluster).await;
    loosen(cluster).await;
    let bench = Bench::on(cluster, Version::V0_29).await;
    let (_other, other, resolve) = another(&bench).await;
    for headscale in [HEADSCALE, OTHER] {
        let config = json!({ "policy": { "mode": "database" } });
        bench.patch::<Headscale>(headscale, json!({ "spec": { "config": config } })).await;
    }
    let first = policy("443");
    other.set_policy(&first).await.expect("a policy");

    let cases = cases();
    for case in &cases {
        case.store(&bench, &case.name("bad"), case.bad.clone()).await;
        let name = case.name("good");
        case.store(&bench, &name, (case.good)(&name)).await;
    }
    let mut running = bench.operator().also("resolve", &resolve).start();
    for case in &cases {
        case.until(&bench, &mut running, &case.name("good"), case.well).await;
        case.is_told(&bench, &mut running, &case.name("bad")).await;
    }
    is_calm(&bench, &mut running).await;
    for case in &cases {
        assert_eq!(events(&bench, &case.name("bad"), "InvalidSpec").await, 1, "{}", case.kind.kind);
    }
    assert_eq!(text(&other).await.as_deref(), Some(&*first), "the policy stays that it had");
    assert_eq!(bench.users().await.len(), 1, "no user is made whose name cannot be read");
    assert_eq!(bench.working().await.len(), 1, "and no key");
    // Those that come later are looked after too. There is one policy of a Headscale.
    for case in cases.iter().filter(|case| case.kind.kind != "HeadscalePolicy") {
        let name = case.name("later");
        case.store(&bench, &name, (case.good)(&name)).await;
        case.until(&bench, &mut running, &name, case.well).await;
    }

    // Mended, and then spoilt when there is something to lose.
    for case in &cases {
        let name = case.name("bad");
        case.edit(&bench, &name, &(case.good)(&name)).await;
        case.until(&bench, &mut running, &name, case.well).await;
    }
    let given = text(&other).await;
    assert_eq!(given.as_deref(), Some(&*policy("22")));
    let has = async |prefix: &str| text(&bench.http).await.is_some_and(|it| it.contains(prefix));
    assert!(has("10.1.0.0/16").await && has("10.2.0.0/16").await);
    let key = bench.text("preauthkey-bad").await.expect("a key");
    for case in &cases {
        let name = case.name("bad");
        let mut bad = case.bad.clone();
        if let Some(headscale) = bad.get_mut("headscaleRef") {
            // Then it is not even known where it belongs, but for where it was made.
            *headscale = json!(7);
        } else {
            bad["replicas"] = json!("one");
        }
        case.edit(&bench, &name, &bad).await;
        case.is_told(&bench, &mut running, &name).await;
    }
    // What is declared besides is given to Headscale.
    let (approvers, policies) = (&cases[3], &cases[4]);
    let route = json!({ "cidr": "10.3.0.0/16", "tags": ["tag:router"] });
    let spec = json!({ "headscaleRef": HEADSCALE, "routes": [route] });
    approvers.edit(&bench, "autoapprover-later", &spec).await;
    running.until("the others' routes", async || has("10.3.0.0/16").await).await;
    let spec = json!({ "headscaleRef": HEADSCALE, "inline": policy("23") });
    policies.edit(&bench, "policy-good", &spec).await;
    running.until("the other policy", async || has("*:23").await).await;
    assert!(has("10.1.0.0/16").await, "what was approved stays approved");
    is_calm(&bench, &mut running).await;
    assert_eq!(text(&other).await, given, "the policy stays that it had");
    assert_eq!(bench.text("preauthkey-bad").await.as_deref(), Some(&*key), "and the key");
    let set = bench.set("instance-bad").await.and_then(|set| set.spec);
    assert_eq!(set.and_then(|spec| spec.replicas), Some(1), "what runs goes on");

    for case in &cases {
        let name = case.name("bad");
        case.api(&bench).delete(&name, &DeleteParams::default()).await.expect("deleted");
        let is_gone = async || case.api(&bench).get_opt(&name).await.expect("an answer").is_none();
        running.until(&format!("{name} is gone"), is_gone).await;
    }
    running.until("no key is left", async || bench.text("preauthkey-bad").await.is_none()).await;
    assert_eq!(events(&bench, "user-bad", "UserLeft").await, 1);
    running.until("its routes go", async || !has("10.1.0.0/16").await).await;
    assert!(has("10.3.0.0/16").await);
    assert_eq!(text(&other).await, given, "nobody else says another policy");
}

/// That nothing is written while nothing happens, and little read of those that cannot be read. Pods
/// of the others are read every 100 ms.
async fn is_calm(bench: &Bench, running: &mut Running) {
    // What is under way may come to its end first.
    let began = Instant::now();
    running.until("a moment", async || began.elapsed() > WINDOW / 2).await;
    bench.proxy.reset();
    let began = Instant::now();
    running.until("a while", async || began.elapsed() > WINDOW).await;
    let requests = bench.proxy.requests();
    let asked: Vec<&str> =
        requests.iter().map(|it| &*it.path).filter(|path| path.contains("-bad")).collect();
    assert!(asked.len() < CALM, "in {WINDOW:?}: {asked:#?}");
    assert_eq!(bench.writes(), Vec::<String>::new());
}
