//! Sets of nodes, and of addresses that no node has.

use std::collections::BTreeMap;

use headscale_policy_sdk::Resolved;
use headscale_policy_sdk::prefix::Prefix;

/// What names stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes {
    /// The names of nodes by their first address, which is unique.
    nodes: BTreeMap<String, String>,
    others: Vec<String>,
}

impl Nodes {
    pub(crate) fn of(resolved: Resolved) -> Self {
        let key = |addresses: &[String], name: &str| {
            addresses.first().map_or_else(|| name.to_owned(), Clone::clone)
        };
        let nodes = resolved.nodes.into_iter();
        Self {
            nodes: nodes.map(|node| (key(&node.addresses, &node.name), node.name)).collect(),
            others: resolved.others,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        self.others.extend(other.others);
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What is not in `other`, each by an address that stands for it.
    pub(crate) fn beyond(&self, other: &Self) -> Vec<&str> {
        let nodes = self.nodes.keys().filter(|address| !other.nodes.contains_key(*address));
        let outside = |text: &&String| {
            let within = |known: &String| {
                known == *text
                    || Prefix::parse(known)
                        .zip(Prefix::parse(text))
                        .is_some_and(|(known, prefix)| known.contains(prefix))
            };
            !other.others.iter().any(within)
        };
        nodes.chain(self.others.iter().filter(outside)).map(String::as_str).collect()
    }

    /// Whether there is nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.others.is_empty()
    }

    /// How a message calls the node with an address.
    pub(crate) fn name<'n>(&'n self, address: &'n str) -> &'n str {
        self.nodes.get(address).map_or(address, String::as_str)
    }
}
