//! The volume of an instance: a StatefulSet's claims never change, but the volumes can grow.

use std::time::Duration;

use headscale_api::kinds::Headscale;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::decide::Block;
use crate::context::Context;
use crate::kubernetes::{KubernetesError, within};
use crate::names::FIELD_MANAGER;
use crate::objects;

/// The claim's name in the StatefulSet.
const CLAIM: &str = "data";

/// What came of the size that a spec asks for.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    size: String,
    at: Duration,
    block: Option<Block>,
}

/// The name of the claim of the pod.
pub(super) fn claim_name(set: &StatefulSet) -> String {
    format!("{CLAIM}-{}-0", set.name_any())
}

/// Has the volume grow to what the spec asks for; tells why where it does not.
///
/// # Errors
///
/// When the API server cannot be read or written.
pub(super) async fn grow(
    context: &Context,
    headscale: &Headscale,
    set: &StatefulSet,
) -> Result<Option<Block>, KubernetesError> {
    let wanted = headscale.spec.persistent_volume_claim.as_ref();
    let Some(size) = wanted.and_then(|claim| claim.size.as_ref()).map(ToString::to_string) else {
        return Ok(None);
    };
    let templates = set.spec.iter().flat_map(|spec| spec.volume_claim_templates.iter().flatten());
    let template = templates.into_iter().find(|claim| claim.name_any() == CLAIM);
    if template.and_then(requested).is_some_and(|made| bytes(&made) == bytes(&size)) {
        return Ok(None);
    }
    let uid = headscale.uid().unwrap_or_default();
    let now = context.clock.now();
    let looked = context.memory(&uid, |memory| memory.instance.volume.clone());
    if let Some(looked) = looked.filter(|looked| looked.size == size)
        && now < looked.at.saturating_add(context.settings.resync)
    {
        return Ok(looked.block);
    }
    let block = grow_to(context, headscale, &claim_name(set), &size).await?;
    let looked = Looked { size, at: now, block: block.clone() };
    context.memory(&uid, |memory| memory.instance.volume = Some(looked));
    Ok(block)
}

async fn grow_to(
    context: &Context,
    headscale: &Headscale,
    name: &str,
    size: &str,
) -> Result<Option<Block>, KubernetesError> {
    let namespace = headscale.namespace().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &namespace);
    let what = || format!("read PersistentVolumeClaim {name}");
    // One that is not there yet is made by the StatefulSet, with the size that that has.
    let Some(claim) = within(what, claims.get_opt(name)).await? else { return Ok(None) };
    let is = requested(&claim).unwrap_or_default();
    let (Some(has), Some(wants)) = (bytes(&is), bytes(size)) else { return Ok(None) };
    if wants < has {
        let message = format!(
            "spec.persistent_volume_claim.size is {size}, and the volume has {is}: volumes never \
             shrink, set it to {is}"
        );
        return Ok(Some(Block::new("VolumeNotShrunk", message)));
    }
    if wants <= has {
        return Ok(None);
    }
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let requests = json!({ "requests": { "storage": size } });
    let patch = Patch::Merge(json!({ "spec": { "resources": requests } }));
    let what = || format!("grow PersistentVolumeClaim {name}");
    match within(what, claims.patch(name, &params, &patch)).await {
        Ok(_) => {
            context.metrics.wrote("PersistentVolumeClaim", "patch");
            let note = format!("PersistentVolumeClaim {name} grows from {is} to {size}");
            objects::tell(context, headscale, true, "VolumeGrown", &note).await;
            Ok(None)
        }
        Err(error) if matches!(error.code(), Some(403 | 422)) => {
            let message = format!(
                "PersistentVolumeClaim {name} does not grow from {is} to {size}: {error}; where \
                 its StorageClass has no allowVolumeExpansion, copy the data to a larger volume by \
                 hand, or set spec.persistent_volume_claim.size back"
            );
            Ok(Some(Block::new("VolumeNotGrown", message)))
        }
        Err(error) => Err(error),
    }
}

fn requested(claim: &PersistentVolumeClaim) -> Option<String> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    requests.get("storage").map(|size| size.0.clone())
}

/// An amount as a number; `None` where it is none.
fn bytes(amount: &str) -> Option<f64> {
    let end = amount.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(amount.len());
    let (number, unit) = (amount.get(..end)?, amount.get(end..)?);
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => f64::from(1 << 10),
        "Mi" => f64::from(1 << 20),
        "Gi" => f64::from(1 << 30),
        "Ti" => f64::from(1 << 20) * f64::from(1 << 20),
        "Pi" => f64::from(1 << 30) * f64::from(1 << 20),
        "Ei" => f64::from(1 << 30) * f64::from(1 << 30),
        // `1e3`
        _ => return amount.parse().ok(),
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}
