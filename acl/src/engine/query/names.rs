//! Sets of addresses in the policy's own names.

use std::collections::BTreeMap;

use super::flow::union;
use crate::engine::ip_set::IpSet;
use crate::engine::network::Network;
use crate::engine::resolve::INTERNET;
use crate::policy::{Alias, Policy};
use crate::tailnet::UserMatch;

/// Names with what they stand for, the largest kinds first.
pub(super) struct Names {
    names: Vec<(String, IpSet)>,
}

impl Names {
    /// The names of `network`, and before all of them `asked`.
    pub(super) fn of(network: &Network<'_, '_>, asked: Option<(String, IpSet)>) -> Self {
        let (policy, inventory) = (network.policy, network.inventory);
        let mut names: Vec<(String, IpSet)> = asked.into_iter().collect();
        let mut add = |name: &str, set: IpSet| {
            if !set.is_empty() {
                names.push((name.to_owned(), set));
            }
        };
        let resolve = |alias: Alias<'_>| (*network.resolver.resolve_any(&alias).set()).clone();
        // Those that the policy does not use would only stand for what it names otherwise.
        let used = |name: &str| rule_aliases(policy).any(|alias| alias.written() == name);
        if network.plan.entries.is_none() || used("*") {
            add("*", inventory.addresses(0..inventory.nodes.len()));
        }
        add("autogroup:internet", INTERNET.clone());
        for name in ["autogroup:member", "autogroup:tagged"] {
            if used(name) {
                add(name, resolve(Alias::Autogroup(name.into())));
            }
        }
        for group in &policy.groups {
            add(&group.name.value, resolve(Alias::Group(group.name.value.as_ref().into())));
        }
        let tokens = tokens(network);
        for user in inventory.users() {
            let at = if user.name.contains('@') { "" } else { "@" };
            let fallback = format!("{}{at}", user.name);
            let name = tokens.get(&user.id).copied().unwrap_or(&fallback);
            let devices = inventory.nodes_of_user(user.id).iter().copied();
            add(name, inventory.addresses(devices));
        }
        let mut tags: Vec<&str> =
            inventory.nodes.iter().flat_map(|node| &node.tags).map(String::as_str).collect();
        tags.sort_unstable();
        tags.dedup();
        // What is made up to be named nowhere is shown as the node that it is.
        tags.retain(|tag| !network.is_symbolic || names_tag(policy, tag));
        for tag in tags {
            add(tag, inventory.addresses(inventory.nodes_with_tag(tag).iter().copied()));
        }
        for host in &policy.hosts {
            if let Some(prefix) = &host.prefix {
                add(&host.name.value, IpSet::of(prefix.value));
            }
        }
        for alias in rule_aliases(policy) {
            if let Alias::Prefix(prefix) = alias {
                add(&alias.written(), IpSet::of(*prefix));
            }
        }
        for node in &inventory.nodes {
            let mut set = crate::engine::ip_set::IpSetBuilder::default();
            node.add_to(&mut set);
            add(&node.name, set.build());
        }
        Self { names }
    }

    /// Names that together stand for `set`: each wholly in it, and what no name is in as ranges.
    pub(super) fn cover(&self, set: &IpSet) -> Vec<String> {
        let mut left = set.clone();
        let mut cover = Vec::new();
        for (name, named) in &self.names {
            if left.is_empty() {
                break;
            }
            let rest = left.difference(named);
            if rest != left && set.is_superset(named) && !cover.contains(name) {
                cover.push(name.clone());
                left = rest;
            }
        }
        cover.extend(left.ranges().map(|range| range.to_string()));
        cover
    }
}

fn names_tag(policy: &Policy<'_>, tag: &str) -> bool {
    policy.tag_owners.iter().any(|owner| owner.tag.value == tag)
}

fn rule_aliases<'p, 'd>(policy: &'p Policy<'d>) -> impl Iterator<Item = &'p Alias<'d>> {
    let acls = policy.acls.iter().flatten();
    let acls = acls.flat_map(|acl| {
        let sources = acl.sources.iter().map(|source| &source.value);
        sources.chain(acl.destinations.iter().map(|destination| &destination.alias))
    });
    let grants = policy.grants.iter().flatten();
    let grants = grants.flat_map(|grant| {
        grant.sources.iter().chain(&grant.destinations).map(|alias| &alias.value)
    });
    acls.chain(grants)
}

/// How the policy writes each user, by id.
fn tokens<'n>(network: &Network<'n, '_>) -> BTreeMap<u64, &'n str> {
    let policy = network.policy;
    let members = policy.groups.iter().flat_map(|group| &group.members);
    let users = rule_aliases(policy).filter_map(|alias| match alias {
        Alias::User(user) => Some(&**user),
        _ => None,
    });
    let mut tokens = BTreeMap::new();
    for token in users.chain(members.map(|member| &*member.value)) {
        if let UserMatch::One(user) = network.inventory.tailnet.find_user(token) {
            tokens.entry(user.id).or_insert(token);
        }
    }
    tokens
}

/// All addresses that anything in `network` has or leads to.
pub(super) fn everything(network: &Network<'_, '_>, routed: &IpSet) -> IpSet {
    let inventory = network.inventory;
    union([&inventory.addresses(0..inventory.nodes.len()), routed])
}
