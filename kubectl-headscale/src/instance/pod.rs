//! Which pod of an instance answers, and how.

use headscale_api::kinds::{Headscale, HeadscaleSpec};
use http::Uri;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ListParams};
use serde_json::Value;

use crate::error::CommandError;
use crate::kubernetes::Cluster;

/// Where Headscale listens unless its configuration says otherwise.
const DEFAULT_PORT: u16 = 8080;

/// What the container's port is called.
const PORT_NAME: &str = "http";

/// A pod that is ready: its name, and the port where Headscale speaks HTTP.
///
/// # Errors
///
/// Where there is none, with what the pods are that there are.
pub(super) async fn ready(
    name: &str,
    headscale: &Headscale,
    cluster: &Cluster,
) -> Result<(String, u16), CommandError> {
    let pods: Api<Pod> = cluster.api();
    let selector = format!("app.kubernetes.io/name=headscale,app.kubernetes.io/instance={name}");
    let list = pods.list(&ListParams::default().labels(&selector)).await;
    let list = list.map_err(|error| cluster.error(error))?.items;
    if let Some(pod) = list.iter().find(|pod| is_ready(pod)) {
        let port = named_port(pod).or_else(|| configured_port(&headscale.spec));
        let name = pod.metadata.name.clone().unwrap_or_default();
        return Ok((name, port.unwrap_or(DEFAULT_PORT)));
    }
    let states: Vec<String> = list.iter().map(state).collect();
    let there = match states.as_slice() {
        [] => "there is none".to_owned(),
        states => states.join(", "),
    };
    let namespace = &cluster.namespace;
    Err(CommandError::failed(format!("no pod of headscale/{name} is ready: {there}"))
        .hint(format!("`kubectl get pods -n {namespace} -l {selector}` shows its pods")))
}

fn is_ready(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let conditions = status.conditions.iter().flatten();
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    pod.metadata.deletion_timestamp.is_none()
        && status.phase.as_deref() == Some("Running")
        && ready.any(|condition| condition.status == "True")
}

/// `NAME is Pending`.
fn state(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    match phase {
        _ if pod.metadata.deletion_timestamp.is_some() => format!("{name} is being deleted"),
        Some("Running") => format!("{name} is running and not ready"),
        Some(phase) => format!("{name} is {phase}"),
        None => format!("{name} is not started"),
    }
}

fn named_port(pod: &Pod) -> Option<u16> {
    let containers = pod.spec.as_ref()?.containers.iter();
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let port = ports.find(|port| port.name.as_deref() == Some(PORT_NAME))?;
    u16::try_from(port.container_port).ok()
}

fn configured<'s>(spec: &'s HeadscaleSpec, key: &str) -> Option<&'s str> {
    spec.config.as_ref()?.get(key).and_then(Value::as_str).filter(|value| !value.is_empty())
}

fn configured_port(spec: &HeadscaleSpec) -> Option<u16> {
    configured(spec, "listen_addr")?.rsplit_once(':')?.1.parse().ok()
}

/// How Headscale speaks TLS.
pub(super) struct Tls {
    /// The name in its certificate: the host of `server_url`.
    pub(super) server_name: Option<String>,
    /// The certificates to trust, as PEM; those of the system where there are none.
    pub(super) ca: Option<Vec<u8>>,
}

/// Whether the instance itself speaks TLS, and how.
///
/// # Errors
///
/// Where the Secret that it names for its certificates cannot be read.
pub(super) async fn tls(
    headscale: &Headscale,
    cluster: &Cluster,
) -> Result<Option<Tls>, CommandError> {
    let spec = &headscale.spec;
    let secrets = spec.secrets.as_ref();
    let keys = ["tls_cert_path", "tls_letsencrypt_hostname"];
    let is_configured = keys.iter().any(|key| configured(spec, key).is_some());
    if !is_configured && secrets.is_none_or(|secrets| secrets.tls.is_none()) {
        return Ok(None);
    }
    let server_url = configured(spec, "server_url").and_then(|url| url.parse::<Uri>().ok());
    let server_name = server_url.and_then(|url| url.host().map(str::to_owned));
    let ca = match secrets.and_then(|secrets| secrets.ca.as_ref()) {
        None => None,
        Some(reference) => {
            let api: Api<Secret> = cluster.api();
            let secret = api.get(&reference.name).await.map_err(|error| cluster.error(error))?;
            let pem = secret.data.and_then(|mut data| data.remove(&reference.key));
            let Some(pem) = pem else {
                let (name, key) = (&reference.name, &reference.key);
                return Err(CommandError::failed(format!("secret/{name} has no key {key:?}"))
                    .hint("`spec.secrets.ca` of the instance names it"));
            };
            Some(pem.0)
        }
    };
    Ok(Some(Tls { server_name, ca }))
}
