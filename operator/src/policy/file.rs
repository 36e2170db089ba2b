//! A policy that Headscale reads from a file: a key of the instance's ConfigMap.

use std::collections::BTreeMap;
use std::sync::Arc;

use headscale_api::desired::compose_policy;
use headscale_api::kinds::Headscale;
use headscale_api::kinds::names::POLICY_HASH_ANNOTATION;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::{Resource, ResourceExt as _};

use super::shift::Configured;
use crate::context::Context;
use crate::headscale::rollout::Rollout;
use crate::kubernetes::{KubernetesError, within};

/// The text as it stands where Headscale reads it.
pub(super) fn final_text(text: &str, randomize_client_port: bool) -> String {
    let text_of = compose_policy(Some(text), &BTreeMap::new(), randomize_client_port);
    text_of.unwrap_or_else(|| text.to_owned())
}

/// The StatefulSet of an instance.
pub(super) fn stateful_set(context: &Context, headscale: &Headscale) -> Option<Arc<StatefulSet>> {
    let (namespace, uid) = (headscale.namespace(), headscale.meta().uid.as_deref()?);
    let is_ours = |set: &StatefulSet| {
        let owner = set.owner_references().iter().find(|owner| owner.controller == Some(true));
        set.namespace() == namespace && owner.is_some_and(|owner| owner.uid == uid)
    };
    context.stores.stateful_sets.find(is_ours)
}

/// Whether an instance has a StatefulSet.
pub(super) fn has_pods(context: &Context, headscale: &Headscale) -> bool {
    stateful_set(context, headscale).is_some()
}

/// What Headscale reads when it starts the next time.
///
/// # Errors
///
/// When the ConfigMap cannot be read.
pub(super) async fn configured(
    context: &Context,
    headscale: &Headscale,
) -> Result<Option<Configured>, KubernetesError> {
    let Some(set) = stateful_set(context, headscale) else { return Ok(None) };
    let template = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let volumes = template.and_then(|pod| pod.volumes.as_deref()).unwrap_or_default();
    let names = volumes.iter().filter_map(|volume| Some(&volume.config_map.as_ref()?.name));
    let api: Api<ConfigMap> =
        Api::namespaced(context.client.clone(), &headscale.namespace().unwrap_or_default());
    for name in names {
        let read = within(|| format!("read ConfigMap {name}"), api.get_opt(name)).await?;
        let is_ours = |map: &ConfigMap| {
            map.owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == headscale.meta().uid.as_ref())
        };
        if let Some(map) = read.filter(is_ours) {
            return Ok(Some(Configured::of(&map)));
        }
    }
    Ok(None)
}

/// Whether the pods of an instance are made with a policy in a file of ours.
pub(super) fn is_in_template(context: &Context, headscale: &Headscale) -> bool {
    stateful_set(context, headscale).is_some_and(|set| annotated(&set).is_some())
}

/// Whether the pod that answers may be one that is being replaced.
pub(super) fn is_rolling(context: &Context, headscale: &Headscale) -> bool {
    let set = stateful_set(context, headscale);
    set.is_some_and(|set| Rollout::of(Some(&set)) == Rollout::Rolling)
}

/// The hash of the policy that pods are made with.
fn annotated(set: &StatefulSet) -> Option<&String> {
    let template = set.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(POLICY_HASH_ANNOTATION)
}

/// Whether the pod runs with the policy of this hash; one that did does also while it is not ready.
pub(super) fn is_rolled_out(
    context: &Context,
    headscale: &Headscale,
    hash: &str,
    did_before: bool,
) -> bool {
    let Some(set) = stateful_set(context, headscale) else { return false };
    let has_hash = annotated(&set).is_some_and(|has| has == hash);
    let Some(status) = &set.status else { return false };
    let is_seen = status.observed_generation >= set.metadata.generation;
    let is_updated = status.update_revision == status.current_revision
        || status.updated_replicas == Some(status.replicas);
    has_hash && is_seen && is_updated && (did_before || status.ready_replicas >= Some(1))
}
