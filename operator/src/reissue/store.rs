//! The config Secret of a node, read and replaced whole.

use headscale_keys::secret::TYPE;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::Api;
use kube::{Resource as _, ResourceExt as _};

use super::document::Files;
use super::record::Record;
use crate::context::Context;
use crate::kubernetes::KubernetesError;
use crate::names::{
    MANAGED_BY, MANAGED_BY_LABEL, OWNER_LABEL, REISSUE_CONFIG, REISSUE_KEY_ANNOTATION,
    REISSUE_LABEL, REISSUE_RECORD_ANNOTATION, TYPE_LABEL,
};
use crate::secret_home::{self, Home};

/// What the name of a config Secret has after that of the state Secret.
pub(crate) const SUFFIX: &str = "-config";

/// Config Secrets of one state Secret.
pub(super) struct Store<'a> {
    context: &'a Context,
    api: Api<Secret>,
    owner: OwnerReference,
    pub(super) name: String,
}

/// What is written at once.
pub(super) struct Contents<'c> {
    pub(super) record: &'c Record,
    pub(super) files: Files,
    /// The HeadscalePreAuthKey that the keys are like.
    pub(super) template: &'c str,
}

impl<'a> Store<'a> {
    /// `None` of a Secret that was never stored.
    pub(super) fn new(context: &'a Context, state: &Secret) -> Option<Self> {
        let api = Api::namespaced(context.client.clone(), &state.namespace()?);
        // It goes with the state Secret, and holds nobody up who deletes that.
        let owner = OwnerReference {
            block_owner_deletion: None,
            controller: Some(true),
            ..state.controller_owner_ref(&())?
        };
        Some(Self { context, api, owner, name: format!("{}{SUFFIX}", state.name_any()) })
    }

    /// The config Secret.
    pub(super) async fn get(&self) -> Result<Home, KubernetesError> {
        secret_home::read(&self.api, &self.name, |secret| self.foreign(secret)).await
    }

    /// Whose it is, if not ours. What was made for a state Secret of the same name that is gone is
    /// ours too.
    fn foreign(&self, secret: &Secret) -> Option<String> {
        let label = |name: &str| secret.labels().get(name).map(String::as_str);
        let controller = secret.owner_references().iter().find(|it| it.controller == Some(true));
        if secret.immutable == Some(true) {
            return Some("it is immutable".to_owned());
        }
        if let Some(kind) = secret.type_.as_deref().filter(|kind| *kind != TYPE) {
            return Some(format!("it is of type {kind}, expected {TYPE}"));
        }
        if label(REISSUE_LABEL).is_some() {
            return Some("it is a state Secret itself".to_owned());
        }
        if label(MANAGED_BY_LABEL) != Some(MANAGED_BY) || label(TYPE_LABEL) != Some(REISSUE_CONFIG)
        {
            return Some(format!(
                "it does not have the labels {MANAGED_BY_LABEL}={MANAGED_BY} and \
                 {TYPE_LABEL}={REISSUE_CONFIG}"
            ));
        }
        let is_other = |it: &&OwnerReference| {
            it.uid != self.owner.uid && (it.kind != self.owner.kind || it.name != self.owner.name)
        };
        controller.filter(is_other).map(|it| format!("{} {} controls it", it.kind, it.name))
    }

    /// Whether owner and label are as they are written.
    pub(super) fn is_owned(&self, secret: &Secret) -> bool {
        secret.owner_references().contains(&self.owner)
            && secret.labels().get(OWNER_LABEL) == Some(&self.owner.uid)
    }

    /// Replaces exactly what was read, or creates it where nothing was. Never repeated: after an
    /// error it may have been done all the same.
    pub(super) async fn replace(
        &self,
        read: Option<&Secret>,
        contents: Contents<'_>,
    ) -> Result<Secret, KubernetesError> {
        // What is not ours goes back as it was read, and the version with it: the API server
        // refuses to replace another one.
        let mut secret = read.cloned().unwrap_or_default();
        let (name, meta) = (&self.name, &mut secret.metadata);
        meta.name = Some(name.clone());
        meta.managed_fields = None;
        let labels = meta.labels.get_or_insert_default();
        for (label, value) in [
            (MANAGED_BY_LABEL, MANAGED_BY),
            (TYPE_LABEL, REISSUE_CONFIG),
            (OWNER_LABEL, &self.owner.uid),
        ] {
            labels.insert(label.to_owned(), value.to_owned());
        }
        let annotations = meta.annotations.get_or_insert_default();
        annotations.insert(REISSUE_KEY_ANNOTATION.to_owned(), contents.template.to_owned());
        annotations.insert(REISSUE_RECORD_ANNOTATION.to_owned(), contents.record.to_json());
        let owners = meta.owner_references.get_or_insert_default();
        owners.retain(|owner| owner.controller != Some(true) && owner.uid != self.owner.uid);
        owners.push(self.owner.clone());
        secret.type_ = Some(TYPE.to_owned());
        secret.data = (!contents.files.is_empty()).then_some(contents.files);
        secret_home::write(&self.api, name, &secret, &self.context.metrics).await
    }
}
