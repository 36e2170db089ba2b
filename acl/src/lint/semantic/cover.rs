//! What is left of some boxes when others are taken away, and how much may be spent on it.

use crate::engine::boxes::{Cell, Items};

/// Steps that are left for proofs, so that no text makes a check take long. A step is about what it
/// takes to look for one address in a set.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) const fn of(steps: usize) -> Self {
        Self(steps)
    }

    /// Takes `steps` from what is left; `None` where it is not enough, and then for good.
    pub(super) const fn spend(&mut self, steps: usize) -> Option<()> {
        match self.0.checked_sub(steps) {
            Some(left) => {
                self.0 = left;
                Some(())
            }
            None => {
                self.0 = 0;
                None
            }
        }
    }
}

/// Steps to see whether two boxes overlap, and for each of their ranges to part them.
const OVERLAP: usize = 4;

/// What of `cells` none of `others` holds, as boxes that share nothing; `None` where that costs more
/// than the budget.
pub(super) fn remainder<'c, I: Items + 'c>(
    cells: Vec<Cell<I>>,
    others: impl IntoIterator<Item = &'c Cell<I>>,
    budget: &mut Budget,
) -> Option<Vec<Cell<I>>> {
    let mut left = cells;
    for other in others {
        if left.is_empty() {
            break;
        }
        let mut next = Vec::with_capacity(left.len());
        for cell in left {
            budget.spend(OVERLAP)?;
            if overlap(&cell, other) {
                budget.spend(OVERLAP * (parts(&cell) + parts(other)))?;
                without(&cell, other, &mut next);
            } else {
                next.push(cell);
            }
        }
        left = next;
    }
    Some(left)
}

/// Whether two boxes have anything in common.
pub(super) fn overlap<I: Items>(a: &Cell<I>, b: &Cell<I>) -> bool {
    a.sources.intersects(&b.sources)
        && a.destinations.intersects(&b.destinations)
        && a.items.difference(&b.items) != a.items
}

const fn parts<I>(cell: &Cell<I>) -> usize {
    cell.sources.parts() + cell.destinations.parts()
}

/// Puts what `cell` holds and `other` does not into `left`.
fn without<I: Items>(cell: &Cell<I>, other: &Cell<I>, left: &mut Vec<Cell<I>>) {
    let sources = cell.sources.intersection(&other.sources);
    let destinations = cell.destinations.intersection(&other.destinations);
    let other_sources = Cell { sources: cell.sources.difference(&sources), ..cell.clone() };
    let other_destinations = Cell {
        sources: sources.clone(),
        destinations: cell.destinations.difference(&destinations),
        items: cell.items.clone(),
    };
    let other_items = Cell { sources, destinations, items: cell.items.difference(&other.items) };
    let parts = [other_sources, other_destinations, other_items];
    left.extend(parts.into_iter().filter(|part| {
        !part.sources.is_empty() && !part.destinations.is_empty() && !part.items.is_empty()
    }));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::IpSet;
    use crate::policy::Prefix;

    fn cell(sources: &str, destinations: &str, items: &[u8]) -> Cell<BTreeSet<u8>> {
        let set = |text: &str| IpSet::of(Prefix::parse(text).unwrap());
        let items = items.iter().copied().collect();
        Cell { sources: set(sources), destinations: set(destinations), items }
    }

    #[test]
    fn what_is_left_is_what_no_other_box_holds() {
        let whole = cell("10.0.0.0/30", "10.0.0.0/30", &[1, 2]);
        let quarters = [
            cell("10.0.0.0/31", "10.0.0.0/31", &[1, 2]),
            cell("10.0.0.0/31", "10.0.0.2/31", &[1, 2]),
            cell("10.0.0.2/31", "10.0.0.0/29", &[1]),
        ];
        let left = remainder(vec![whole.clone()], &quarters, &mut Budget::of(10_000)).unwrap();
        assert_eq!(left, [cell("10.0.0.2/31", "10.0.0.0/30", &[2])]);
        let last = cell("10.0.0.0/29", "0.0.0.0/0", &[2, 3]);
        assert_eq!(remainder(left, [&last], &mut Budget::of(10_000)), Some(Vec::new()));
        assert_eq!(remainder(vec![whole], &quarters, &mut Budget::of(20)), None);
    }
}
