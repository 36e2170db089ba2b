//! Boxes of what is allowed: sources, destinations, and what the former may do to the latter; and
//! what one list of them allows beyond another.

use std::hash::Hash;

use foldhash::{HashMap, HashSet};

use super::classes::classes;
use super::ip_set::{IpSet, IpSetBuilder};
use super::port_set::PortSet;

/// What a box allows: ports, or login users.
pub(crate) trait Items: Clone + Default + Hash + Ord {
    fn is_empty(&self) -> bool;
    fn union(&mut self, other: &Self);
    fn difference(&self, other: &Self) -> Self;
}

impl Items for PortSet {
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
    fn union(&mut self, other: &Self) {
        Self::union(self, other);
    }
    fn difference(&self, other: &Self) -> Self {
        Self::difference(self, other)
    }
}

/// Sources that may do something to destinations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cell<I> {
    pub(crate) sources: IpSet,
    pub(crate) destinations: IpSet,
    pub(crate) items: I,
}

impl<I: Clone> Cell<I> {
    /// The part of it from `set` to `set`.
    pub(crate) fn within(&self, set: &IpSet) -> Option<Self> {
        // This way round each range of `set`, which is small, is looked up in the other.
        let common = |other: &IpSet| set.difference(&set.difference(other));
        let (sources, destinations) = (common(&self.sources), common(&self.destinations));
        let is_empty = sources.is_empty() || destinations.is_empty();
        (!is_empty).then(|| Self { sources, destinations, items: self.items.clone() })
    }
}

/// What is in `new` and not in `old`, in as few cells as grouping finds.
///
/// Addresses that stand in the same boxes are one class. A box that is in both lists brings
/// nothing, so this costs the bounds of all sets, and for each pair of classes in a box that is new
/// the boxes that both are in.
pub(crate) fn gained<I: Items>(old: &[Cell<I>], new: &[Cell<I>]) -> Vec<Cell<I>> {
    let known: HashSet<&Cell<I>> = old.iter().collect();
    let fresh: Vec<&Cell<I>> = new.iter().filter(|cell| !known.contains(cell)).collect();
    if fresh.is_empty() {
        return Vec::new();
    }
    let all: Vec<&Cell<I>> = old.iter().chain(fresh).collect();
    let sources = classes(&all.iter().map(|cell| &cell.sources).collect::<Vec<_>>());
    let destinations = classes(&all.iter().map(|cell| &cell.destinations).collect::<Vec<_>>());
    // Classes of destinations by box, so that only pairs that share a box are looked at.
    let mut by_box: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    for (at, class) in destinations.iter().enumerate() {
        for boxed in &class.boxes {
            if let Some(classes) = by_box.get_mut(*boxed) {
                classes.push(at);
            }
        }
    }
    // For each source class, what it gains of which destination classes.
    let mut gains: HashMap<(I, Vec<usize>), IpSetBuilder> = HashMap::default();
    for source in &sources {
        let (before, fresh) =
            source.boxes.split_at(source.boxes.partition_point(|boxed| *boxed < old.len()));
        let mut allowed: HashMap<usize, I> = HashMap::default();
        for boxed in fresh {
            let Some(cell) = all.get(*boxed) else { continue };
            for destination in by_box.get(*boxed).into_iter().flatten() {
                allowed.entry(*destination).or_default().union(&cell.items);
            }
        }
        let allowed = allowed.into_iter().filter_map(|(at, mut items)| {
            let boxes = &destinations.get(at)?.boxes;
            let shared = before.iter().filter(|boxed| boxes.binary_search(boxed).is_ok());
            for cell in shared.filter_map(|boxed| all.get(*boxed)) {
                items = items.difference(&cell.items);
            }
            Some((at, items))
        });
        let mut gained: HashMap<I, Vec<usize>> = HashMap::default();
        for (destination, items) in allowed {
            if !items.is_empty() {
                gained.entry(items).or_default().push(destination);
            }
        }
        for (items, mut destinations) in gained {
            destinations.sort_unstable();
            gains.entry((items, destinations)).or_default().add_set(&source.addresses);
        }
    }
    let mut cells: Vec<Cell<I>> = gains
        .into_iter()
        .map(|((items, reached), sources)| {
            let mut builder = IpSetBuilder::default();
            for class in reached.iter().filter_map(|at| destinations.get(*at)) {
                builder.add_set(&class.addresses);
            }
            Cell { sources: sources.build(), destinations: builder.build(), items }
        })
        .collect();
    cells.sort_by(|a, b| {
        let key = |cell: &Cell<I>| {
            let first = |set: &IpSet| set.ranges().next().map(|range| range.first);
            (first(&cell.sources), first(&cell.destinations))
        };
        key(a).cmp(&key(b)).then_with(|| a.items.cmp(&b.items))
    });
    merged(cells)
}

/// Cells with the same sources and destinations as one.
fn merged<I: Items>(cells: Vec<Cell<I>>) -> Vec<Cell<I>> {
    let mut merged: Vec<Cell<I>> = Vec::new();
    let mut at: HashMap<(IpSet, IpSet), usize> = HashMap::default();
    for cell in cells {
        let key = (cell.sources.clone(), cell.destinations.clone());
        match at.get(&key).and_then(|at| merged.get_mut(*at)) {
            Some(known) => known.items.union(&cell.items),
            None => {
                at.insert(key, merged.len());
                merged.push(cell);
            }
        }
    }
    merged
}
