//! The state Secret of a node.

use std::collections::BTreeMap;
use std::time::Duration;

use headscale_keys::AuthKey;
use headscale_keys::reissue::{
    CURRENT_PROFILE, Clearing, REISSUE_AUTHKEY, SecretPatch, clear, marker,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use thiserror::Error;

use crate::kubernetes::FIELD_MANAGER;

/// How often a write is tried that others keep overtaking.
const ATTEMPTS: u32 = 20;
/// The pause after the first failure; it doubles with each.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why the state Secret could not be read or written.
#[derive(Debug, Error)]
pub enum StateError {
    /// There is none.
    #[error(
        "Secret {namespace}/{name} is not there: it is the node's state Secret, which tailscaled \
         (--state=kube:{name}) or the operator makes"
    )]
    Missing {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A right is missing.
    #[error("Secret {namespace}/{name}: not allowed to {verb} it: the Role needs {verb} on it")]
    Forbidden {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Which right.
        verb: &'static str,
    },
    /// Others wrote it each time between reading and writing.
    #[error("Secret {namespace}/{name}: others kept changing it")]
    Contended {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The API server cannot be reached, or refuses.
    #[error("Secret {namespace}/{name}: {source}")]
    Api {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("Secret {namespace}/{name}: the API server did not answer within 30 s")]
    Timeout {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl StateError {
    /// Whether trying again may help.
    fn is_passing(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Forbidden { .. } | Self::Contended { .. } => false,
            Self::Timeout { .. } => true,
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => status.code == 429 || status.code >= 500,
                kube::Error::HyperError(_) | kube::Error::Service(_) => true,
                _ => false,
            },
        }
    }
}

/// A node's state Secret: one name in one namespace.
#[derive(Clone)]
pub struct StateSecret {
    api: Api<Secret>,
    namespace: String,
    name: String,
}

/// What of it is looked at.
struct Seen {
    marker: Option<AuthKey>,
    current_profile: Option<String>,
    resource_version: Option<String>,
}

impl StateSecret {
    /// The Secret `name` in `namespace`, or in the client's own.
    #[must_use]
    pub fn new(client: &kube::Client, namespace: Option<&str>, name: &str) -> Self {
        let namespace = namespace.unwrap_or(client.default_namespace()).to_owned();
        let api = Api::namespaced(client.clone(), &namespace);
        Self { api, namespace, name: name.to_owned() }
    }

    /// The marker, `None` where nothing is requested or the Secret is not there.
    ///
    /// # Errors
    ///
    /// [`StateError`]; what passes is waited out.
    pub async fn marker(&self) -> Result<Option<AuthKey>, StateError> {
        Ok(self.patiently(|| self.get()).await?.and_then(|seen| seen.marker))
    }

    /// Writes `patch`, whoever else writes.
    ///
    /// # Errors
    ///
    /// [`StateError`]; what passes is waited out.
    pub async fn apply(&self, patch: &SecretPatch) -> Result<(), StateError> {
        self.until_written(|| self.patch(patch, None)).await
    }

    /// Clears what `clearing` says in one write that fails, and is made anew, where somebody else
    /// wrote since it was read: the profile in use may be another one then. A Secret that is not
    /// there is clear.
    ///
    /// # Errors
    ///
    /// [`StateError`]; what passes is waited out.
    pub async fn clear(&self, clearing: Clearing) -> Result<(), StateError> {
        let write = || async {
            let Some(seen) = self.get().await? else {
                return Ok(true);
            };
            let patch = clear(clearing, seen.current_profile.as_deref());
            self.patch(&patch, seen.resource_version.as_deref()).await
        };
        self.until_written(write).await
    }

    /// Makes `write` anew until it is not overtaken.
    async fn until_written<F>(&self, mut write: impl FnMut() -> F) -> Result<(), StateError>
    where
        F: Future<Output = Result<bool, StateError>>,
    {
        for _ in 0..ATTEMPTS {
            if self.patiently(&mut write).await? {
                return Ok(());
            }
        }
        Err(StateError::Contended { namespace: self.namespace.clone(), name: self.name.clone() })
    }

    async fn get(&self) -> Result<Option<Seen>, StateError> {
        let Some(secret) = self.within(self.api.get_opt(&self.name), "get").await? else {
            return Ok(None);
        };
        let data = secret.data.unwrap_or_default();
        let value = |name: &str| data.get(name).map(|value| value.0.as_slice());
        Ok(Some(Seen {
            marker: marker(value(REISSUE_AUTHKEY)),
            current_profile: value(CURRENT_PROFILE)
                .map(|name| String::from_utf8_lossy(name).into_owned()),
            resource_version: secret.metadata.resource_version,
        }))
    }

    /// One PATCH. `false`: it was overtaken, and did nothing.
    async fn patch(&self, patch: &SecretPatch, version: Option<&str>) -> Result<bool, StateError> {
        let data: BTreeMap<&str, Option<ByteString>> = patch
            .data()
            .map(|(name, value)| (name, value.map(|text| ByteString(text.as_bytes().to_vec()))))
            .collect();
        let body = match version {
            Some(version) => json!({ "metadata": { "resourceVersion": version }, "data": data }),
            None => json!({ "data": data }),
        };
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let body = Patch::Strategic(body);
        let written = self.api.patch_metadata(&self.name, &parameters, &body);
        match self.within(written, "patch").await {
            Ok(_) => Ok(true),
            Err(StateError::Api { source, .. }) if matches!(source.as_ref(), kube::Error::Api(status) if status.code == 409) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn within<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
        verb: &'static str,
    ) -> Result<T, StateError> {
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        let Ok(answer) = tokio::time::timeout(TIMEOUT, request).await else {
            return Err(StateError::Timeout { namespace, name });
        };
        answer.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 404 => {
                StateError::Missing { namespace, name }
            }
            kube::Error::Api(status) if status.code == 403 => {
                StateError::Forbidden { namespace, name, verb }
            }
            error => StateError::Api { namespace, name, source: Box::new(error) },
        })
    }

    /// Tries until it is done or will not be. How long is the caller's to bound.
    async fn patiently<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T, StateError>
    where
        F: Future<Output = Result<T, StateError>>,
    {
        let mut pause = PAUSE;
        loop {
            match request().await {
                Err(error) if error.is_passing() => {
                    tracing::warn!(%error, retry_in = ?pause, "the state Secret is out of reach");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                done => return done,
            }
        }
    }
}
