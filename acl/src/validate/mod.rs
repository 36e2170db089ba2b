//! What Headscale checks once a policy is read: references, and combinations that mean nothing.
//!
//! Source of every rule here: `validate` and its helpers in `hscontrol/policy/v2/types.go`.

mod grants;
mod network;
mod reference;
mod ssh;
mod tags;
mod targets;
mod tests;
mod users;

pub(crate) use self::reference::{Names, Site};
pub(crate) use self::users::unresolved_user;
use crate::context::Context;
use crate::policy::Policy;
use crate::tailnet::Tailnet;

/// Reports what Headscale refuses in a policy that could be read.
pub(crate) fn policy(
    policy: &Policy<'_>,
    names: &Names<'_>,
    tailnet: Option<&Tailnet>,
    context: &mut Context<'_>,
) {
    context.check_acls(policy, names);
    context.check_ssh(policy, names);
    context.check_grants(policy, names);
    context.check_node_attrs(policy, names);
    context.check_tags(policy, names);
    context.check_approvers(policy, names);
    context.check_tests(policy, names);
    if let Some(tailnet) = tailnet {
        context.check_users(policy, tailnet);
    }
}
