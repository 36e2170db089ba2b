//! Addresses as numbers, and lists of ranges that are searched from end to end.

use std::net::IpAddr;

/// An address: whether it is IPv4, and its number.
pub(crate) type Addr = (bool, u128);

/// A prefix: its first address and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    pub(crate) first: Addr,
    pub(crate) bits: u32,
}

/// Addresses of one family, both ends included.
pub(crate) type Range = (bool, u128, u128);

pub(crate) fn addr(text: &str) -> Addr {
    match text.parse().unwrap() {
        IpAddr::V4(addr) => (true, u128::from(u32::from(addr))),
        IpAddr::V6(addr) => (false, u128::from(addr)),
    }
}

/// `10.0.0.0/8`, or one address.
pub(crate) fn cidr(text: &str) -> Cidr {
    let (text, bits) = match text.split_once('/') {
        Some((text, bits)) => (text, Some(bits.parse().unwrap())),
        None => (text, None),
    };
    let first = addr(text);
    Cidr { first, bits: bits.unwrap_or(width(first.0)) }
}

const fn width(v4: bool) -> u32 {
    if v4 { 32 } else { 128 }
}

impl Cidr {
    pub(crate) fn range(self) -> Range {
        let host_bits = width(self.first.0) - self.bits;
        let size = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
        (self.first.0, self.first.1, self.first.1 + size)
    }
}

/// An address, `first-last`, a prefix, or `*`: a source or destination as it is written.
pub(crate) fn written(text: &str) -> Vec<Range> {
    if text == "*" {
        return vec![(true, 0, u128::from(u32::MAX)), (false, 0, u128::MAX)];
    }
    match text.split_once('-') {
        Some((first, last)) => vec![(addr(first).0, addr(first).1, addr(last).1)],
        None => vec![cidr(text).range()],
    }
}

pub(crate) fn holds(set: &[Range], addr: Addr) -> bool {
    set.iter().any(|range| range.0 == addr.0 && range.1 <= addr.1 && addr.1 <= range.2)
}

pub(crate) fn overlap(set: &[Range], range: Range) -> bool {
    set.iter().any(|other| other.0 == range.0 && other.1 <= range.2 && range.1 <= other.2)
}

/// Sorted, and joined where they touch.
pub(crate) fn joined(set: &[Range]) -> Vec<Range> {
    let mut sorted = set.to_vec();
    sorted.sort_by_key(|range| (!range.0, range.1));
    let mut joined: Vec<Range> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if last.0 == range.0 && range.1 <= last.2.saturating_add(1) => {
                last.2 = last.2.max(range.2);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Whether `set` holds all of `range`.
pub(crate) fn covers(set: &[Range], range: Range) -> bool {
    joined(set).iter().any(|of| of.0 == range.0 && of.1 <= range.1 && range.2 <= of.2)
}

pub(crate) fn covers_all(set: &[Range], ranges: &[Range]) -> bool {
    joined(ranges).iter().all(|range| covers(set, *range))
}

/// The largest prefixes that make up `set`: halves of everything until a half is in or out.
pub(crate) fn prefixes(set: &[Range]) -> Vec<Cidr> {
    fn halve(set: &[Range], prefix: Cidr, found: &mut Vec<Cidr>) {
        let range = prefix.range();
        if set.iter().any(|of| of.0 == range.0 && of.1 <= range.1 && range.2 <= of.2) {
            found.push(prefix);
        } else if overlap(set, range) {
            let bits = prefix.bits + 1;
            let middle = 1_u128 << (width(range.0) - bits);
            halve(set, Cidr { first: prefix.first, bits }, found);
            halve(set, Cidr { first: (range.0, range.1 + middle), bits }, found);
        }
    }
    let (set, mut found) = (joined(set), Vec::new());
    for v4 in [true, false] {
        halve(&set, Cidr { first: (v4, 0), bits: 0 }, &mut found);
    }
    found
}
