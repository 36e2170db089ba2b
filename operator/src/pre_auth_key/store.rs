//! The Secret of a key, read and replaced whole.

use std::collections::BTreeMap;

use headscale_api::kinds::HeadscalePreAuthKey;
use headscale_keys::Contents;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use kube::{Client, Resource as _, ResourceExt as _};

use crate::kubernetes::{KubernetesError, within};
use crate::metrics::Metrics;
use crate::names::OWNER_LABEL;
use crate::secret_home::{self, Home};

/// The Secrets of one object.
pub(super) struct Store {
    api: Api<Secret>,
    owner: OwnerReference,
    uid: String,
    metrics: Metrics,
}

impl Store {
    /// `None` of an object that was never stored.
    pub(super) fn new(client: Client, key: &HeadscalePreAuthKey, metrics: Metrics) -> Option<Self> {
        let namespace = key.namespace()?;
        let owner = key.controller_owner_ref(&())?;
        let uid = owner.uid.clone();
        Some(Self { api: Api::namespaced(client, &namespace), owner, uid, metrics })
    }

    /// The Secret of this name.
    pub(super) async fn get(&self, name: &str) -> Result<Home, KubernetesError> {
        secret_home::read(&self.api, name, |secret| self.foreign(secret)).await
    }

    /// All Secrets that are ours, by their label.
    pub(super) async fn all(&self) -> Result<Vec<Secret>, KubernetesError> {
        let params = ListParams::default().labels(&format!("{OWNER_LABEL}={}", self.uid));
        let found = within(|| "list Secrets".to_owned(), self.api.list(&params)).await?;
        Ok(found.items.into_iter().filter(|secret| self.foreign(secret).is_none()).collect())
    }

    /// Whose it is, if not ours. It is ours where we control it or, where nobody does, its label
    /// says so.
    fn foreign(&self, secret: &Secret) -> Option<String> {
        let owners = secret.owner_references();
        match owners.iter().find(|owner| owner.controller == Some(true)) {
            Some(owner) if owner.uid == self.uid => None,
            Some(owner) => Some(format!("{} {} controls it", owner.kind, owner.name)),
            None if secret.labels().get(OWNER_LABEL) == Some(&self.uid) => None,
            None => Some("it is not controlled by this object".to_owned()),
        }
    }

    /// Whether owner and label are as they are written.
    pub(super) fn is_owned(&self, secret: &Secret) -> bool {
        secret.owner_references().contains(&self.owner)
            && secret.labels().get(OWNER_LABEL) == Some(&self.uid)
    }

    /// Replaces exactly what was read, or creates it where nothing was. Never repeated: after an
    /// error it may have been done all the same.
    pub(super) async fn replace(
        &self,
        name: &str,
        read: Option<&Secret>,
        contents: &Contents,
    ) -> Result<Secret, KubernetesError> {
        // What is not ours goes back as it was read, and the version with it: the API server
        // refuses to replace another one.
        let mut secret = read.cloned().unwrap_or_default();
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.managed_fields = None;
        let mut labels = contents.labels.clone();
        labels.insert(OWNER_LABEL.to_owned(), self.uid.clone());
        secret.metadata.labels = some(labels);
        secret.metadata.annotations = some(contents.annotations.clone());
        let owners = secret.metadata.owner_references.get_or_insert_default();
        owners.retain(|owner| owner.uid != self.uid);
        owners.push(self.owner.clone());
        secret.type_ = contents.kind.clone();
        let data =
            contents.data.iter().map(|(name, value)| (name.clone(), ByteString(value.clone())));
        secret.data = some(data.collect());
        secret_home::write(&self.api, name, &secret, &self.metrics).await
    }

    /// Deletes exactly what was read. That it is not there is success.
    pub(super) async fn delete(&self, read: &Secret) -> Result<(), KubernetesError> {
        let name = read.name_any();
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                resource_version: read.resource_version(),
                uid: read.uid(),
            }),
            ..DeleteParams::default()
        };
        let what = || format!("delete Secret {name}");
        match within(what, self.api.delete(&name, &params)).await {
            Ok(_) => self.metrics.wrote("Secret", "delete"),
            Err(error) if error.code() == Some(404) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn some<V>(map: BTreeMap<String, V>) -> Option<BTreeMap<String, V>> {
    (!map.is_empty()).then_some(map)
}

/// Labels, annotations and data of a Secret.
pub(super) fn contents(secret: &Secret) -> Contents {
    let data = secret.data.iter().flatten();
    Contents {
        labels: secret.metadata.labels.clone().unwrap_or_default(),
        annotations: secret.metadata.annotations.clone().unwrap_or_default(),
        data: data.map(|(name, value)| (name.clone(), value.0.clone())).collect(),
        kind: secret.type_.clone(),
        immutable: secret.immutable == Some(true),
    }
}
