//! Sets of addresses in the policy's own names.

use std::collections::BTreeMap;
use std::net::IpAddr;

use foldhash::HashSet;

use super::inventory::Inventory;
use super::ip_set::{IpSet, IpSetBuilder};
use super::network::Network;
use super::resolve::{EVERYTHING, TAILNET};
use crate::policy::{Alias, Policy};
use crate::tailnet::UserMatch;

/// What the tailnet neither is nor routes to.
const OUTSIDE: &str = "everything outside";

/// A name and what it stands for.
struct Name {
    text: String,
    set: IpSet,
    rank: Rank,
}

/// How well people know a name: of two for the same set the lower wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Everything,
    Autogroup,
    Group,
    Tag,
    User,
    Host,
    Prefix,
}

impl Rank {
    const fn of(alias: &Alias<'_>) -> Self {
        match alias {
            Alias::Wildcard => Self::Everything,
            Alias::Autogroup(_) => Self::Autogroup,
            Alias::Group(_) => Self::Group,
            Alias::Tag(_) => Self::Tag,
            Alias::User(_) => Self::User,
            Alias::Host(_) => Self::Host,
            Alias::Prefix(_) => Self::Prefix,
        }
    }
}

/// The names of one or more policies for one inventory, those that stand for most first.
pub(crate) struct Names<'n> {
    inventory: &'n Inventory<'n>,
    names: Vec<Name>,
    /// The lowest address of each name with the name's place, ascending.
    by_first: Vec<(IpAddr, u32)>,
}

/// The tailnet's addresses that no node has: nobody is behind them.
pub(crate) fn vacant(inventory: &Inventory<'_>) -> IpSet {
    TAILNET.difference(&inventory.addresses(0..inventory.nodes.len()))
}

impl<'n> Names<'n> {
    /// The names that some policies for one inventory use.
    pub(crate) fn of(
        inventory: &'n Inventory<'n>,
        used: impl IntoIterator<Item = Used>,
        vacant: &IpSet,
    ) -> Self {
        let mut named = Vec::new();
        let mut any_wildcard = false;
        for Used { wildcard, names } in used {
            any_wildcard |= wildcard;
            named.extend(names);
        }
        if any_wildcard {
            named.extend(wildcards(inventory));
        }
        let mut seen = HashSet::default();
        let mut names = Vec::new();
        for (text, set, rank) in named {
            let set = set.difference(vacant);
            if !set.is_empty() && seen.insert((text.clone(), set.clone())) {
                names.push(Name { text, set, rank });
            }
        }
        names.sort_by(|a, b| {
            let size = b.set.len().cmp(&a.set.len());
            size.then_with(|| a.rank.cmp(&b.rank)).then_with(|| a.text.cmp(&b.text))
        });
        let mut by_first: Vec<(IpAddr, u32)> =
            (0..).zip(&names).filter_map(|(at, name)| Some((name.set.first()?, at))).collect();
        by_first.sort_unstable();
        Self { inventory, names, by_first }
    }

    /// As few names as cover exactly `set`, found greedily; nodes and ranges for what has none.
    pub(crate) fn cover(&self, set: &IpSet) -> Vec<String> {
        let parts = set.parts();
        let mut alike = self.names.iter().filter(|name| name.set.parts() == parts);
        if let Some(same) = alike.find(|name| name.set == *set) {
            return vec![same.text.clone()];
        }
        let mut left = set.clone();
        let mut cover = Vec::new();
        // What stands for a part of the set has its lowest address in it.
        let mut candidates: Vec<u32> = set
            .ranges()
            .flat_map(|range| {
                let from = self.by_first.partition_point(|(first, _)| *first < range.first);
                let within = self.by_first.iter().skip(from);
                within.take_while(move |(first, _)| *first <= range.last).map(|(_, at)| *at)
            })
            .collect();
        candidates.sort_unstable();
        for name in candidates.iter().filter_map(|at| self.names.get(*at as usize)) {
            if left.is_empty() {
                break;
            }
            if left.intersects(&name.set) && set.is_superset(&name.set) {
                cover.push(name.text.clone());
                left = left.difference(&name.set);
            }
        }
        let mut nodes = IpSetBuilder::default();
        for index in self.inventory.nodes_in(&left).iter() {
            let own = self.inventory.addresses([index]);
            if set.is_superset(&own)
                && let Some(node) = self.inventory.node(index)
            {
                cover.push(node.name.clone());
                nodes.add_set(&own);
            }
        }
        let left = left.difference(&nodes.build());
        cover.extend(left.ranges().map(|range| range.to_string()));
        cover
    }
}

/// What `*` may mean, and what it never does.
fn wildcards(inventory: &Inventory<'_>) -> Vec<(String, IpSet, Rank)> {
    // The whole tailnet with what is behind its routers, or everything there is.
    let mut tailnet = IpSetBuilder::default();
    tailnet.add_set(&TAILNET);
    for route in inventory.nodes.iter().flat_map(|node| &node.subnet_routes) {
        tailnet.add_prefix(*route);
    }
    let tailnet = tailnet.build();
    let nodes = inventory.addresses(0..inventory.nodes.len());
    let outside = EVERYTHING.difference(&tailnet).difference(&nodes);
    let sets = [EVERYTHING.clone(), tailnet, TAILNET.clone(), nodes];
    let all = sets.into_iter().map(|set| ("*".to_owned(), set, Rank::Everything));
    all.chain([(OUTSIDE.to_owned(), outside, Rank::Everything)]).collect()
}

/// What a policy names, and the users and tags of its tailnet.
pub(crate) struct Used {
    /// Whether it names everything at once.
    wildcard: bool,
    names: Vec<(String, IpSet, Rank)>,
}

impl Used {
    pub(crate) fn by(network: &Network<'_, '_>) -> Self {
        let mut aliases = rule_aliases(network.policy);
        let wildcard =
            network.plan.entries.is_none() || aliases.any(|alias| *alias == Alias::Wildcard);
        Self { wildcard, names: names_in(network) }
    }
}

fn names_in(network: &Network<'_, '_>) -> Vec<(String, IpSet, Rank)> {
    let (policy, inventory) = (network.policy, network.inventory);
    let mut names: Vec<(String, IpSet, Rank)> = network
        .aliases()
        .filter(|alias| *alias != Alias::Wildcard)
        .map(|alias| {
            let set = network.resolver.resolve_any(&alias).set();
            (alias.written(), set.as_ref().clone(), Rank::of(&alias))
        })
        .collect();
    let tokens = tokens(network);
    for user in inventory.users() {
        let at = if user.name.contains('@') { "" } else { "@" };
        let fallback = format!("{}{at}", user.name);
        let name = tokens.get(&user.id).map_or(fallback, |token| (*token).to_owned());
        let devices = inventory.nodes_of_user(user.id).iter().copied();
        // What is made up to be named nowhere is shown as the node that it is.
        if !network.is_symbolic || tokens.contains_key(&user.id) {
            names.push((name, inventory.addresses(devices), Rank::User));
        }
    }
    let mut tags: Vec<&str> =
        inventory.nodes.iter().flat_map(|node| &node.tags).map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.retain(|tag| {
        !network.is_symbolic || policy.tag_owners.iter().any(|owner| owner.tag.value == *tag)
    });
    for tag in tags {
        let set = inventory.addresses(inventory.nodes_with_tag(tag).iter().copied());
        names.push((tag.to_owned(), set, Rank::Tag));
    }
    names
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
