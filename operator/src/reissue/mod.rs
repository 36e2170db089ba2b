//! Auth keys of nodes, made anew when their nodes ask: the operator's side of the protocol of
//! [`headscale_keys::reissue`].
//!
//! A node is known by its state Secret, which has the label
//! [`REISSUE_LABEL`] with the name of a HeadscalePreAuthKey in the same
//! namespace: the node's keys have its user, tags and `ephemeral`, are for one use and work for an
//! hour. That object's own key is never handed out. Keys go into the Secret `STATE-config`, which
//! the operator makes, and which belongs to the state Secret.
//!
//! A pod writes its own state Secret, so nothing that stands there is believed:
//!
//! | what a pod may do | what becomes of it |
//! | --- | --- |
//! | name another's node in `device_id` | it is not deleted: see [`proof`] |
//! | ask without need | it gets another key, its old one is expired, as often as [`limit`] lets all nodes of its HeadscalePreAuthKey |
//! | name another HeadscalePreAuthKey in the label | none: the one that counted when its config Secret was made counts |
//!
//! Who may make Secrets with the label chooses whose keys their nodes get, from the namespace; where
//! that is too much, [`REISSUE_TO_ANNOTATION`](crate::names::REISSUE_TO_ANNOTATION) says who may be
//! like a HeadscalePreAuthKey.
//!
//! What is begun is written down first, with the expiration that the key will have and that no other
//! has: a key whose answer or whose write was lost is found by it and expired before another one is
//! made. As a request may still be on its way when its maker died, the next one waits until none can
//! come any more.

pub mod document;
pub mod limit;
mod mint;
pub mod proof;
pub mod record;
pub mod request;
mod store;
mod tell;
mod turn;

use std::time::Duration;

use headscale_keys::reissue::NodeId;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::core::PartialObjectMeta;

pub(crate) use self::store::SUFFIX;
use self::tell::{Note, reasons, tell};
use self::turn::{Failure, Turn, Turns};
use crate::context::Context;
use crate::kubernetes::{KubernetesError, within};
use crate::names::REISSUE_LABEL;
use crate::objects;
use crate::user::Next;

/// So many steps are taken at a time, at most: more than a round takes.
const STEPS: u32 = 16;
/// How soon it is looked again where Headscale does not answer, at most.
const OUTAGE: Duration = Duration::from_secs(10);
/// How soon it is looked again where somebody has to mend something that is not watched.
const MENDED: Duration = Duration::from_secs(2 * 60);

/// Looks at a node, known by its state Secret, and does what is to be done.
///
/// # Errors
///
/// When the API server cannot be read or written; nothing is lost by it.
pub(crate) async fn reconcile(
    context: &Context,
    seen: &PartialObjectMeta<Secret>,
) -> Result<Next, KubernetesError> {
    for _ in 0..STEPS {
        let Some(state) = read(context, seen).await? else { return Ok(Next::Never) };
        if objects::is_paused(&state) {
            return Ok(Next::Sometime);
        }
        let Some(turns) = Turns::new(context, &state) else { return Ok(Next::Never) };
        let (note, next) = match turns.turn().await {
            Ok(Turn::Did(note)) => (note, None),
            Ok(Turn::Rest(next, note)) => (note, Some(next)),
            Err(Failure::Kubernetes(error)) => return Err(error),
            Err(Failure::Refused(text)) => {
                (Some(Note::bad(reasons::REFUSED, text)), Some(Next::After(MENDED)))
            }
            Err(Failure::Headscale(error)) => {
                let pause = OUTAGE.min(context.settings.check_interval);
                let text = error.with_hint();
                (Some(Note::bad(reasons::WAITING, text)), Some(Next::After(pause)))
            }
            Err(Failure::NotMade(text)) => {
                (Some(Note::bad(reasons::FAILED, text)), Some(Next::Failed))
            }
        };
        if let Some(note) = note {
            tell(context, &state, turns.template().as_deref(), &note).await;
        }
        if let Some(next) = next {
            return Ok(next);
        }
    }
    Ok(Next::Failed)
}

/// The state Secret as it is now, where it is still one whose node is looked after.
async fn read(
    context: &Context,
    seen: &PartialObjectMeta<Secret>,
) -> Result<Option<Secret>, KubernetesError> {
    let (namespace, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    let read = within(|| format!("read Secret {name}"), api.get_opt(&name)).await?;
    Ok(read.filter(|state| {
        state.metadata.deletion_timestamp.is_none() && state.labels().contains_key(REISSUE_LABEL)
    }))
}

/// A node that is told of.
fn called(node: NodeId) -> String {
    format!("node {}", node.0)
}
