//! Sets of IP addresses: sorted ranges, one list for each family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::policy::Prefix;

/// A set of IPv4 and IPv6 addresses.
///
/// The ranges are sorted, disjoint and not adjacent, so equal sets are equal values. A question
/// costs a binary search, a union or difference the sum of the ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct IpSet {
    v4: Ranges,
    v6: Ranges,
}

/// Ranges of one family, both ends included.
type Ranges = Vec<(u128, u128)>;

/// What a set is made of, in any order.
#[derive(Clone, Debug, Default)]
pub(crate) struct IpSetBuilder {
    v4: Ranges,
    v6: Ranges,
}

impl IpSetBuilder {
    pub(crate) fn add_addr(&mut self, addr: IpAddr) {
        let value = value(addr);
        self.family(addr.is_ipv4()).push((value, value));
    }

    pub(crate) fn add_prefix(&mut self, prefix: Prefix) {
        let range = bounds(prefix);
        self.family(prefix.addr.is_ipv4()).push(range);
    }

    pub(crate) fn add_range(&mut self, range: IpRange) {
        let values = (value(range.first), value(range.last));
        self.family(range.first.is_ipv4()).push(values);
    }

    pub(crate) fn add_set(&mut self, set: &IpSet) {
        self.v4.extend_from_slice(&set.v4);
        self.v6.extend_from_slice(&set.v6);
    }

    fn family(&mut self, v4: bool) -> &mut Ranges {
        if v4 { &mut self.v4 } else { &mut self.v6 }
    }

    /// The set of all that was added. Sorts, so it costs n log n of the ranges.
    pub(crate) fn build(self) -> IpSet {
        IpSet { v4: merged(self.v4), v6: merged(self.v6) }
    }
}

impl IpSet {
    /// The set of what a prefix holds.
    #[must_use]
    pub fn of(prefix: Prefix) -> Self {
        Self::of_all([prefix])
    }

    /// The set of what all of the prefixes hold.
    #[must_use]
    pub fn of_all(prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        let mut builder = IpSetBuilder::default();
        for prefix in prefixes {
            builder.add_prefix(prefix);
        }
        builder.build()
    }

    /// The set of what a range holds.
    pub(crate) fn of_range(range: IpRange) -> Self {
        let mut builder = IpSetBuilder::default();
        builder.add_range(range);
        builder.build()
    }

    /// Whether it holds no address.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether it holds `addr`.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        let value = value(addr);
        overlaps(self.family(addr.is_ipv4()), (value, value))
    }

    /// Whether it holds any address of `prefix`.
    #[must_use]
    pub fn overlaps(&self, prefix: Prefix) -> bool {
        overlaps(self.family(prefix.addr.is_ipv4()), bounds(prefix))
    }

    /// Whether it holds every address of `prefix`.
    #[must_use]
    pub fn contains_all(&self, prefix: Prefix) -> bool {
        holds(self.family(prefix.addr.is_ipv4()), bounds(prefix))
    }

    /// Whether it holds every address of `other`.
    #[must_use]
    pub fn is_superset(&self, other: &Self) -> bool {
        let families = [(&self.v4, &other.v4), (&self.v6, &other.v6)];
        families.into_iter().all(|(own, other)| other.iter().all(|range| holds(own, *range)))
    }

    /// Whether both hold a common address: a search in the larger for each range of the smaller.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        let families = [(&self.v4, &other.v4), (&self.v6, &other.v6)];
        families.into_iter().any(|(a, b)| {
            let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
            few.iter().any(|range| overlaps(many, *range))
        })
    }

    /// What it holds and `other` does not.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self { v4: difference(&self.v4, &other.v4), v6: difference(&self.v6, &other.v6) }
    }

    /// What both hold: costs as much as the set with the fewer ranges, times a search in the other.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            v4: common(&self.v4, &other.v4).collect(),
            v6: common(&self.v6, &other.v6).collect(),
        }
    }

    /// The ranges of addresses that both hold, found one by one.
    pub(crate) fn common<'s>(&'s self, other: &'s Self) -> impl Iterator<Item = IpRange> {
        let v4 = common(&self.v4, &other.v4).map(|range| (range, true));
        let v6 = common(&self.v6, &other.v6).map(|range| (range, false));
        v4.chain(v6)
            .map(|((first, last), v4)| IpRange { first: addr(first, v4), last: addr(last, v4) })
    }

    /// What any of the sets holds.
    #[must_use]
    pub fn union<'s>(sets: impl IntoIterator<Item = &'s Self>) -> Self {
        let mut builder = IpSetBuilder::default();
        for set in sets {
            builder.add_set(set);
        }
        builder.build()
    }

    /// Its lowest address, IPv4 first.
    #[must_use]
    pub fn first(&self) -> Option<IpAddr> {
        self.ranges().next().map(|range| range.first)
    }

    /// Its IPv4 and its IPv6 addresses.
    pub(crate) fn families(&self) -> [Self; 2] {
        [Self { v4: self.v4.clone(), v6: Vec::new() }, Self { v4: Vec::new(), v6: self.v6.clone() }]
    }

    /// The fewest prefixes that hold the same addresses, IPv4 first, in ascending order.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        let v4 = self.v4.iter().flat_map(|range| cover(*range, true));
        v4.chain(self.v6.iter().flat_map(|range| cover(*range, false)))
    }

    /// The fewest ranges that hold the same addresses, IPv4 first, in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = IpRange> {
        let range = |v4: bool| {
            move |(first, last): &(u128, u128)| IpRange {
                first: addr(*first, v4),
                last: addr(*last, v4),
            }
        };
        self.v4.iter().map(range(true)).chain(self.v6.iter().map(range(false)))
    }

    /// How many ranges it is made of.
    pub(crate) const fn parts(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// How many addresses it holds, at most `u128::MAX`.
    #[must_use]
    pub fn len(&self) -> u128 {
        let size = |(first, last): &(u128, u128)| (last - first).saturating_add(1);
        self.v4.iter().chain(&self.v6).map(size).fold(0, u128::saturating_add)
    }

    /// Its addresses in ascending order, IPv4 first. May be more than anyone can wait for.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.iter().flat_map(|(a, b)| *a..=*b).map(|value| addr(value, true));
        v4.chain(self.v6.iter().flat_map(|(a, b)| *a..=*b).map(|value| addr(value, false)))
    }

    const fn family(&self, v4: bool) -> &Ranges {
        if v4 { &self.v4 } else { &self.v6 }
    }
}

/// A range of addresses of one family, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpRange {
    /// The first address.
    pub first: IpAddr,
    /// The last address.
    pub last: IpAddr,
}

impl fmt::Display for IpRange {
    /// One address as itself, a range that is a prefix as such, any other as `first-last`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        let v4 = self.first.is_ipv4();
        let mut cover = cover((value(self.first), value(self.last)), v4);
        match (cover.next(), cover.next()) {
            (Some(prefix), None) => prefix.fmt(f),
            _ => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

fn value(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(u32::from(addr)),
        IpAddr::V6(addr) => u128::from(addr),
    }
}

fn addr(value: u128, v4: bool) -> IpAddr {
    match u32::try_from(value) {
        Ok(value) if v4 => IpAddr::V4(Ipv4Addr::from(value)),
        _ => IpAddr::V6(Ipv6Addr::from(value)),
    }
}

/// First and last address of a prefix.
fn bounds(prefix: Prefix) -> (u128, u128) {
    let host_bits = if prefix.addr.is_ipv4() { 32 } else { 128 } - u32::from(prefix.bits);
    let hosts = 1_u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1);
    let first = value(prefix.addr) & !hosts;
    (first, first | hosts)
}

fn merged(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut merged: Ranges = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// Whether one of the ranges holds all of another: a search.
fn holds(ranges: &Ranges, (first, last): (u128, u128)) -> bool {
    let after = ranges.partition_point(|range| range.0 <= first);
    let range = after.checked_sub(1).and_then(|at| ranges.get(at));
    range.is_some_and(|range| range.1 >= last)
}

fn overlaps(ranges: &Ranges, (first, last): (u128, u128)) -> bool {
    let at = ranges.partition_point(|range| range.1 < first);
    ranges.get(at).is_some_and(|range| range.0 <= last)
}

/// What two lists have in common, range by range: a search in the longer one for each of the other.
fn common<'r>(a: &'r Ranges, b: &'r Ranges) -> impl Iterator<Item = (u128, u128)> {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    few.iter().flat_map(|(first, last)| {
        let at = many.partition_point(|range| range.1 < *first);
        let within = many.iter().skip(at).take_while(|range| range.0 <= *last);
        within.map(|range| (range.0.max(*first), range.1.min(*last)))
    })
}

fn difference(from: &Ranges, other: &Ranges) -> Ranges {
    let mut left = Vec::new();
    for (mut first, last) in from.iter().copied() {
        let mut whole = false;
        let at = other.partition_point(|range| range.1 < first);
        for (gone_first, gone_last) in other.iter().skip(at).copied() {
            if gone_first > last {
                break;
            }
            if first < gone_first {
                left.push((first, gone_first - 1));
            }
            match gone_last.checked_add(1) {
                Some(next) if next <= last => first = next,
                _ => {
                    whole = true;
                    break;
                }
            }
        }
        if !whole {
            left.push((first, last));
        }
    }
    left
}

/// The fewest prefixes that cover a range, in ascending order.
fn cover((first, last): (u128, u128), v4: bool) -> impl Iterator<Item = Prefix> {
    let width: u32 = if v4 { 32 } else { 128 };
    let mut next = Some(first);
    std::iter::from_fn(move || {
        let start = next?;
        // As large as its alignment allows, and as what is left allows.
        let aligned = start.trailing_zeros().min(width);
        let fits = match (last - start).checked_add(1) {
            Some(left) => 127 - left.leading_zeros(),
            None => 128,
        };
        let host_bits = aligned.min(fits);
        let size = 1_u128.checked_shl(host_bits);
        next = size.and_then(|size| start.checked_add(size)).filter(|next| *next <= last);
        Some(Prefix { addr: addr(start, v4), bits: (width - host_bits) as u8 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(prefixes: &[&str]) -> IpSet {
        IpSet::of_all(prefixes.iter().map(|text| Prefix::parse(text).unwrap()))
    }

    fn text(set: &IpSet) -> String {
        set.ranges().map(|range| range.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn prefixes(set: &IpSet) -> String {
        set.prefixes().map(|prefix| prefix.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ranges_merge_and_print_as_headscale_prints_them() {
        let set = set(&["100.64.0.1", "100.64.0.2", "100.64.0.3", "fd7a::1", "10.0.0.0/8"]);
        assert_eq!(text(&set), "10.0.0.0/8 100.64.0.1-100.64.0.3 fd7a::1");
        assert_eq!(prefixes(&set), "10.0.0.0/8 100.64.0.1/32 100.64.0.2/31 fd7a::1/128");
        assert_eq!(set.len(), (1 << 24) + 3 + 1);
    }

    #[test]
    fn differences_leave_the_rest() {
        let tailnet = set(&["100.64.0.0/10"]).difference(&set(&["100.115.92.0/23"]));
        assert_eq!(text(&tailnet), "100.64.0.0-100.115.91.255 100.115.94.0-100.127.255.255");
        let all = set(&["0.0.0.0/0", "::/0"]);
        assert_eq!(prefixes(&all), "0.0.0.0/0 ::/0");
        assert!(all.difference(&all).is_empty());
        assert_eq!(text(&all.difference(&set(&["0.0.0.0/1", "::/1"]))), "128.0.0.0/1 8000::/1");
    }

    #[test]
    fn questions_are_answered_by_family() {
        let set = set(&["10.0.0.0/9", "10.128.0.0/9", "fd00::/8"]);
        let prefix = |text| Prefix::parse(text).unwrap();
        assert!(set.contains_all(prefix("10.0.0.0/8")));
        assert!(!set.contains_all(prefix("10.0.0.0/7")));
        assert!(set.overlaps(prefix("0.0.0.0/0")));
        assert!(!set.overlaps(prefix("11.0.0.0/8")));
        let other = |text| IpSet::of(prefix(text));
        assert!(set.intersects(&other("10.255.255.255")) && set.intersects(&other("::/0")));
        assert!(!set.intersects(&other("11.0.0.0/8")) && !set.intersects(&other("::1")));
        assert!(set.contains("fd00::1".parse().unwrap()));
        assert!(!set.contains("::1".parse().unwrap()));
    }
}
