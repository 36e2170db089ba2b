//! What is asked for: the state Secret of a node, and whom its keys may be like.

use headscale_api::kinds::HeadscalePreAuthKey;
use headscale_keys::AuthKey;
use headscale_keys::reissue::{
    DEVICE_ID, NodeId, Policy, REISSUE_AUTHKEY, TAILSCALE_CAPVER, marker,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use crate::names::{REISSUE_POLICY_ANNOTATION, REISSUE_TO_ANNOTATION};
use crate::objects;
use crate::stored;

/// What a state Secret says. All of it was written by the pod, and none of it is believed.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The marker, where it asks.
    pub marker: Option<AuthKey>,
    /// The node that it says it is.
    pub device: Option<NodeId>,
    /// The capability version of its tailscaled.
    pub capability: Option<u32>,
    /// Since when it asks, where the API server knows.
    pub since: Option<Timestamp>,
}

impl Request {
    /// Reads it.
    #[must_use]
    pub fn read(state: &Secret) -> Self {
        let field = |name: &str| state.data.as_ref()?.get(name).map(|bytes| &*bytes.0);
        let text = |name: &str| std::str::from_utf8(field(name)?).ok();
        Self {
            marker: marker(field(REISSUE_AUTHKEY)),
            device: text(DEVICE_ID).and_then(|id| id.parse().ok()).map(NodeId),
            capability: text(TAILSCALE_CAPVER).and_then(|version| version.parse().ok()),
            since: since(state),
        }
    }
}

/// When the marker was written.
fn since(state: &Secret) -> Option<Timestamp> {
    let field = format!("f:{REISSUE_AUTHKEY}");
    let wrote = state.metadata.managed_fields.iter().flatten().filter(|by| {
        let fields = by.fields_v1.as_ref().and_then(|fields| fields.0.get("f:data"));
        fields.is_some_and(|data| data.get(&field).is_some())
    });
    wrote.filter_map(|by| by.time.as_ref()).map(|time| time.0).max()
}

/// What becomes of the old node of this state Secret.
///
/// # Errors
///
/// What is wrong with the annotation.
pub fn policy(state: &Secret) -> Result<Policy, String> {
    match state.annotations().get(REISSUE_POLICY_ANNOTATION).map(String::as_str) {
        None | Some("Recreate") => Ok(Policy::Recreate),
        Some("KeepOld") => Ok(Policy::KeepOld),
        Some(other) => Err(format!(
            "annotation {REISSUE_POLICY_ANNOTATION} is `{other}`, expected Recreate or KeepOld"
        )),
    }
}

/// Whether keys like this one may be made for the node of this state Secret.
///
/// # Errors
///
/// Why not, and what mends it.
pub fn may_be_like(template: &HeadscalePreAuthKey, state: &str) -> Result<(), String> {
    let name = template.name_any();
    if template.metadata.deletion_timestamp.is_some() {
        return Err(format!("HeadscalePreAuthKey {name} is being deleted"));
    }
    if let Some(what) = stored::unreadable(template) {
        return Err(format!("HeadscalePreAuthKey {name}: {what}"));
    }
    if objects::has_moved(template) {
        return Err(format!(
            "HeadscalePreAuthKey {name} names another Headscale than it was made in: see its \
             condition Ready"
        ));
    }
    let Some(allowed) = template.annotations().get(REISSUE_TO_ANNOTATION) else { return Ok(()) };
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => state.starts_with(start),
        None => pattern == state,
    };
    if allowed.split(',').map(str::trim).any(|pattern| !pattern.is_empty() && fits(pattern)) {
        return Ok(());
    }
    Err(format!(
        "annotation {REISSUE_TO_ANNOTATION} of HeadscalePreAuthKey {name} does not have {state}: \
         add it there, or correct the label"
    ))
}
