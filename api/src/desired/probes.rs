//! How the kubelet sees whether the containers live.

use k8s_openapi::api::core::v1::{HTTPGetAction, HTTPHeader, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::facts::{Facts, Transport};

/// How often a probe is made and how often it may fail.
struct Patience {
    period: i32,
    failures: i32,
}

/// How long an answer may take, in seconds.
const TIMEOUT: i32 = 5;
/// Ten minutes: a large database is migrated before Headscale listens.
const START: Patience = Patience { period: 5, failures: 120 };
const READY: Patience = Patience { period: 5, failures: 3 };
/// A minute, because a restart throws all clients out.
const LIVE: Patience = Patience { period: 10, failures: 6 };

/// Whether Headscale has started.
pub(super) fn startup(facts: &Facts) -> Probe {
    headscale(facts, "/version", &START)
}

/// Whether Headscale can serve: it asks its database.
pub(super) fn readiness(facts: &Facts) -> Probe {
    headscale(facts, "/health", &READY)
}

/// Whether Headscale lives. It asks no database: a restart brings that back no sooner.
pub(super) fn liveness(facts: &Facts) -> Probe {
    headscale(facts, "/version", &LIVE)
}

/// Whether the sidecar lives.
pub(super) fn sidecar_liveness(port: u16) -> Probe {
    with(&LIVE, Some(get("/healthz", port)), None)
}

fn headscale(facts: &Facts, path: &str, patience: &Patience) -> Probe {
    let port = facts.ports.http;
    let host = facts
        .host
        .as_ref()
        .map(|host| vec![HTTPHeader { name: "Host".to_owned(), value: host.clone() }]);
    match facts.transport {
        Transport::Plain => with(patience, Some(get(path, port)), None),
        Transport::Tls => {
            let action = HTTPGetAction {
                scheme: Some("HTTPS".to_owned()),
                http_headers: host,
                ..get(path, port)
            };
            with(patience, Some(action), None)
        }
        Transport::Acme => {
            let port = IntOrString::Int(port.into());
            with(patience, None, Some(TCPSocketAction { port, ..TCPSocketAction::default() }))
        }
    }
}

fn get(path: &str, port: u16) -> HTTPGetAction {
    HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::Int(port.into()),
        ..HTTPGetAction::default()
    }
}

fn with(
    patience: &Patience,
    http_get: Option<HTTPGetAction>,
    tcp_socket: Option<TCPSocketAction>,
) -> Probe {
    Probe {
        http_get,
        tcp_socket,
        period_seconds: Some(patience.period),
        failure_threshold: Some(patience.failures),
        timeout_seconds: Some(TIMEOUT),
        ..Probe::default()
    }
}
