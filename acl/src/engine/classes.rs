//! Addresses in as few parts as some sets can be told apart by.

use std::net::IpAddr;

use foldhash::HashMap;

use super::ip_set::{IpRange, IpSet, IpSetBuilder};

/// Addresses that are in the same sets.
pub(crate) struct Class {
    /// Indexes of those sets, ascending.
    pub(crate) boxes: Vec<usize>,
    pub(crate) addresses: IpSet,
}

/// The classes into which `sets` part the addresses that are in any of them, found by walking along
/// the bounds of all ranges.
pub(crate) fn classes(sets: &[&IpSet]) -> Vec<Class> {
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

    // Which of the distinct sets hold the place, as bits.
    let mut inside = vec![0_u64; members.len().div_ceil(64)];
    let mut classes: HashMap<Vec<u64>, IpSetBuilder> = HashMap::default();
    let mut bounds = bounds.into_iter().peekable();
    while let Some((bound, enters, index)) = bounds.next() {
        if let Some(word) = inside.get_mut(index / 64) {
            let bit = 1 << (index % 64);
            *word = if enters { *word | bit } else { *word & !bit };
        }
        let next = bounds.peek().map(|(next, ..)| *next);
        if next == Some(bound) || inside.iter().all(|word| *word == 0) {
            continue;
        }
        match classes.get_mut(&inside) {
            Some(addresses) => addresses.add_range(bound.until(next)),
            None => classes.entry(inside.clone()).or_default().add_range(bound.until(next)),
        }
    }
    let mut classes: Vec<Class> = classes
        .into_iter()
        .map(|(inside, addresses)| {
            let is_inside =
                |at: &usize| inside.get(at / 64).is_some_and(|w| w & (1 << (at % 64)) != 0);
            let members = (0..members.len()).filter(is_inside).filter_map(|at| members.get(at));
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
