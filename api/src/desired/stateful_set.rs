//! The server.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    LocalObjectReference, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSecurityContext,
    PodSpec, PodTemplateSpec, SeccompProfile, Sysctl, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::containers::{self, some};
use super::plan::Plan;
use super::policy::policy_hash;
use super::{hash, volumes};
use crate::kinds::names::{
    CONFIG_HASH_ANNOTATION, POLICY_HASH_ANNOTATION, SECRETS_HASH_ANNOTATION,
};

/// The user and group of the images.
const ID: i64 = 65532;
/// The Go operator's default.
const SIZE: &str = "128Mi";
/// How long Headscale has to end, in seconds.
const GRACE: i64 = 30;
/// Which container `kubectl logs` and `kubectl exec` mean.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The StatefulSet. What Kubernetes does not let change is that of the existing one.
pub(super) fn stateful_set(plan: &Plan<'_>) -> StatefulSet {
    let name = &plan.names.main;
    let existing = plan.inputs.existing.stateful_set.as_ref().and_then(|set| set.spec.clone());
    let new = StatefulSetSpec {
        selector: LabelSelector { match_labels: Some(plan.labels()), ..LabelSelector::default() },
        service_name: Some(name.clone()),
        volume_claim_templates: Some(vec![claim(plan)]),
        ..StatefulSetSpec::default()
    };
    let fixed = existing.unwrap_or(new);
    let template = pod(plan, fixed.selector.match_labels.clone().unwrap_or_default());
    StatefulSet {
        metadata: plan.metadata(name),
        spec: Some(StatefulSetSpec {
            // Headscale keeps its state in memory: a second server would know another one.
            replicas: Some(plan.spec.replicas.clamp(0, 1)),
            selector: fixed.selector,
            service_name: fixed.service_name,
            pod_management_policy: fixed.pod_management_policy,
            volume_claim_templates: fixed.volume_claim_templates.map(without_status),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            template,
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn without_status(claims: Vec<PersistentVolumeClaim>) -> Vec<PersistentVolumeClaim> {
    claims.into_iter().map(|claim| PersistentVolumeClaim { status: None, ..claim }).collect()
}

fn claim(plan: &Plan<'_>) -> PersistentVolumeClaim {
    let wanted = plan.spec.persistent_volume_claim.clone().unwrap_or_default();
    let size = wanted.size.map_or_else(|| SIZE.to_owned(), |size| size.to_string());
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(volumes::DATA_VOLUME.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(size))])),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: wanted.storage_class_name,
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// The pod, which `selector` must find.
fn pod(plan: &Plan<'_>, selector: BTreeMap<String, String>) -> PodTemplateSpec {
    let spec = plan.spec;
    let mut labels = spec.pod_labels.clone();
    labels.extend(plan.labels());
    labels.extend(selector);
    let mut annotations = BTreeMap::from([(DEFAULT_CONTAINER.to_owned(), "headscale".to_owned())]);
    annotations.extend(spec.pod_annotations.clone());
    annotations.extend(hashes(plan));
    let sidecar = plan.has_sidecar().then(|| containers::sidecar(plan));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(plan.names.main.clone()),
            // The sidecar alone has a token, from a volume of its own.
            automount_service_account_token: Some(false),
            // Headscale reads variables that start with HEADSCALE_, as those of a Service would.
            enable_service_links: Some(false),
            security_context: Some(security_context(plan)),
            termination_grace_period_seconds: Some(GRACE),
            init_containers: containers::backup(plan).map(|backup| vec![backup]),
            containers: [containers::headscale(plan)].into_iter().chain(sidecar).collect(),
            volumes: Some(volumes::volumes(plan)),
            image_pull_secrets: some(image_pull_secrets(&spec.image_pull_secrets)),
            node_selector: (!spec.node_selector.is_empty()).then(|| spec.node_selector.clone()),
            tolerations: some(spec.tolerations.clone()),
            affinity: spec.affinity.clone(),
            topology_spread_constraints: some(spec.topology_spread_constraints.clone()),
            priority_class_name: spec.priority_class_name.clone().filter(|name| !name.is_empty()),
            ..PodSpec::default()
        }),
    }
}

/// What rolls the pod.
fn hashes(plan: &Plan<'_>) -> impl Iterator<Item = (String, String)> {
    let policy = plan.policy.as_deref().map(policy_hash);
    [
        (CONFIG_HASH_ANNOTATION, Some(hash::hash([plan.config.as_str()]))),
        (POLICY_HASH_ANNOTATION, policy),
        (SECRETS_HASH_ANNOTATION, plan.secrets_hash()),
    ]
    .into_iter()
    .filter_map(|(annotation, hash)| Some((annotation.to_owned(), hash?)))
}

fn security_context(plan: &Plan<'_>) -> PodSecurityContext {
    let ports = &plan.facts.ports;
    let all = [Some(ports.http), ports.grpc, ports.metrics, ports.acme, ports.stun];
    let has_low_port = all.into_iter().flatten().any(|port| port < 1024);
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(ID),
        run_as_group: Some(ID),
        fs_group: Some(ID),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        // What `restricted` allows instead of the capability to listen there.
        sysctls: has_low_port.then(|| {
            vec![Sysctl {
                name: "net.ipv4.ip_unprivileged_port_start".to_owned(),
                value: "0".to_owned(),
            }]
        }),
        ..PodSecurityContext::default()
    }
}

fn image_pull_secrets(names: &[String]) -> Vec<LocalObjectReference> {
    let mut different: Vec<LocalObjectReference> = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        if !different.iter().any(|other| other.name == *name) {
            different.push(LocalObjectReference { name: name.clone() });
        }
    }
    different
}
