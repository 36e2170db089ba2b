//! What all objects of an instance are made from.

use std::collections::BTreeMap;

use headscale_acl::Version;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube_core::Resource as _;
use serde_json::Value;

use super::facts::{CONFIG, DATA, Facts, Transport, is_below, text};
use super::inputs::{Inputs, of_the_server};
use super::names::{Names, labels};
use super::policy::compose_policy;
use super::release::release;
use super::{hash, lifetime};
use crate::config::{
    self, ConfigFinding, Given, InlineSecret, Rendered, TlsPaths, environment_name,
};
use crate::kinds::{ApiKeySpec, Headscale, HeadscaleSpec, SecretsSpec};

/// The image that the Go operator writes where none is given.
const GO_SIDECAR_IMAGE: &str = "ghcr.io/infradohq/headscale-operator/apikey-manager:latest";
/// The file of the policy in the ConfigMap.
pub const POLICY_FILE: &str = "policy.hujson";
/// Where the Secret with the certificate is mounted.
pub(super) const TLS: &str = "/etc/headscale-tls";
const DATABASE_PASSWORD: &str = "database.postgres.pass";
const OIDC_SECRET: &str = "oidc.client_secret";
const OIDC_ISSUER: &str = "oidc.issuer";

/// An instance with everything that is decided once for all of its objects.
pub(super) struct Plan<'h> {
    pub(super) headscale: &'h Headscale,
    pub(super) spec: &'h HeadscaleSpec,
    pub(super) inputs: &'h Inputs,
    pub(super) names: Names,
    pub(super) secrets: SecretsSpec,
    pub(super) facts: Facts,
    pub(super) rendered: Rendered,
    /// The text of `config.yaml`.
    pub(super) config: String,
    /// The policy, where it is a file of ours.
    pub(super) policy: Option<String>,
    api_key: ApiKeySpec,
    api_key_secret: String,
}

impl<'h> Plan<'h> {
    pub(super) fn of(headscale: &'h Headscale, inputs: &'h Inputs) -> Self {
        let spec = &headscale.spec;
        let instance = headscale.metadata.name.as_deref().unwrap_or_default();
        let names = inputs.existing.names.clone().unwrap_or_else(|| Names::of(instance));
        let secrets = spec.secrets.clone().unwrap_or_default();
        let release = release(&spec.version);
        let (rendered, policy) = render(spec, &secrets, inputs, release);
        let api_key = spec.api_key();
        let api_key_secret = given(api_key.secret_name.as_ref()).unwrap_or(&names.api_key).clone();
        Self {
            headscale,
            spec,
            inputs,
            facts: Facts::of(&rendered.config, release),
            config: config::to_yaml(&rendered.config),
            names,
            secrets,
            rendered,
            policy,
            api_key,
            api_key_secret,
        }
    }

    /// What is wrong with the configuration, and what was changed in it. Sorted by pointer.
    pub(super) fn findings(&self) -> Vec<ConfigFinding> {
        let mut elsewhere = elsewhere(self.spec, &self.secrets);
        elsewhere.extend(self.inline_secrets().iter().map(|secret| secret.path));
        let config = Value::Object(self.rendered.config.clone());
        let release = release(&self.spec.version);
        let mut findings = self.rendered.notes.clone();
        for finding in config::check_beside(&config, release, &elsewhere) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        findings.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        findings
    }

    /// The labels of all objects, which the pods are selected by.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        labels(self.headscale.metadata.name.as_deref().unwrap_or_default())
    }

    /// The metadata of an object. It belongs to the instance, where that exists in a cluster.
    pub(super) fn metadata(&self, name: &str) -> ObjectMeta {
        let owner = self.headscale.controller_owner_ref(&()).map(|owner| {
            // One that is deleted in the foreground waits for its objects.
            vec![OwnerReference { block_owner_deletion: Some(true), ..owner }]
        });
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: self.headscale.metadata.namespace.clone(),
            labels: Some(self.labels()),
            owner_references: owner,
            ..ObjectMeta::default()
        }
    }

    /// Whether there is a sidecar that looks after the API key.
    pub(super) fn has_sidecar(&self) -> bool {
        self.api_key.auto_manage.unwrap_or(true)
    }

    /// The Secret of the API key.
    pub(super) fn api_key_secret(&self) -> &str {
        &self.api_key_secret
    }

    /// How long an API key lives, and how long before its end it is replaced.
    pub(super) fn lifetime(&self) -> (String, String) {
        let expiration = given(self.api_key.expiration.as_ref());
        lifetime::of(
            expiration.map(String::as_str),
            given(self.api_key.rotation_buffer.as_ref()).map(String::as_str),
        )
    }

    /// The image of the sidecar.
    pub(super) fn sidecar_image(&self) -> &str {
        given(self.api_key.manager_image.as_ref())
            .filter(|image| *image != GO_SIDECAR_IMAGE)
            .unwrap_or(&self.inputs.sidecar_image)
    }

    /// Whether the sidecar is the Go operator's, which knows no flags of ours.
    pub(super) fn has_go_sidecar(&self) -> bool {
        let image = self.sidecar_image();
        let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
        name.split([':', '@']).next() == Some("apikey-manager")
    }

    /// The port that the sidecar tells of itself at; `None` where it does not.
    pub(super) fn sidecar_port(&self) -> Option<u16> {
        let ports = &self.facts.ports;
        let taken = [Some(ports.http), ports.grpc, ports.metrics, ports.acme];
        let has_one = self.has_sidecar() && !self.has_go_sidecar();
        (8081..8090).find(|port| !taken.contains(&Some(*port))).filter(|_| has_one)
    }

    /// Whether there is a sidecar that can check Headscale's certificate.
    pub(super) fn has_ca(&self) -> bool {
        let has_one = self.has_sidecar() && !self.has_go_sidecar();
        has_one && self.secrets.ca.is_some() && self.facts.transport != Transport::Plain
    }

    /// The variables that hand secrets to Headscale: their name, the Secret and its key.
    pub(super) fn secret_variables(&self) -> Vec<(String, String, String)> {
        let references = [
            (DATABASE_PASSWORD, &self.secrets.database_password),
            (OIDC_SECRET, &self.secrets.oidc_client_secret),
        ];
        let referenced = references.into_iter().filter_map(|(path, reference)| {
            let reference = reference.as_ref()?;
            Some((environment_name(path), reference.name.clone(), reference.key.clone()))
        });
        let inline = self.inline_secrets().iter().map(|secret| {
            (secret.environment(), self.names.inline_secrets(), secret.environment())
        });
        referenced.chain(inline).collect()
    }

    /// The secrets that stand in the spec and must not stand in the ConfigMap.
    pub(super) fn inline_secrets(&self) -> &[InlineSecret] {
        &self.rendered.inline_secrets
    }

    /// What changes with the Secrets that the pod reads when it starts; `None` where there are none.
    pub(super) fn secrets_hash(&self) -> Option<String> {
        let mut read = of_the_server(self.spec);
        let ca = self.secrets.ca.as_ref().filter(|_| self.has_ca());
        read.extend(ca.map(|ca| ca.name.clone()));
        read.extend((!self.inline_secrets().is_empty()).then(|| self.names.inline_secrets()));
        let known = self.inputs.secret_hashes.iter().filter(|(name, _)| read.contains(*name));
        let parts: Vec<&str> =
            known.flat_map(|(name, hash)| [name.as_str(), hash.as_str()]).collect();
        (!parts.is_empty()).then(|| hash::hash(parts))
    }
}

/// A text that is there and not empty, as the Go operator's objects have many.
fn given(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

/// Keys of the configuration that the environment of the pod sets.
fn elsewhere(spec: &HeadscaleSpec, secrets: &SecretsSpec) -> Vec<&'static str> {
    let references = [
        (DATABASE_PASSWORD, secrets.database_password.is_some()),
        (OIDC_SECRET, secrets.oidc_client_secret.is_some()),
        (OIDC_ISSUER, false),
    ];
    let is_set = |(path, is_referenced): &(&'static str, bool)| {
        let name = environment_name(path);
        *is_referenced || spec.extra_env.iter().any(|variable| variable.name == name)
    };
    references.into_iter().filter(is_set).map(|(path, _)| path).collect()
}

/// The configuration, and the policy where it is a file of ours.
fn render(
    spec: &HeadscaleSpec,
    secrets: &SecretsSpec,
    inputs: &Inputs,
    release: Version,
) -> (Rendered, Option<String>) {
    let config = spec.config.clone().map_or(Value::Null, Value::Object);
    let tls = secrets
        .tls
        .as_ref()
        .map(|_| TlsPaths { certificate: format!("{TLS}/tls.crt"), key: format!("{TLS}/tls.key") });
    let elsewhere = elsewhere(spec, secrets);
    let given = Given { state: DATA.to_owned(), tls, policy_path: None, elsewhere };
    let mut rendered = config::render(&config, release, &given);
    let Some(policy) = policy(spec, inputs, &mut rendered) else { return (rendered, None) };
    let given = Given { policy_path: Some(format!("{CONFIG}/{POLICY_FILE}")), ..given };
    (config::render(&config, release, &given), Some(policy))
}

/// Where the policy of an instance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyPlace {
    /// In Headscale's database.
    Database,
    /// In a file of ours.
    File,
    /// In a file of the user's own, with this path.
    OwnFile(String),
}

/// Where the policy of `headscale` stands, and whether it gets `randomizeClientPort` because the
/// configuration of its version asks for it. `has_base` says whether a whole policy was declared,
/// which takes the place of a file that is not mounted; parts of one do not.
///
/// Pure, as all of this module.
#[must_use]
pub fn policy_place(headscale: &Headscale, has_base: bool) -> (PolicyPlace, bool) {
    let spec = &headscale.spec;
    let secrets = spec.secrets.clone().unwrap_or_default();
    let config = spec.config.clone().map_or(Value::Null, Value::Object);
    let given = Given {
        state: DATA.to_owned(),
        tls: None,
        policy_path: None,
        elsewhere: elsewhere(spec, &secrets),
    };
    let rendered = config::render(&config, release(&spec.version), &given);
    let place = match text(&rendered.config, "policy.path") {
        _ if text(&rendered.config, "policy.mode") == Some("database") => PolicyPlace::Database,
        Some(path) if is_own_policy(spec, path, has_base) => PolicyPlace::OwnFile(path.to_owned()),
        _ => PolicyPlace::File,
    };
    (place, rendered.policy_randomize_client_port)
}

/// Whether the policy in this path is the user's own. A policy of tag owners alone lets everything
/// through, so it takes the place of no file, not even of one that is missing: without that
/// Headscale does not start.
fn is_own_policy(spec: &HeadscaleSpec, path: &str, has_base: bool) -> bool {
    let is_mounted = is_below(path, DATA)
        || spec.extra_volume_mounts.iter().any(|mount| is_below(path, &mount.mount_path));
    !has_base || is_mounted
}

/// The policy, where it is a file and not the user's own; of their own it is noted what that misses.
fn policy(spec: &HeadscaleSpec, inputs: &Inputs, rendered: &mut Rendered) -> Option<String> {
    if text(&rendered.config, "policy.mode") == Some("database") {
        return None;
    }
    let randomize = rendered.policy_randomize_client_port;
    if let Some(whole) = &inputs.policy {
        return compose_policy(Some(whole), &BTreeMap::new(), randomize);
    }
    let policy = spec.acl_policy.clone().unwrap_or_default();
    let inline = policy.inline.as_deref().filter(|text| !text.trim().is_empty());
    let composed = compose_policy(inline, &policy.tag_owners, randomize);
    match text(&rendered.config, "policy.path") {
        Some(path) if is_own_policy(spec, path, inline.is_some()) => {
            let note = composed.is_some().then(|| ConfigFinding::own_policy(path));
            rendered.notes.extend(note);
            rendered.notes.sort_by(|a, b| a.pointer.cmp(&b.pointer));
            None
        }
        _ => composed,
    }
}
