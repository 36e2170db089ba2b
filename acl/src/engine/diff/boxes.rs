//! What changes between two lists of boxes: sources, destinations, and what the former may do to the
//! latter.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::net::IpAddr;

use foldhash::{HashMap, HashSet};

use crate::engine::ip_set::{IpRange, IpSet, IpSetBuilder};

/// What a box allows: ports, or login users.
pub(super) trait Items: Clone + Default + Hash + Ord {
    fn is_empty(&self) -> bool;
    fn union(&mut self, other: &Self);
    fn difference(&self, other: &Self) -> Self;
}

/// Sources that may do something to destinations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cell<I> {
    pub(super) sources: IpSet,
    pub(super) destinations: IpSet,
    pub(super) items: I,
}

impl<I: Clone> Cell<I> {
    /// The part of it from `set` to `set`.
    pub(super) fn within(&self, set: &IpSet) -> Option<Self> {
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
pub(super) fn gained<I: Items>(old: &[Cell<I>], new: &[Cell<I>]) -> Vec<Cell<I>> {
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

/// Addresses that are in the same sets.
struct Class {
    /// Indexes of those sets, ascending.
    boxes: Vec<usize>,
    addresses: IpSet,
}

/// The classes into which `sets` part the addresses that are in any of them, found by walking along
/// the bounds of all ranges.
fn classes(sets: &[&IpSet]) -> Vec<Class> {
    // Rules share their sources and destinations more often than not.
    let mut distinct: HashMap<&IpSet, usize> = HashMap::default();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (at, set) in sets.iter().enumerate() {
        let index = *distinct.entry(set).or_insert_with(|| {
            members.push(Vec::new());
            members.len() - 1
        });
        if let Some(sets) = members.get_mut(index) {
            sets.push(at);
        }
    }
    let mut bounds: Vec<(Bound, bool, usize)> = Vec::new();
    for (set, index) in &distinct {
        for range in set.ranges() {
            bounds.push((Bound::of(range.first), true, *index));
            bounds.extend(Bound::of(range.last).next().map(|after| (after, false, *index)));
        }
    }
    bounds.sort_unstable();

    let mut inside: BTreeSet<usize> = BTreeSet::new();
    let mut classes: HashMap<Vec<usize>, IpSetBuilder> = HashMap::default();
    let mut bounds = bounds.into_iter().peekable();
    while let Some((bound, enters, index)) = bounds.next() {
        if enters {
            inside.insert(index);
        } else {
            inside.remove(&index);
        }
        let next = bounds.peek().map(|(next, ..)| *next);
        if next != Some(bound) && !inside.is_empty() {
            let addresses = classes.entry(inside.iter().copied().collect()).or_default();
            addresses.add_range(bound.until(next));
        }
    }
    let mut classes: Vec<Class> = classes
        .into_iter()
        .map(|(inside, addresses)| {
            let members = inside.iter().filter_map(|at| members.get(*at));
            let mut boxes: Vec<usize> = members.flatten().copied().collect();
            boxes.sort_unstable();
            Class { boxes, addresses: addresses.build() }
        })
        .collect();
    classes.sort_unstable_by(|a, b| a.boxes.cmp(&b.boxes));
    classes
}

/// An address as a place in a line of all addresses, IPv4 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    is_v6: bool,
    value: u128,
}

impl Bound {
    const fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(addr) => Self { is_v6: false, value: addr.to_bits() as u128 },
            IpAddr::V6(addr) => Self { is_v6: true, value: addr.to_bits() },
        }
    }

    /// The place after it; after the last IPv4 address one that is no address.
    fn next(self) -> Option<Self> {
        Some(Self { value: self.value.checked_add(1)?, ..self })
    }

    /// The addresses from it to the one before `next`, or to the last of all.
    fn until(self, next: Option<Self>) -> IpRange {
        let addr = |value: u128| match self.is_v6 {
            true => IpAddr::V6(value.into()),
            false => IpAddr::V4(u32::try_from(value).unwrap_or(u32::MAX).into()),
        };
        let last = next.map_or(u128::MAX, |next| next.value.saturating_sub(1));
        IpRange { first: addr(self.value), last: addr(last) }
    }
}
