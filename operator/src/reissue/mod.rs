//! Auth keys of nodes, made anew when their nodes ask.

use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;

use crate::context::Context;
use crate::kubernetes::KubernetesError;
use crate::user::Next;

/// Looks at a node, known by its state Secret, and does what is to be done.
///
/// # Errors
///
/// When the API server cannot be read or written; nothing is lost by it.
#[expect(clippy::unused_async, reason = "nothing is done yet")]
pub(crate) async fn reconcile(
    _context: &Context,
    _seen: &PartialObjectMeta<Secret>,
) -> Result<Next, KubernetesError> {
    Ok(Next::Sometime)
}
