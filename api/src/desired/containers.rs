//! The containers of the pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector,
    ResourceRequirements, SecretKeySelector, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::facts::{Transport, folder};
use super::plan::Plan;
use super::release::{image, minor};
use super::{probes, volumes};

/// Headscale.
pub(super) fn headscale(plan: &Plan<'_>) -> Container {
    let facts = &plan.facts;
    Container {
        image: Some(image(plan.spec)),
        command: Some(vec!["headscale".to_owned(), "serve".to_owned()]),
        env: some(environment(plan)),
        ports: Some(ports(plan)),
        resources: plan.spec.resources.clone(),
        startup_probe: Some(probes::startup(facts)),
        readiness_probe: Some(probes::readiness(facts)),
        liveness_probe: Some(probes::liveness(facts)),
        volume_mounts: Some(volumes::headscale(plan)),
        ..container("headscale")
    }
}

/// What keeps an API key in its Secret.
pub(super) fn sidecar(plan: &Plan<'_>) -> Container {
    let (expiration, buffer) = plan.lifetime();
    let mut args = vec![
        format!("--socket-path={}", plan.facts.socket),
        format!("--secret-name={}", plan.api_key_secret()),
        format!("--expiration={expiration}"),
        format!("--rotation-buffer={buffer}"),
    ];
    let port = plan.sidecar_port();
    if !plan.has_go_sidecar() {
        args.extend(address(plan));
        args.extend(port.map(|port| format!("--health-addr=0.0.0.0:{port}")));
    }
    Container {
        image: Some(plan.sidecar_image().to_owned()),
        args: Some(args),
        env: Some(vec![
            of_the_pod("POD_NAMESPACE", "metadata.namespace"),
            of_the_pod("POD_NAME", "metadata.name"),
        ]),
        ports: port.map(|port| vec![container_port("apikey-metrics", port, "TCP")]),
        resources: Some(small()),
        liveness_probe: port.map(probes::sidecar_liveness),
        volume_mounts: Some(volumes::sidecar(plan)),
        ..container("apikey-manager")
    }
}

/// Where new keys are tried. With a certificate that cannot be checked they are not: then they count
/// as good when Headscale lists them.
fn address(plan: &Plan<'_>) -> Vec<String> {
    let port = plan.facts.ports.http;
    if plan.facts.transport == Transport::Plain {
        return vec![format!("--headscale-url=http://127.0.0.1:{port}")];
    }
    if !plan.has_ca() {
        return vec!["--headscale-url=".to_owned()];
    }
    let mut args = vec![
        format!("--headscale-url=https://127.0.0.1:{port}"),
        format!("--headscale-ca={}", volumes::CA_FILE),
    ];
    args.extend(plan.facts.host.as_ref().map(|host| format!("--headscale-server-name={host}")));
    args
}

/// What copies the database and the noise key before the server starts; `None` where that is not
/// asked for, or cannot be.
pub(super) fn backup(plan: &Plan<'_>) -> Option<Container> {
    let database = plan.facts.database.as_deref().filter(|_| plan.inputs.backup)?;
    // The same file system: the copy is renamed into its place.
    let folder = folder(database)?;
    // The Go operator's sidecar makes no copies.
    let image =
        if plan.has_go_sidecar() { &plan.inputs.sidecar_image } else { plan.sidecar_image() };
    Some(Container {
        image: Some(image.to_owned()),
        args: Some(vec![
            "backup".to_owned(),
            format!("--database={database}"),
            format!("--noise-key={}", plan.facts.noise_key),
            format!("--to={folder}/backup"),
            format!("--label={}", minor(&plan.spec.version)),
        ]),
        resources: Some(small()),
        volume_mounts: Some(volumes::backup(plan)),
        ..container("backup")
    })
}

/// A container that the `restricted` Pod Security Standard takes.
fn container(name: &str) -> Container {
    Container {
        name: name.to_owned(),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        // Why it ended is then told where the pod's status is read.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
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

/// What a sidecar needs: it waits most of the time.
fn small() -> ResourceRequirements {
    let amounts = |amounts: &[(&str, &str)]| -> Option<BTreeMap<String, Quantity>> {
        Some(
            amounts
                .iter()
                .map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())))
                .collect(),
        )
    };
    ResourceRequirements {
        requests: amounts(&[("cpu", "5m"), ("memory", "16Mi")]),
        limits: amounts(&[("memory", "64Mi")]),
        ..ResourceRequirements::default()
    }
}

/// The variables of Headscale: of two with one name the last, as in a container.
fn environment(plan: &Plan<'_>) -> Vec<EnvVar> {
    let secrets = plan.secret_variables().into_iter().map(|(name, secret, key)| EnvVar {
        name,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector { name: secret, key, optional: None }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    });
    let mut variables: Vec<EnvVar> = Vec::new();
    for variable in secrets.chain(plan.spec.extra_env.iter().cloned()) {
        variables.retain(|other| other.name != variable.name);
        variables.push(variable);
    }
    variables
}

fn of_the_pod(name: &str, field: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: field.to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// The ports of Headscale; of two that are the same, the first.
fn ports(plan: &Plan<'_>) -> Vec<ContainerPort> {
    let ports = &plan.facts.ports;
    let all = [
        ("http", Some(ports.http), "TCP"),
        ("metrics", ports.metrics, "TCP"),
        ("grpc", ports.grpc, "TCP"),
        ("acme", ports.acme, "TCP"),
        ("stun", ports.stun, "UDP"),
    ];
    let mut different: Vec<ContainerPort> = Vec::new();
    for (name, port, protocol) in all {
        let Some(port) = port.map(|port| container_port(name, port, protocol)) else { continue };
        let is_taken = |other: &ContainerPort| {
            other.container_port == port.container_port && other.protocol == port.protocol
        };
        if !different.iter().any(is_taken) {
            different.push(port);
        }
    }
    different
}

fn container_port(name: &str, port: u16, protocol: &str) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port.into(),
        protocol: Some(protocol.to_owned()),
        ..ContainerPort::default()
    }
}

/// Lists that are empty are left out, as the API server does.
pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
