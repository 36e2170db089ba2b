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
/// nothing, so this costs the bounds of all sets, and for each pair of classes that are in a new box
/// a few steps for each 64 boxes.
pub(crate) fn gained<I: Items>(old: &[Cell<I>], new: &[Cell<I>]) -> Vec<Cell<I>> {
    let known: HashSet<&Cell<I>> = old.iter().collect();
    let fresh: Vec<&Cell<I>> = new.iter().filter(|cell| !known.contains(cell)).collect();
    if fresh.is_empty() {
        return Vec::new();
    }
    let mut gains = Gains::of(old, &fresh);
    let (all, old) = (gains.boxes.clone(), gains.old);
    let sources = classes(&all.iter().map(|cell| &cell.sources).collect::<Vec<_>>());
    let destinations = classes(&all.iter().map(|cell| &cell.destinations).collect::<Vec<_>>());
    // Classes of destinations by box, so that only pairs that share a box are looked at.
    let mut by_box: Vec<Vec<u32>> = vec![Vec::new(); all.len()];
    for (at, class) in (0_u32..).zip(&destinations) {
        for boxed in &class.boxes {
            if let Some(classes) = by_box.get_mut(*boxed) {
                classes.push(at);
            }
        }
    }
    let bits: Vec<Vec<u64>> = destinations.iter().map(|class| gains.bits(&class.boxes)).collect();
    // For each source class, what it gains of which destination classes.
    let mut grouped: HashMap<(u32, Vec<u32>), IpSetBuilder> = HashMap::default();
    let mut seen = vec![usize::MAX; destinations.len()];
    for (number, source) in sources.iter().enumerate() {
        let own = gains.bits(&source.boxes);
        let mut gained: HashMap<u32, Vec<u32>> = HashMap::default();
        for boxed in source.boxes.iter().filter(|boxed| **boxed >= old) {
            for at in by_box.get(*boxed).into_iter().flatten() {
                let Some(seen) = seen.get_mut(*at as usize) else { continue };
                let Some(bits) = bits.get(*at as usize) else { continue };
                if std::mem::replace(seen, number) != number
                    && let Some(items) = gains.of_pair(&own, bits)
                {
                    gained.entry(items).or_default().push(*at);
                }
            }
        }
        for (items, mut destinations) in gained {
            destinations.sort_unstable();
            grouped.entry((items, destinations)).or_default().add_set(&source.addresses);
        }
    }
    let cells = grouped.into_iter().filter_map(|((items, reached), sources)| {
        let mut builder = IpSetBuilder::default();
        for class in reached.iter().filter_map(|at| destinations.get(*at as usize)) {
            builder.add_set(&class.addresses);
        }
        let items = gains.items.get(items as usize)?.clone();
        Some(Cell { sources: sources.build(), destinations: builder.build(), items })
    });
    let mut cells: Vec<Cell<I>> = cells.collect();
    cells.sort_by(|a, b| {
        let key = |cell: &Cell<I>| (cell.sources.first(), cell.destinations.first());
        key(a).cmp(&key(b)).then_with(|| a.items.cmp(&b.items))
    });
    merged(cells)
}

/// What pairs of classes gain, each combination of boxes once.
struct Gains<'c, I> {
    /// The old boxes that can take anything away, then the new ones.
    boxes: Vec<&'c Cell<I>>,
    /// How many of them are old.
    old: usize,
    /// What is gained, each once.
    items: Vec<I>,
    numbers: HashMap<I, u32>,
    /// By the boxes that both classes of a pair are in, as bits, the number of what is gained.
    known: HashMap<Vec<u64>, Option<u32>>,
    /// Room for a key.
    both: Vec<u64>,
}

impl<'c, I: Items> Gains<'c, I> {
    fn of(old: &'c [Cell<I>], fresh: &[&'c Cell<I>]) -> Self {
        let mut items: HashSet<&I> = HashSet::default();
        items.extend(fresh.iter().map(|cell| &cell.items));
        let overlaps =
            |cell: &&Cell<I>| items.iter().any(|items| items.difference(&cell.items) != **items);
        let mut boxes: Vec<&Cell<I>> = old.iter().filter(overlaps).collect();
        let old = boxes.len();
        boxes.extend(fresh);
        Self {
            boxes,
            old,
            items: Vec::new(),
            numbers: HashMap::default(),
            known: HashMap::default(),
            both: Vec::new(),
        }
    }

    fn bits(&self, boxes: &[usize]) -> Vec<u64> {
        let mut bits = vec![0; self.boxes.len().div_ceil(64)];
        for at in boxes {
            if let Some(word) = bits.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
        bits
    }

    /// The number of what is gained where both classes are in the boxes of these bits.
    fn of_pair(&mut self, source: &[u64], destination: &[u64]) -> Option<u32> {
        self.both.clear();
        self.both.extend(source.iter().zip(destination).map(|(a, b)| a & b));
        if let Some(known) = self.known.get(&self.both) {
            return *known;
        }
        let mut gained = I::default();
        let holds = |at: &usize| self.both.get(at / 64).is_some_and(|w| w & (1 << (at % 64)) != 0);
        let within =
            (0..self.boxes.len()).filter(holds).filter_map(|at| Some((at, self.boxes.get(at)?)));
        let (before, fresh): (Vec<_>, Vec<_>) = within.partition(|(at, _)| *at < self.old);
        fresh.iter().for_each(|(_, cell)| gained.union(&cell.items));
        for (_, cell) in before {
            gained = gained.difference(&cell.items);
        }
        let number = (!gained.is_empty()).then(|| match self.numbers.get(&gained) {
            Some(number) => *number,
            None => {
                let number = self.items.len() as u32;
                self.items.push(gained.clone());
                self.numbers.insert(gained, number);
                number
            }
        });
        self.known.insert(self.both.clone(), number);
        number
    }
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
