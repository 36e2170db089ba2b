//! Secrets that specs name: which keys they have and when they were changed, never what they hold.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::{Client, ResourceExt as _};

use crate::kubernetes::{KubernetesError, within};

/// What is known of a Secret.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Its resource version.
    pub(crate) version: String,
    /// Its keys.
    pub(crate) keys: BTreeSet<String>,
}

/// Those that were asked for, until they change. A watch must tell of changes.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    changes: u64,
    known: HashMap<(String, String), Option<Known>>,
}

impl Secrets {
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that a Secret was changed or is gone.
    pub(crate) fn changed(&self, namespace: &str, name: &str) {
        self.with(|inner| {
            inner.changes = inner.changes.wrapping_add(1);
            inner.known.remove(&(namespace.to_owned(), name.to_owned()));
        });
    }

    /// Notes that any may have been changed.
    pub(crate) fn all_changed(&self) {
        self.with(|inner| {
            inner.changes = inner.changes.wrapping_add(1);
            inner.known.clear();
        });
    }

    /// What is known of a Secret, read where that is needed; `None` where it is not there.
    ///
    /// # Errors
    ///
    /// When the API server cannot be read.
    pub(crate) async fn get(
        &self,
        client: &Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Known>, KubernetesError> {
        let place = (namespace.to_owned(), name.to_owned());
        let (changes, known) = self.with(|inner| (inner.changes, inner.known.get(&place).cloned()));
        if let Some(known) = known {
            return Ok(known);
        }
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let secret = within(|| format!("read Secret {name}"), api.get_opt(name)).await?;
        let known = secret.map(|secret| Known {
            version: secret.resource_version().unwrap_or_default(),
            keys: secret.data.unwrap_or_default().into_keys().collect(),
        });
        self.with(|inner| {
            // What was told of meanwhile may be newer.
            if inner.changes == changes {
                inner.known.insert(place, known.clone());
            }
        });
        Ok(known)
    }
}
