//! What [`desired_state`](super::desired_state) is told besides the spec.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Volume;

use super::names::Names;
use crate::kinds::{Headscale, HeadscaleSpec};

/// The image of the sidecar of this release.
pub const DEFAULT_SIDECAR_IMAGE: &str =
    concat!("ghcr.io/infradohq/kubectl-headscale/sidecar:v", env!("CARGO_PKG_VERSION"));

/// What the spec does not say. The default is what is known where no cluster is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// The policy, where it is a file: all of it, with `tagOwners` and `autoApprovers`. `None`: that
    /// of `spec.acl_policy`. With `policy.mode: database` nothing here counts.
    pub policy: Option<String>,
    /// By the name of a Secret, what changes whenever its content does, for those that
    /// [`referenced_secrets`] names and for [`Names::inline_secrets`]. Whoever can read a
    /// StatefulSet can try guesses on the hash of a password, so give a `resourceVersion`.
    ///
    /// A Secret that is not here rolls nothing. That of the inline ones is one of the objects:
    /// apply it, and make the others with what it has then, or the pod is replaced once more.
    pub secret_hashes: BTreeMap<String, String>,
    /// Objects that the instance has already.
    pub existing: Existing,
    /// The image of the sidecar.
    pub sidecar_image: String,
    /// Whether the database and the noise key are copied before the server starts, once for each
    /// minor version. Only SQLite is; the volume must have room for the copy.
    pub backup: bool,
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            policy: None,
            secret_hashes: BTreeMap::new(),
            existing: Existing::default(),
            sidecar_image: DEFAULT_SIDECAR_IMAGE.to_owned(),
            backup: false,
        }
    }
}

/// What stays as it is, because Kubernetes does not let it change or somebody counts on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Existing {
    /// The names of the objects: `None` for those of a new instance.
    pub names: Option<Names>,
    /// The StatefulSet that the instance controls: its selector, the name of its Service, how its
    /// pods are managed, and its claims. The rest of it is not carried over, but what the Go
    /// operator owns of it stays beside what is applied, such as a container that is no longer
    /// wanted: take over its fields first.
    pub stateful_set: Option<StatefulSet>,
}

/// The Secrets whose content the pod only reads when it starts: those of `spec.secrets`, of
/// `spec.extra_env`, and of `spec.extra_volumes` where they are mounted. Headscale reads
/// certificates and secrets from files once.
#[must_use]
pub fn referenced_secrets(headscale: &Headscale) -> BTreeSet<String> {
    let ca = headscale.spec.secrets.as_ref().and_then(|secrets| secrets.ca.as_ref());
    let mut names = of_the_server(&headscale.spec);
    names.extend(ca.map(|ca| ca.name.clone()).filter(|name| !name.is_empty()));
    names
}

/// The same without that of the sidecar.
pub(super) fn of_the_server(spec: &HeadscaleSpec) -> BTreeSet<String> {
    let secrets = spec.secrets.clone().unwrap_or_default();
    let keys = [secrets.database_password, secrets.oidc_client_secret];
    let variables = spec.extra_env.iter().filter_map(|variable| {
        Some(variable.value_from.as_ref()?.secret_key_ref.as_ref()?.name.clone())
    });
    let is_mounted =
        |volume: &&Volume| spec.extra_volume_mounts.iter().any(|mount| mount.name == volume.name);
    keys.into_iter()
        .flatten()
        .map(|reference| reference.name)
        .chain(secrets.tls.map(|tls| tls.name))
        .chain(variables)
        .chain(spec.extra_volumes.iter().filter(is_mounted).flat_map(in_volume))
        .filter(|name| !name.is_empty())
        .collect()
}

/// The Secrets that a volume shows.
fn in_volume(volume: &Volume) -> impl Iterator<Item = String> {
    let whole = volume.secret.iter().filter_map(|secret| secret.secret_name.clone());
    let sources = volume.projected.iter().filter_map(|projected| projected.sources.as_ref());
    let parts = sources.flatten().filter_map(|source| Some(source.secret.as_ref()?.name.clone()));
    whole.chain(parts)
}
