//! `Headscale`: an instance.

use headscale_api::kinds::Headscale;

use crate::context::Context;
use crate::kubernetes::KubernetesError;
use crate::policy;
use crate::user::Next;

/// Looks at an instance, and does what is to be done.
///
/// # Errors
///
/// When the API server cannot be read or written; nothing is lost by it.
pub(crate) async fn reconcile(
    context: &Context,
    seen: &Headscale,
) -> Result<Next, KubernetesError> {
    let told = policy::of_instance(context, seen, None).await?;
    tracing::trace!(?told, "the policy is not used yet");
    Ok(Next::Sometime)
}
