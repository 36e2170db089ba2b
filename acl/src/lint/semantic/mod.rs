//! Advice that is proved on what a policy means: for the nodes of a snapshot, else for those made up
//! from the policy.

mod cover;
mod covered;
mod entries;
mod routes;
mod sets;
mod ssh;
mod tests;

use std::net::IpAddr;

use self::cover::Budget;
use crate::context::Context;
use crate::engine::flow::owner;
use crate::engine::{Inventory, Network, symbolic};
use crate::hujson::Document;
use crate::policy::{Alias, Policy};
use crate::semantics::{Semantics, Version};
use crate::tailnet::Tailnet;

/// What a network may cost to make for proofs: rules, times names and nodes.
const LARGEST_NETWORK: usize = 16_000_000;

/// As how many rules one for `autogroup:self` counts, which is made for each user.
const OWN_DEVICES: usize = 50;

/// Names in a policy for which nodes are made up.
const MOST_NAMES: usize = 20_000;

/// Steps for the proofs of each kind.
const STEPS: usize = 10_000_000;

/// Whether a policy, for the nodes of `tailnet` if there are any, is small enough for proofs.
pub(crate) fn is_small_enough(policy: &Policy<'_>, tailnet: Option<&Tailnet>) -> bool {
    let acls = policy.acls.iter().flatten();
    let grants = policy.grants.iter().flatten();
    let rules = acls.clone().count() + grants.clone().count() + policy.ssh.len();
    let is_own = |alias: &Alias<'_>| alias.is_autogroup("autogroup:self");
    let own = acls.clone().filter(|acl| acl.destinations.iter().any(|dst| is_own(&dst.alias)));
    let own_grants =
        grants.clone().filter(|grant| grant.destinations.iter().any(|dst| is_own(&dst.value)));
    let rules = rules + OWN_DEVICES * (own.count() + own_grants.count());
    let names = acls.map(|acl| acl.sources.len() + acl.destinations.len()).sum::<usize>()
        + grants.map(|grant| grant.sources.len() + grant.destinations.len()).sum::<usize>()
        + policy.ssh.iter().map(|r| r.sources.len() + r.destinations.len()).sum::<usize>()
        + policy.groups.iter().map(|group| 1 + group.members.len()).sum::<usize>()
        + policy.tag_owners.iter().map(|tag| 1 + tag.owners.len()).sum::<usize>()
        + policy.auto_approvers.routes.iter().map(|r| 1 + r.approvers.len()).sum::<usize>()
        + policy.hosts.len();
    let nodes = tailnet.map_or(0, |tailnet| tailnet.nodes.len());
    names <= MOST_NAMES && rules.saturating_mul(names + nodes) <= LARGEST_NETWORK
}

/// Reports what can be proved of a policy that has no errors and is small enough. `snapshot` is it
/// for the nodes of a tailnet.
pub(crate) fn policy<'d>(
    policy: &Policy<'d>,
    doc: &'d Document<'_>,
    snapshot: Option<&Network<'_, 'd>>,
    versions: &[Version],
    context: &mut Context<'_>,
) {
    let tailnet = symbolic(policy);
    let inventory = Inventory::of(&tailnet);
    let made_up = Network::new(policy, doc, &inventory, context.semantics).of_made_up_nodes();
    let mut versions: Vec<&Semantics> =
        versions.iter().map(|version| Semantics::of(*version)).collect();
    // What the others allow is what one with the same form of filters does.
    versions.dedup_by_key(|version| version.filter_form);
    covered::report(&made_up, &versions, &mut Budget::of(STEPS), context);
    match snapshot {
        Some(network) => {
            ssh::report(network, &mut Budget::of(STEPS), context);
            tests::report(network, &mut Budget::of(STEPS), context);
            routes::report(network, context);
        }
        None => {
            ssh::report(&made_up, &mut Budget::of(STEPS), context);
            tests::report(&made_up, &mut Budget::of(STEPS), context);
        }
    }
}

/// An address with the name of the node that has it.
fn name(addr: IpAddr, network: &Network<'_, '_>) -> String {
    match owner(addr, network.inventory) {
        Some(node) => format!("{} ({addr})", node.name),
        None => addr.to_string(),
    }
}

/// An address and port as a question names them.
fn as_question(addr: IpAddr, port: u16) -> String {
    match addr {
        IpAddr::V4(addr) => format!("{addr}:{port}"),
        IpAddr::V6(addr) => format!("[{addr}]:{port}"),
    }
}

/// What is added to a sentence about nodes that nobody has.
fn made_up(network: &Network<'_, '_>) -> &'static str {
    if network.is_symbolic() { " (the nodes are made up from the policy)" } else { "" }
}

/// `a, b and c`, where `last` is `and`.
fn list(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [names @ .., end] => format!("{} {last} {end}", names.join(", ")),
    }
}
