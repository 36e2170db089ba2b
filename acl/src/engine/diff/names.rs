//! Sets of addresses in the names that the policies themselves use.

use foldhash::HashSet;

use crate::engine::inventory::Inventory;
use crate::engine::ip_set::{IpSet, IpSetBuilder};
use crate::engine::network::Network;
use crate::engine::resolve::{EVERYTHING, TAILNET};
use crate::policy::Alias;

/// More leftover prefixes than this are told as a count.
const PREFIXES: usize = 8;

/// What the tailnet neither is nor routes to.
const OUTSIDE: &str = "everything outside";

/// A name and what it stands for.
struct Name {
    text: String,
    set: IpSet,
    /// How well people know it: of two names for the same the lower wins.
    rank: u8,
}

/// The names of two policies for one inventory, those that stand for most first.
pub(super) struct Names<'n> {
    pub(super) inventory: &'n Inventory<'n>,
    names: Vec<Name>,
}

/// The tailnet's addresses that no node has: nobody is behind them.
pub(super) fn vacant(inventory: &Inventory<'_>) -> IpSet {
    TAILNET.difference(&inventory.addresses(0..inventory.nodes.len()))
}

impl<'n> Names<'n> {
    pub(super) fn of(old: &Network<'n, '_>, new: &Network<'n, '_>, vacant: &IpSet) -> Self {
        let inventory = old.inventory;
        // `*` is the whole tailnet with what is behind its routers, or everything there is.
        let mut tailnet = IpSetBuilder::default();
        tailnet.add_set(&TAILNET);
        for route in inventory.nodes.iter().flat_map(|node| &node.subnet_routes) {
            tailnet.add_prefix(*route);
        }
        let tailnet = tailnet.build();
        let wildcards = [EVERYTHING.clone(), tailnet.clone(), TAILNET.clone()];
        let mut named: Vec<(String, IpSet, u8)> =
            wildcards.into_iter().map(|set| ("*".to_owned(), set, 0)).collect();
        named.push((OUTSIDE.to_owned(), EVERYTHING.difference(&tailnet), 0));
        named.extend(names_in(old).chain(names_in(new)));
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
        Self { inventory, names }
    }

    /// As few names as cover exactly `set`, found greedily; nodes and prefixes for what has none.
    pub(super) fn cover(&self, set: &IpSet) -> Vec<String> {
        let mut left = set.clone();
        let mut cover = Vec::new();
        for name in &self.names {
            if left.is_empty() {
                break;
            }
            if !set.is_superset(&name.set) {
                continue;
            }
            let without = left.difference(&name.set);
            if without != left {
                cover.push(name.text.clone());
                left = without;
            }
        }
        for index in self.inventory.nodes_in(&left).iter() {
            let Some(node) = self.inventory.node(index) else { continue };
            cover.push(node.name.clone());
            left = left.difference(&self.inventory.addresses([index]));
        }
        let prefixes: Vec<String> = left.prefixes().map(|prefix| prefix.written()).collect();
        if prefixes.len() > PREFIXES {
            cover.push(format!("{} other prefixes", prefixes.len()));
        } else {
            cover.extend(prefixes);
        }
        cover
    }
}

/// The aliases of a policy with what they stand for and how well people know them.
fn names_in(network: &Network<'_, '_>) -> impl Iterator<Item = (String, IpSet, u8)> {
    network.aliases().map(|alias| {
        let rank = match &alias {
            Alias::Wildcard => 0,
            Alias::Autogroup(_) => 1,
            Alias::Group(_) => 2,
            Alias::Tag(_) => 3,
            Alias::User(_) => 4,
            Alias::Host(_) => 5,
            Alias::Prefix(_) => 6,
        };
        let set = network.resolver.resolve_any(&alias).set();
        (alias.written(), set.as_ref().clone(), rank)
    })
}
