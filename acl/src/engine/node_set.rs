//! Sets of nodes, as bits by index.

/// A set of nodes of one inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSet {
    words: Vec<u64>,
}

impl NodeSet {
    /// The empty set of an inventory of `nodes` nodes.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self { words: vec![0; nodes.div_ceil(64)] }
    }

    /// Puts the node at `index` in; an index beyond the inventory is ignored.
    pub fn insert(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// Takes the node at `index` out.
    pub fn remove(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    /// Whether the node at `index` is in.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    /// Puts all of `other` in.
    pub fn union(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self { words: self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect() }
    }

    /// Whether any is in both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Indexes of the nodes that are in both, ascending.
    pub(crate) fn common(&self, other: &Self) -> impl Iterator<Item = usize> {
        indexes(self.words.iter().zip(&other.words).map(|(a, b)| a & b))
    }

    /// Whether none is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Indexes of the nodes that are in, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        indexes(self.words.iter().copied())
    }
}

fn indexes(words: impl Iterator<Item = u64>) -> impl Iterator<Item = usize> {
    words.enumerate().flat_map(|(at, word)| {
        let mut left = word;
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros() as usize;
            (left != 0).then(|| {
                left &= left - 1;
                at * 64 + bit
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::NodeSet;

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let mut set = NodeSet::new(130);
        for index in [129, 0, 64, 63, 1000] {
            set.insert(index);
        }
        set.remove(0);
        assert_eq!(set.iter().collect::<Vec<_>>(), [63, 64, 129]);
        assert!(!set.contains(1000));
        let mut other = NodeSet::new(130);
        [129, 63, 1].into_iter().for_each(|index| other.insert(index));
        assert_eq!(set.common(&other).collect::<Vec<_>>(), [63, 129]);
    }
}
