//! Which rules are merged into one.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use foldhash::HashMap;

use super::rule::{Body, Rule, Sources};
use crate::semantics::FilterForm;

/// A rule after merging: the same number for all rules that become one.
pub(crate) type MergedId = u32;

/// Numbers merged rules. Headscale since 0.29 merges rules for ports whose sources are written
/// alike and whose protocols are the same; capabilities, and all rules before, stay as they are.
#[derive(Debug, Default)]
pub(crate) struct MergeKeys {
    sources: HashMap<WrittenAlike, u32>,
    ids: HashMap<(u32, Vec<u8>), MergedId>,
    next: MergedId,
}

impl MergeKeys {
    /// The number of `rule`. Costs the length of its sources, for hashing.
    pub(crate) fn id_of(&mut self, rule: &Rule, form: FilterForm) -> MergedId {
        let Self { sources, ids, next } = self;
        let mut fresh = || {
            *next += 1;
            *next - 1
        };
        match (&rule.body, form) {
            (Body::Ports { protocols, .. }, FilterForm::V0_29) => {
                let number = sources.len() as u32;
                let key = WrittenAlike(Rc::clone(&rule.sources));
                let number = *sources.entry(key).or_insert(number);
                *ids.entry((number, protocols.clone())).or_insert_with(fresh)
            }
            _ => fresh(),
        }
    }

    /// How many numbers were given.
    pub(crate) const fn len(&self) -> usize {
        self.next as usize
    }
}

/// Sources, equal where they are written alike. What they hold is cheaper to hash, and the same for
/// those.
#[derive(Debug)]
struct WrittenAlike(Rc<Sources>);

impl PartialEq for WrittenAlike {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0) || self.0.written == other.0.written
    }
}

impl Eq for WrittenAlike {}

impl Hash for WrittenAlike {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.set.hash(state);
    }
}
