//! An instance, and what is seen of it.

use headscale_api::desired::{Inputs, Object, desired_state};
use headscale_api::kinds::Headscale;
use headscale_operator::headscale::decide::{Decision, Observed};
use headscale_operator::headscale::requirements::Keys;
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::json;

/// An instance with a good configuration.
pub(crate) fn headscale(version: &str) -> Headscale {
    serde_json::from_value(json!({
        "apiVersion": "headscale.infrado.cloud/v1beta1",
        "kind": "Headscale",
        "metadata": { "name": "hs", "namespace": "ns", "uid": "u", "generation": 3 },
        "spec": {
            "version": version,
            "replicas": 1,
            "config": {
                "server_url": "https://headscale.example.com",
                "dns": { "base_domain": "tailnet.example.com" },
            },
        },
    }))
    .unwrap()
}

/// The StatefulSet of an instance, as the cluster has it.
pub(crate) fn set_of(headscale: &Headscale, inputs: &Inputs, is_ready: bool) -> StatefulSet {
    let objects = desired_state(headscale, inputs);
    let set = objects.into_iter().find_map(|object| match object {
        Object::StatefulSet(set) => Some(*set),
        _ => None,
    });
    let mut set = set.unwrap();
    set.metadata.generation = Some(4);
    set.status = serde_json::from_value(json!({
        "observedGeneration": 4,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": u8::from(is_ready),
        "currentRevision": "r4",
        "updateRevision": "r4",
    }))
    .unwrap();
    set
}

/// What is seen of an instance that nothing is in the way of.
pub(crate) fn observed<'a>(
    headscale: &'a Headscale,
    set: Option<&'a StatefulSet>,
    secrets: &'a Keys,
    inputs: &'a Inputs,
) -> Observed<'a> {
    Observed {
        headscale,
        unreadable: None,
        names: None,
        set,
        secrets,
        rival: None,
        policy: None,
        policy_error: None,
        policy_unknown: None,
        is_ailing: false,
        inputs,
    }
}

/// Why it is blocked; empty where it is not.
pub(crate) fn reason(decision: &Decision) -> &str {
    decision.blocked.as_ref().map_or("", |block| block.reason)
}
