//! `HeadscalePolicy`, `HeadscaleAutoApprover` and `spec.acl_policy` of a `Headscale`: one document.

use headscale_api::kinds::{Headscale, HeadscaleAutoApprover, HeadscalePolicy};

use crate::conditions::Verdict;
use crate::context::Context;
use crate::kubernetes::KubernetesError;
use crate::user::Next;

/// What an instance is told of its policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The policy that its ConfigMap should hold where its mode is `file`: that of the sources where
    /// Headscale takes it, else the one that runs. `None`: that of `spec.acl_policy`, as
    /// `desired_state` makes it.
    pub(crate) text: Option<String>,
    /// What the condition `PolicyValid` of the instance says; `None` where there is no policy.
    pub(crate) valid: Option<Verdict>,
}

/// The policy of an instance whose ConfigMap holds `running` now.
///
/// # Errors
///
/// When the API server cannot be read.
#[expect(clippy::unused_async, reason = "nothing is done yet")]
pub(crate) async fn of_instance(
    _context: &Context,
    _headscale: &Headscale,
    _running: Option<&str>,
) -> Result<Told, KubernetesError> {
    Ok(Told::default())
}

/// Looks at the policy of an instance, and has Headscale take it.
///
/// # Errors
///
/// When the API server cannot be read or written; nothing is lost by it.
#[expect(clippy::unused_async, reason = "nothing is done yet")]
pub(crate) async fn reconcile(
    _context: &Context,
    _headscale: &Headscale,
) -> Result<Next, KubernetesError> {
    Ok(Next::Sometime)
}

/// Looks at a policy.
///
/// # Errors
///
/// As [`reconcile`].
#[expect(clippy::unused_async, reason = "nothing is done yet")]
pub(crate) async fn reconcile_policy(
    _context: &Context,
    _seen: &HeadscalePolicy,
) -> Result<Next, KubernetesError> {
    Ok(Next::Sometime)
}

/// Looks at an approver.
///
/// # Errors
///
/// As [`reconcile`].
#[expect(clippy::unused_async, reason = "nothing is done yet")]
pub(crate) async fn reconcile_approver(
    _context: &Context,
    _seen: &HeadscaleAutoApprover,
) -> Result<Next, KubernetesError> {
    Ok(Next::Sometime)
}
