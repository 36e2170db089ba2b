//! Secrets that the operator writes keys into, each replaced exactly as it was read.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};

use crate::kubernetes::{KubernetesError, within};
use crate::metrics::Metrics;
use crate::names::FIELD_MANAGER;

/// A Secret, by whose it is.
#[derive(Debug)]
pub(crate) enum Home {
    /// There is none.
    Missing,
    /// Ours.
    Ours(Box<Secret>),
    /// Somebody else's, and why.
    Foreign(String),
}

/// Reads the Secret of this name; `foreign` says whose it is, if not ours.
///
/// # Errors
///
/// When the API server cannot be read.
pub(crate) async fn read(
    api: &Api<Secret>,
    name: &str,
    foreign: impl FnOnce(&Secret) -> Option<String>,
) -> Result<Home, KubernetesError> {
    let read = within(|| format!("read Secret {name}"), api.get_opt(name)).await?;
    Ok(match read {
        None => Home::Missing,
        Some(secret) => match foreign(&secret) {
            None => Home::Ours(Box::new(secret)),
            Some(why) => Home::Foreign(why),
        },
    })
}

/// Creates the Secret of this name, or replaces the one whose version `secret` has. Never repeated:
/// after an error it may have been done all the same.
///
/// # Errors
///
/// When the API server does not take it, such as for another version than there is.
pub(crate) async fn write(
    api: &Api<Secret>,
    name: &str,
    secret: &Secret,
    metrics: &Metrics,
) -> Result<Secret, KubernetesError> {
    let params =
        PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let (verb, written) = if secret.metadata.resource_version.is_none() {
        let what = || format!("create Secret {name}");
        ("create", within(what, api.create(&params, secret)).await?)
    } else {
        let what = || format!("update Secret {name}");
        ("update", within(what, api.replace(name, &params, secret)).await?)
    };
    metrics.wrote("Secret", verb);
    Ok(written)
}
