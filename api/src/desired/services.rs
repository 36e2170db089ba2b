//! How an instance is reached.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::facts::is_name;
use super::plan::Plan;
use crate::kinds::ServiceType;

/// The Service for clients, and for gRPC, STUN and HTTP-01 where the instance has them.
pub(super) fn service(plan: &Plan<'_>) -> Service {
    let ports = &plan.facts.ports;
    let wanted = plan.spec.service.clone().unwrap_or_default();
    let kind = wanted.type_.unwrap_or_default();
    let all = [
        ("http", Some(ports.http), "TCP"),
        ("grpc", ports.grpc, "TCP"),
        ("acme", ports.acme, "TCP"),
        ("stun", ports.stun, "UDP"),
    ];
    Service {
        metadata: annotated(plan.metadata(&plan.names.main), wanted.annotations),
        spec: Some(ServiceSpec {
            type_: Some(kind.as_str().to_owned()),
            load_balancer_class: wanted
                .load_balancer_class
                .filter(|class| kind == ServiceType::LoadBalancer && !class.is_empty()),
            selector: Some(plan.labels()),
            ports: Some(service_ports(all)),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The Service for metrics; `None` where there are none.
pub(super) fn metrics_service(plan: &Plan<'_>) -> Option<Service> {
    let all = [
        ("metrics", plan.facts.ports.metrics, "TCP"),
        ("apikey-metrics", plan.sidecar_port(), "TCP"),
    ];
    let ports = service_ports(all);
    // The API server refuses a Service without ports.
    (!ports.is_empty()).then(|| Service {
        metadata: plan.metadata(&plan.names.metrics),
        spec: Some(ServiceSpec {
            type_: Some(ServiceType::ClusterIP.as_str().to_owned()),
            selector: Some(plan.labels()),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

/// The ports that there are; of two that are the same, the first.
fn service_ports<const N: usize>(all: [(&str, Option<u16>, &str); N]) -> Vec<ServicePort> {
    let mut ports: Vec<ServicePort> = Vec::new();
    for (name, port, protocol) in all {
        let Some(port) = port.map(i32::from) else { continue };
        let is_taken =
            |other: &ServicePort| other.port == port && other.protocol.as_deref() == Some(protocol);
        if !ports.iter().any(is_taken) {
            ports.push(ServicePort {
                name: Some(name.to_owned()),
                port,
                protocol: Some(protocol.to_owned()),
                target_port: Some(IntOrString::Int(port)),
                ..ServicePort::default()
            });
        }
    }
    ports
}

/// The Ingress; `None` where none is asked for.
pub(super) fn ingress(plan: &Plan<'_>) -> Option<Ingress> {
    let wanted = plan.spec.ingress.clone()?;
    let host = wanted
        .host
        .map(|host| host.to_lowercase())
        .or_else(|| plan.facts.host.clone())
        .filter(|host| !host.is_empty() && is_name(host));
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: plan.names.main.clone(),
            port: Some(ServiceBackendPort {
                name: Some("http".to_owned()),
                ..ServiceBackendPort::default()
            }),
        }),
        ..IngressBackend::default()
    };
    let path =
        HTTPIngressPath { path: Some("/".to_owned()), path_type: "Prefix".to_owned(), backend };
    let tls = wanted.tls_secret_name.filter(|name| !name.is_empty()).map(|name| {
        vec![IngressTLS { hosts: host.clone().map(|host| vec![host]), secret_name: Some(name) }]
    });
    Some(Ingress {
        metadata: annotated(plan.metadata(&plan.names.main), wanted.annotations),
        spec: Some(IngressSpec {
            ingress_class_name: wanted.class_name.filter(|name| !name.is_empty()),
            rules: Some(vec![IngressRule {
                host,
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls,
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}

fn annotated(metadata: ObjectMeta, annotations: BTreeMap<String, String>) -> ObjectMeta {
    let annotations = (!annotations.is_empty()).then_some(annotations);
    ObjectMeta { annotations, ..metadata }
}
