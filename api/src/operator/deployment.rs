//! The operator's pods, and how they are reached.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
    SeccompProfile, SecurityContext, Service, ServicePort, ServiceSpec, TopologySpreadConstraint,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{HEALTH_PORT, METRICS_PORT, NAME, Options, selector};

/// The container's name, as the Go operator's is called.
const CONTAINER: &str = "manager";
/// The user and group of the image.
const ID: i64 = 65532;
/// More than the operator takes to end what it is at, in seconds.
const GRACE: i64 = 30;
const METRICS: &str = "metrics";
const HEALTH: &str = "health";
/// Which container `kubectl logs` and `kubectl exec` mean.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The Deployment.
pub(super) fn deployment(options: &Options) -> Deployment {
    Deployment {
        metadata: options.metadata(NAME),
        spec: Some(DeploymentSpec {
            replicas: Some(i32::from(options.replicas)),
            selector: selected(),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(options.labels()),
                    annotations: Some(
                        [(DEFAULT_CONTAINER.to_owned(), CONTAINER.to_owned())].into(),
                    ),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(options)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn selected() -> LabelSelector {
    LabelSelector { match_labels: Some(selector()), ..LabelSelector::default() }
}

/// A pod that the `restricted` Pod Security Standard takes.
fn pod(options: &Options) -> PodSpec {
    PodSpec {
        service_account_name: Some(NAME.to_owned()),
        automount_service_account_token: Some(true),
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(ID),
            run_as_group: Some(ID),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(GRACE),
        topology_spread_constraints: (options.replicas > 1).then(|| vec![apart()]),
        containers: vec![container(options)],
        ..PodSpec::default()
    }
}

/// That one node's end is not that of all, where there is more than one node.
fn apart() -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(selected()),
        ..TopologySpreadConstraint::default()
    }
}

fn container(options: &Options) -> Container {
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(options.image.clone()),
        args: Some(arguments(options)),
        env: Some(vec![EnvVar {
            name: "POD_NAME".to_owned(),
            value_from: Some(EnvVarSource {
                // With its default, lest the server's be a conflict with others who apply the same.
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: "metadata.name".to_owned(),
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(vec![port(HEALTH, HEALTH_PORT), port(METRICS, METRICS_PORT)]),
        liveness_probe: Some(probe("/healthz", 15, 20)),
        readiness_probe: Some(probe("/readyz", 5, 10)),
        resources: Some(ResourceRequirements {
            // Without a limit of the processor: who is slowed down cannot renew its Lease.
            limits: Some(quantities([("memory", "256Mi")])),
            requests: Some(quantities([("cpu", "10m"), ("memory", "64Mi")])),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn arguments(options: &Options) -> Vec<String> {
    let mut arguments = vec![
        "--leader-elect".to_owned(),
        format!("--health-probe-bind-address=:{HEALTH_PORT}"),
        format!("--metrics-bind-address=:{METRICS_PORT}"),
    ];
    arguments.extend(options.watch_namespaces.iter().map(|name| format!("--namespace={name}")));
    arguments.extend(options.log_level.iter().map(|level| format!("--log-level={level}")));
    arguments.extend(options.sidecar_image.iter().map(|image| format!("--sidecar-image={image}")));
    arguments.extend(options.extra_args.iter().cloned());
    arguments
}

fn quantities<const N: usize>(all: [(&str, &str); N]) -> BTreeMap<String, Quantity> {
    all.into_iter().map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))).collect()
}

/// A look at `path` every so many seconds, the first time after `delay` seconds.
fn probe(path: &str, delay: i32, period: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(HEALTH.to_owned()),
            ..HTTPGetAction::default()
        }),
        initial_delay_seconds: Some(delay),
        period_seconds: Some(period),
        ..Probe::default()
    }
}

/// The Service for metrics.
pub(super) fn metrics_service(options: &Options) -> Service {
    Service {
        metadata: options.metadata(&format!("{NAME}-metrics")),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(selector()),
            ports: Some(vec![ServicePort {
                name: Some(METRICS.to_owned()),
                port: i32::from(METRICS_PORT),
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String(METRICS.to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// That nodes are drained one operator at a time; `None` for a single one, which would hold back
/// every drain.
pub(super) fn budget(options: &Options) -> Option<PodDisruptionBudget> {
    (options.replicas > 1).then(|| PodDisruptionBudget {
        metadata: options.metadata(NAME),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selected()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
