//! What people are told of a node's keys: by Events of its state Secret and of the object that its
//! keys are like.

use headscale_api::kinds::HeadscalePreAuthKey;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::runtime::events::{Event, EventType};
use kube::{Resource as _, ResourceExt as _};

use crate::context::Context;
use crate::kubernetes;

/// What is told: reasons of Events.
pub(super) mod reasons {
    /// A first key was made.
    pub(in super::super) const ISSUED: &str = "AuthKeyIssued";
    /// Another key was made.
    pub(in super::super) const REISSUED: &str = "AuthKeyReissued";
    /// It has to wait for another key.
    pub(in super::super) const RATE_LIMITED: &str = "AuthKeyReissueRateLimited";
    /// It has to wait for Headscale.
    pub(in super::super) const WAITING: &str = "AuthKeyReissueWaiting";
    /// Headscale does not make the key.
    pub(in super::super) const FAILED: &str = "AuthKeyReissueFailed";
    /// An old node was deleted.
    pub(in super::super) const DELETED: &str = "StaleNodeDeleted";
    /// A node was not deleted, because it is not known to be the replica's.
    pub(in super::super) const KEPT: &str = "StaleNodeKept";
    /// No key is made: something is to be mended.
    pub(in super::super) const REFUSED: &str = "ReissueRefused";
}

/// One thing that is told.
pub(super) struct Note {
    /// Whether it went well.
    pub(super) is_good: bool,
    /// One word for programs.
    pub(super) reason: &'static str,
    /// What a person should know.
    pub(super) text: String,
}

impl Note {
    pub(super) fn good(reason: &'static str, text: String) -> Self {
        Self { is_good: true, reason, text }
    }

    pub(super) fn bad(reason: &'static str, text: String) -> Self {
        Self { is_good: false, reason, text }
    }
}

/// Posts it, unless it is what was said last of this node. That it cannot be posted is logged, and
/// no failure of anything else.
pub(super) async fn tell(
    context: &Context,
    state: &Secret,
    template: Option<&HeadscalePreAuthKey>,
    note: &Note,
) {
    let said = (note.reason.to_owned(), note.text.clone());
    let uid = state.uid().unwrap_or_default();
    let is_new = context.memory(&uid, |memory| memory.told.replace(said.clone()) != Some(said));
    if !is_new {
        return;
    }
    let (namespace, name, reason) =
        (state.namespace().unwrap_or_default(), state.name_any(), note.reason);
    if note.is_good {
        tracing::info!(kind = "Node", namespace, name, reason, "{}", note.text);
    } else {
        tracing::warn!(kind = "Node", namespace, name, reason, "{}", note.text);
    }
    post(context, &state.object_ref(&()), note, note.text.clone()).await;
    if let Some(template) = template {
        let text = format!("node of Secret {name}: {}", note.text);
        post(context, &template.object_ref(&()), note, text).await;
    }
}

async fn post(context: &Context, about: &ObjectReference, note: &Note, text: String) {
    let event = Event {
        type_: if note.is_good { EventType::Normal } else { EventType::Warning },
        reason: note.reason.to_owned(),
        note: Some(kubernetes::note(&text)),
        action: "Reissue".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, about).await {
        tracing::debug!(%error, reason = note.reason, "an Event could not be posted");
    }
}
