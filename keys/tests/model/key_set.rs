//! Keys of a model: numbers below 16.

/// A key of somebody else, which nobody may touch.
pub(crate) const FOREIGN: u8 = 15;

/// A set of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Keys(u16);

impl Keys {
    pub(crate) fn has(self, key: u8) -> bool {
        self.0 & (1 << key) != 0
    }

    pub(crate) fn with(self, key: u8) -> Self {
        Self(self.0 | 1 << key)
    }

    pub(crate) fn without(self, key: u8) -> Self {
        Self(self.0 & !(1 << key))
    }

    pub(crate) fn minus(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |key| self.has(*key))
    }
}
