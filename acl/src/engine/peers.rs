//! Which nodes see each other, each different set held once.

use foldhash::{HashMap, HashSet};

use super::node_set::NodeSet;

/// A list of nodes in [`NodeLists`].
pub(crate) type ListId = u32;

/// Lists of nodes, each different one held once.
#[derive(Debug, Default)]
pub(crate) struct NodeLists {
    lists: Vec<Vec<u32>>,
    ids: HashMap<Vec<u32>, ListId>,
}

impl NodeLists {
    /// The list of these nodes, given in any order.
    pub(crate) fn intern(&mut self, mut nodes: Vec<u32>) -> ListId {
        nodes.sort_unstable();
        nodes.dedup();
        if let Some(known) = self.ids.get(&nodes) {
            return *known;
        }
        let id = self.lists.len() as ListId;
        self.lists.push(nodes.clone());
        self.ids.insert(nodes, id);
        id
    }

    /// Its nodes, ascending.
    pub(crate) fn nodes(&self, id: ListId) -> &[u32] {
        self.lists.get(id as usize).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Which nodes of which list all see those of which other one, and are seen by them.
pub(crate) type Links = HashSet<(ListId, ListId)>;

/// The peers of every node.
///
/// Nodes on the same sides of the same rules have the same peers, such as all devices of a user,
/// so there are fewer sets than nodes. Building costs, for each link, the nodes of both lists, and
/// for each different set its size in bits for each list that it is made of.
#[derive(Debug)]
pub struct Peers {
    /// May hold the nodes themselves.
    sets: Vec<NodeSet>,
    /// Number of the set of each node.
    set_of: Vec<u32>,
}

impl Peers {
    pub(crate) fn of(links: &Links, lists: &NodeLists, nodes: usize) -> Self {
        // Who sees a list, by the lists seen.
        let mut seen: Vec<Vec<ListId>> = vec![Vec::new(); nodes];
        let both = links.iter().flat_map(|(left, right)| [(*left, *right), (*right, *left)]);
        for (viewers, list) in both {
            for viewer in lists.nodes(viewers) {
                if let Some(seen) = seen.get_mut(*viewer as usize) {
                    seen.push(list);
                }
            }
        }
        let mut bits: HashMap<ListId, NodeSet> = HashMap::default();
        let mut by_lists: HashMap<Vec<ListId>, u32> = HashMap::default();
        let mut by_value: HashMap<NodeSet, u32> = HashMap::default();
        let set_of = seen.into_iter().map(|mut seen| {
            seen.sort_unstable();
            seen.dedup();
            if let Some(known) = by_lists.get(&seen) {
                return *known;
            }
            let mut set = NodeSet::new(nodes);
            for list in &seen {
                let members = lists.nodes(*list);
                // A short list is put in node by node, a long one by its bits.
                if members.len() < nodes / 64 {
                    members.iter().for_each(|node| set.insert(*node as usize));
                } else {
                    set.union(bits.entry(*list).or_insert_with(|| {
                        let mut bits = NodeSet::new(nodes);
                        members.iter().for_each(|node| bits.insert(*node as usize));
                        bits
                    }));
                }
            }
            let number = by_value.len() as u32;
            let number = *by_value.entry(set).or_insert(number);
            by_lists.insert(seen, number);
            number
        });
        let set_of = set_of.collect();
        let mut sets: Vec<(u32, NodeSet)> =
            by_value.into_iter().map(|(set, number)| (number, set)).collect();
        sets.sort_unstable_by_key(|(number, _)| *number);
        Self { sets: sets.into_iter().map(|(_, set)| set).collect(), set_of }
    }

    /// Indexes of the nodes that the node at `index` sees, ascending.
    pub fn iter(&self, index: usize) -> impl Iterator<Item = usize> {
        let peers = self.set(index).into_iter().flat_map(NodeSet::iter);
        peers.filter(move |peer| *peer != index)
    }

    /// Whether the nodes at both indexes see each other.
    #[must_use]
    pub fn see_each_other(&self, index: usize, other: usize) -> bool {
        index != other && self.set(index).is_some_and(|set| set.contains(other))
    }

    /// How many different sets there are.
    #[must_use]
    pub const fn sets(&self) -> usize {
        self.sets.len()
    }

    fn set(&self, index: usize) -> Option<&NodeSet> {
        self.sets.get(*self.set_of.get(index)? as usize)
    }
}
