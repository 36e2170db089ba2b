//! The Secret, read and replaced whole.

use std::collections::BTreeMap;
use std::future::Future;

use headscale_keys::Contents;
use headscale_service::kubernetes::LIMIT;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::api::{Api, PostParams};
use kube::core::Status;
use thiserror::Error;

use crate::kubernetes::FIELD_MANAGER;

/// Where key and record are kept: one value that is replaced as a whole, or not at all.
pub trait KeyRecordStore: Send + Sync {
    /// What was read: proof of what a replacement replaces.
    type Version: Send + Sync;

    /// What there is now, never older than the last successful replacement; `None` where there is
    /// nothing.
    ///
    /// # Errors
    ///
    /// See [`StoreError`].
    fn load(
        &self,
    ) -> impl Future<Output = Result<Option<(Contents, Self::Version)>, StoreError>> + Send;

    /// Replaces exactly what was read (or creates it where nothing was). Never repeated: after an
    /// error it may have been done all the same.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when anything else was written meanwhile: then it was not done.
    fn replace(
        &self,
        read: Option<&Self::Version>,
        contents: &Contents,
    ) -> impl Future<Output = Result<Self::Version, StoreError>> + Send;
}

/// Why the Secret could not be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Somebody else wrote it since it was read.
    #[error("Secret {0}: somebody else wrote it meanwhile; looking again")]
    Conflict(String),
    /// The API server says no.
    #[error("Secret {name}: {verb} is forbidden: {message}; the Role needs {needs}")]
    Forbidden {
        /// The Secret.
        name: String,
        /// What was tried.
        verb: &'static str,
        /// What the API server says.
        message: String,
        /// What is missing.
        needs: &'static str,
    },
    /// There is no such namespace.
    #[error("namespace {0} does not exist: create it, or name another with --namespace")]
    Namespace(String),
    /// The API server said nothing for too long.
    #[error("Secret {name}: {verb}: no answer within {}s", LIMIT.as_secs())]
    Timeout {
        /// The Secret.
        name: String,
        /// What was tried.
        verb: &'static str,
    },
    /// Anything else; the API server may be away.
    #[error("Secret {name}: {verb}: {error}")]
    Kubernetes {
        /// The Secret.
        name: String,
        /// What was tried.
        verb: &'static str,
        /// Why.
        error: Box<kube::Error>,
    },
}

impl StoreError {
    /// One word, for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            Self::Forbidden { .. } => "forbidden",
            Self::Namespace(_) => "namespace",
            Self::Timeout { .. } => "kubernetes_timeout",
            Self::Kubernetes { .. } => "kubernetes",
        }
    }
}

/// A Secret of the cluster.
#[derive(Clone, Debug)]
pub struct SecretStore {
    api: Api<Secret>,
    namespace: String,
    name: String,
}

impl SecretStore {
    /// The Secret `name` in `namespace`.
    #[must_use]
    pub fn new(client: kube::Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// What an Event about the Secret is about: the object that owns it, else itself.
    #[must_use]
    pub fn subject(&self, version: Option<&Secret>) -> ObjectReference {
        let owners = version.and_then(|secret| secret.metadata.owner_references.as_ref());
        let owner = owners.and_then(|owners| {
            owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())
        });
        let namespace = Some(self.namespace.clone());
        match owner {
            Some(owner) => ObjectReference {
                api_version: Some(owner.api_version.clone()),
                kind: Some(owner.kind.clone()),
                name: Some(owner.name.clone()),
                uid: Some(owner.uid.clone()),
                namespace,
                ..ObjectReference::default()
            },
            None => ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Secret".to_owned()),
                name: Some(self.name.clone()),
                uid: version.and_then(|secret| secret.metadata.uid.clone()),
                namespace,
                ..ObjectReference::default()
            },
        }
    }

    async fn within<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, StoreError> {
        let Ok(answer) = tokio::time::timeout(LIMIT, call).await else {
            return Err(StoreError::Timeout {
                name: format!("{}/{}", self.namespace, self.name),
                verb,
            });
        };
        answer.map_err(|error| self.failure(verb, error))
    }

    fn failure(&self, verb: &'static str, error: kube::Error) -> StoreError {
        let name = format!("{}/{}", self.namespace, self.name);
        let kube::Error::Api(status) = &error else {
            return StoreError::Kubernetes { name, verb, error: Box::new(error) };
        };
        match status.code {
            409 => StoreError::Conflict(name),
            403 if is_ending(status) => {
                StoreError::Kubernetes { name, verb, error: Box::new(error) }
            }
            403 => StoreError::Forbidden {
                name,
                verb,
                message: status.message.clone(),
                needs: match verb {
                    "create" => "create on secrets",
                    "get" => "get on this Secret",
                    _ => "update on this Secret",
                },
            },
            404 if verb == "create" => StoreError::Namespace(self.namespace.clone()),
            // It was there when it was read.
            404 if verb == "update" => StoreError::Conflict(name),
            _ => StoreError::Kubernetes { name, verb, error: Box::new(error) },
        }
    }
}

/// Whether nothing can be made because the namespace is being deleted.
fn is_ending(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| {
        details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
    })
}

impl KeyRecordStore for SecretStore {
    type Version = Secret;

    async fn load(&self) -> Result<Option<(Contents, Secret)>, StoreError> {
        let read = self.within("get", self.api.get_opt(&self.name)).await?;
        Ok(read.map(|secret| (contents(&secret), secret)))
    }

    async fn replace(
        &self,
        read: Option<&Secret>,
        contents: &Contents,
    ) -> Result<Secret, StoreError> {
        // What is not ours goes back as it was read, and the version with it: the API server
        // refuses to replace another one.
        let mut secret = read.cloned().unwrap_or_default();
        secret.metadata.name = Some(self.name.clone());
        secret.metadata.managed_fields = None;
        secret.metadata.labels = some(contents.labels.clone());
        secret.metadata.annotations = some(contents.annotations.clone());
        secret.type_ = contents.kind.clone();
        let data =
            contents.data.iter().map(|(name, value)| (name.clone(), ByteString(value.clone())));
        secret.data = some(data.collect());
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match read {
            None => self.within("create", self.api.create(&params, &secret)).await,
            Some(_) => self.within("update", self.api.replace(&self.name, &params, &secret)).await,
        }
    }
}

fn some<V>(map: BTreeMap<String, V>) -> Option<BTreeMap<String, V>> {
    (!map.is_empty()).then_some(map)
}

fn contents(secret: &Secret) -> Contents {
    let data = secret.data.iter().flatten();
    Contents {
        labels: secret.metadata.labels.clone().unwrap_or_default(),
        annotations: secret.metadata.annotations.clone().unwrap_or_default(),
        data: data.map(|(name, value)| (name.clone(), value.0.clone())).collect(),
        kind: secret.type_.clone(),
        immutable: secret.immutable == Some(true),
    }
}
