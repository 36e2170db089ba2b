//! Advice beyond Headscale: what it accepts and people regret. Runs only on policies that it takes.

mod addresses;
mod names;
mod rules;
pub(crate) mod semantic;
mod server;
mod users;
mod versions;

use self::names::Uses;
use crate::context::Context;
use crate::policy::Policy;
use crate::semantics::{Semantics, Version};
use crate::tailnet::Tailnet;
use crate::validate::Names;

/// Reports lints on a policy that has no errors. `policy` is as the newest version asked for reads
/// it, which is also that of `context`; `oldest` is as the oldest one does. Both define `names`.
pub(crate) fn policy(
    policy: &Policy<'_>,
    oldest: &Policy<'_>,
    names: &Names<'_>,
    tailnet: Option<&Tailnet>,
    versions: &[Version],
    context: &mut Context<'_>,
) {
    let uses = Uses::of(policy);
    context.lint_unused(policy, &uses);
    let can_have_tests =
        versions.iter().all(|version| Semantics::of(*version).has_grants_and_tests);
    context.lint_rules(policy, can_have_tests);
    context.lint_addresses(policy, &uses);
    context.lint_users(policy, &uses);
    if let Some(tailnet) = tailnet {
        context.lint_unknown_users(policy, &uses, tailnet);
    }
    context.lint_server(policy, names);
    context.lint_versions(oldest, names, versions);
}
