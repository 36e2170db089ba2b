//! Edits of the Headscale and of the objects that it is made of.

use std::collections::BTreeSet;
use std::time::Duration;

use headscale_api::desired::{Existing, Inputs, desired_state};
use headscale_api::kinds::Headscale;
use headscale_standin::Version;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::bench::{Bench, HEADSCALE};
use crate::edit::paused;
use crate::instance::{config, kinds};
use crate::random::Random;

/// How long a pod takes to be as it should be.
const ROLL: Duration = Duration::from_millis(150);

/// What can be done. Some of it comes more often than other.
pub(crate) const EDITS: [&str; 19] = [
    "label the Headscale",
    "change the level of the log",
    "change the level of the log",
    "change resources",
    "change annotations of the pod",
    "change the type of the Service",
    "change the Ingress",
    "change replicas",
    "change who makes API keys",
    "break the configuration",
    "mend the configuration",
    "mend the configuration",
    "pause the Headscale",
    "go on with the Headscale",
    "go on with the Headscale",
    "by hand: edit the status of the Headscale",
    "by hand: edit a child",
    "by hand: edit a child",
    "by hand: delete a child",
];

/// What is declared of the Headscale, as far as its objects do not tell.
pub(crate) struct Server {
    made: usize,
    is_valid: bool,
    is_paused: bool,
    replicas: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self { made: 0, is_valid: true, is_paused: false, replicas: 1 }
    }
}

/// What Headscale of a version is called.
fn release(version: Version) -> &'static str {
    match version {
        Version::V0_28 => "0.28.0",
        Version::V0_29 => "0.29.2",
        Version::V0_30 => "0.30.0",
    }
}

/// Makes the Headscale of the bench a whole one that keeps its policy in the database.
pub(crate) async fn begin(bench: &Bench) {
    let mut config = config();
    config["policy"] = json!({ "mode": "database" });
    let spec = json!({ "version": release(bench.version), "config": config });
    bench.make_whole(HEADSCALE, spec).await;
}

fn resource(bench: &Bench, kind: &str) -> Api<DynamicObject> {
    let kind: ApiResource = kinds().into_iter().find(|it| it.kind == kind).expect("a kind");
    Api::namespaced_with(bench.cluster.client(), &bench.namespace, &kind)
}

/// Plays the controller of StatefulSets for as long as it is polled: a moment after each change the
/// pod is as it should be.
pub(crate) async fn play(bench: &Bench) {
    loop {
        if let Some(set) = bench.set(HEADSCALE).await {
            roll(bench, set).await;
        }
        tokio::time::sleep(ROLL).await;
    }
}

async fn roll(bench: &Bench, set: StatefulSet) {
    let generation = set.metadata.generation.unwrap_or_default();
    let seen = set.status.and_then(|status| status.observed_generation);
    if seen == Some(generation) {
        return;
    }
    let replicas = set.spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let revision = format!("{HEADSCALE}-{generation}");
    let status = json!({
        "observedGeneration": generation,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "currentRevision": revision,
        "updateRevision": revision,
    });
    let api: Api<StatefulSet> = bench.api();
    let patch = Patch::Merge(json!({ "status": status }));
    // It may be gone by now.
    drop(api.patch_status(HEADSCALE, &PatchParams::default(), &patch).await);
}

/// What somebody makes of the objects that a Headscale is made of.
fn drift(version: Version) -> Vec<(&'static str, &'static str, Value)> {
    let label = json!({ "app.kubernetes.io/managed-by": null });
    let image = format!("registry.example/mine:{}", release(version));
    let containers = json!([{ "name": "headscale", "image": image }]);
    let rules = json!([{ "host": "other.example.com" }]);
    vec![
        ("ConfigMap", "hs-config", json!({ "data": { "config.yaml": "mine", "more": "x" } })),
        ("ConfigMap", "hs-config", json!({ "data": null })),
        ("ConfigMap", "hs-config", json!({ "metadata": { "annotations": null } })),
        ("Service", "hs", json!({ "spec": { "ports": [{ "port": 1, "protocol": "TCP" }] } })),
        ("Service", "hs", json!({ "metadata": { "labels": label } })),
        ("Service", "hs-metrics", json!({ "spec": { "selector": { "mine": "x" } } })),
        ("ServiceAccount", "hs", json!({ "automountServiceAccountToken": true })),
        ("ServiceAccount", "hs", json!({ "metadata": { "ownerReferences": null } })),
        ("Role", "hs", json!({ "rules": [] })),
        ("RoleBinding", "hs", json!({ "subjects": [] })),
        ("StatefulSet", "hs", json!({ "spec": { "replicas": 3 } })),
        (
            "StatefulSet",
            "hs",
            json!({ "spec": { "template": { "spec": { "containers": containers } } } }),
        ),
        ("StatefulSet", "hs", json!({ "metadata": { "annotations": null } })),
        ("Ingress", "hs", json!({ "spec": { "rules": rules } })),
    ]
}

impl Server {
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused
    }

    async fn set(bench: &Bench, spec: Value) {
        bench.patch::<Headscale>(HEADSCALE, json!({ "spec": spec })).await;
    }

    /// Does something; gives what it was.
    pub(crate) async fn edit(&mut self, bench: &Bench, random: &mut Random, edit: &str) -> String {
        self.made += 1;
        let number = self.made.to_string();
        let chance = random.below(12);
        let of = |values: &[Value]| values[chance % values.len()].clone();
        match edit {
            "label the Headscale" => {
                let metadata = json!({ "labels": { "edited": number } });
                bench.patch::<Headscale>(HEADSCALE, json!({ "metadata": metadata })).await;
            }
            "change the level of the log" => {
                let level = of(&[json!("debug"), json!("info"), json!("warn")]);
                Self::set(bench, json!({ "config": { "log": { "level": level } } })).await;
            }
            "change resources" => {
                let memory = of(&[json!("128Mi"), json!("256Mi"), json!("1Gi")]);
                let limits = json!({ "memory": memory });
                Self::set(bench, json!({ "resources": { "limits": limits } })).await;
            }
            "change annotations of the pod" => {
                Self::set(bench, json!({ "pod_annotations": { "edited": number } })).await;
            }
            "change the type of the Service" => {
                let type_ = of(&[json!("ClusterIP"), json!("NodePort")]);
                Self::set(bench, json!({ "service": { "type": type_ } })).await;
            }
            "change the Ingress" => {
                let host = format!("hs{number}.example.com");
                let ingress = of(&[json!({ "host": host }), Value::Null, json!({ "host": host })]);
                Self::set(bench, json!({ "ingress": ingress })).await;
            }
            "change replicas" => {
                self.replicas = [1, 0, 3][chance % 3];
                Self::set(bench, json!({ "replicas": self.replicas })).await;
            }
            "change who makes API keys" => {
                let is_managed = of(&[json!(true), json!(false)]);
                Self::set(bench, json!({ "api_key": { "auto_manage": is_managed } })).await;
            }
            "break the configuration" | "mend the configuration" => {
                self.is_valid = edit.starts_with("mend");
                let prefix = (!self.is_valid).then_some("nonsense");
                Self::set(bench, json!({ "config": { "prefixes": { "v4": prefix } } })).await;
            }
            "pause the Headscale" | "go on with the Headscale" => {
                self.is_paused = edit.starts_with("pause");
                bench.patch::<Headscale>(HEADSCALE, paused(self.is_paused)).await;
            }
            "by hand: edit the status of the Headscale" => {
                let status =
                    json!({ "conditions": [], "url": "nonsense", "observedGeneration": 1 });
                let api: Api<Headscale> = bench.api();
                let patch = Patch::Merge(json!({ "status": status }));
                let params = PatchParams::default();
                api.patch_status(HEADSCALE, &params, &patch).await.expect("patched");
            }
            "by hand: edit a child" | "by hand: delete a child" => {
                let all = drift(bench.version);
                let (kind, name, patch) = random.pick(&all).expect("some");
                let api = resource(bench, kind);
                // It may not be there.
                if edit.ends_with("delete a child") {
                    drop(api.delete(name, &DeleteParams::default()).await);
                    return format!("{edit}: {kind} {name}");
                }
                drop(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await);
                return format!("{edit}: {kind} {name}, {patch}");
            }
            _ => panic!("{edit} is no edit"),
        }
        format!("{edit} ({number}, {chance})")
    }

    /// Takes back what keeps the operator from its work on purpose.
    pub(crate) async fn go_on(&mut self, bench: &Bench) {
        bench.patch::<Headscale>(HEADSCALE, paused(false)).await;
        self.is_paused = false;
    }

    /// Has a server run that can, and its objects not be as they should be.
    pub(crate) async fn mend(&mut self, bench: &Bench) {
        let config = json!({ "prefixes": { "v4": null } });
        let api_key = json!({ "auto_manage": false });
        // Some objects are no longer wanted then.
        let none = json!({ "api_key": api_key, "ingress": null });
        Self::set(bench, json!({ "replicas": 1, "config": config })).await;
        Self::set(bench, none).await;
        (self.is_valid, self.replicas) = (true, 1);
        for (kind, name, patch) in drift(bench.version) {
            let api = resource(bench, kind);
            // It may not be there.
            drop(api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await);
        }
    }

    /// What is not as it is declared.
    pub(crate) async fn differences(&self, bench: &Bench) -> Vec<String> {
        let expected = match (self.is_valid, self.replicas) {
            (false, _) => ("False", "ConfigInvalid"),
            (true, 0) => ("False", "ScaledToZero"),
            (true, _) => ("True", "Reconciled"),
        };
        let mut wrong = Vec::new();
        let told = bench.says(HEADSCALE, "Ready").await;
        if (&*told.0, &*told.1) != expected {
            wrong.push(format!("the Headscale: {told:?}, not {expected:?}"));
        }
        if !self.is_valid {
            // What runs is left as it is, whatever that is.
            return wrong;
        }
        let headscale = bench.headscale_object(HEADSCALE).await.expect("there");
        let stateful_set = bench.set(HEADSCALE).await;
        let existing = Existing { names: None, stateful_set };
        let wanted = desired_state(&headscale, &Inputs { existing, ..Inputs::default() });
        let mut names = BTreeSet::new();
        for object in wanted {
            let name = format!("{}/{}", object.kind(), object.name());
            match bench.read(object.kind(), object.name()).await {
                None => wrong.push(format!("{name} is not there")),
                Some(actual) => {
                    let manifest = object.to_value();
                    let found = difference(&actual, &manifest, &name);
                    wrong.extend(found);
                }
            }
            names.insert(name);
        }
        let there = bench.contents(HEADSCALE).await.into_keys();
        let others = there.filter(|it| !it.starts_with("Secret/") && !names.contains(it));
        wrong.extend(others.map(|other| format!("{other} is there")));
        wrong
    }
}

/// Where an object does not have what was wanted. It may have more fields, and no more items.
fn difference(actual: &Value, wanted: &Value, at: &str) -> Option<String> {
    // What else stands in one of these changes what it means.
    let is_whole = at.ends_with(".selector") || at.ends_with(".matchLabels");
    match (actual, wanted) {
        (Value::Object(actual), Value::Object(wanted)) => {
            if is_whole && actual.len() != wanted.len() {
                return Some(format!("{at} is {actual:?}, not {wanted:?}"));
            }
            wanted.iter().find_map(|(name, wanted)| {
                let is_nothing = [json!(null), json!(false), json!(0), json!(""), json!([])];
                let is_nothing = is_nothing.contains(wanted) || *wanted == json!({});
                match actual.get(name) {
                    None if is_nothing => None,
                    None => Some(format!("{at}.{name} is missing: {wanted}")),
                    Some(actual) => difference(actual, wanted, &format!("{at}.{name}")),
                }
            })
        }
        (Value::Array(actual), Value::Array(wanted)) if actual.len() == wanted.len() => {
            let pairs = actual.iter().zip(wanted).enumerate();
            pairs.into_iter().find_map(|(number, (actual, wanted))| {
                difference(actual, wanted, &format!("{at}[{number}]"))
            })
        }
        (actual, wanted) if actual == wanted => None,
        (actual, wanted) => Some(format!("{at} is {actual}, not {wanted}")),
    }
}
