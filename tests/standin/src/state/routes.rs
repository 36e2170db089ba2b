//! Routes, as Go reads and orders them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::options::Version;

/// The routes to everywhere, of both families.
const EXIT: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The routes to approve: sorted, each once, and with one exit route both. Fails with Go's words.
pub(super) fn to_approve(version: Version, routes: &[String]) -> Result<Vec<String>, String> {
    let mut prefixes =
        routes.iter().map(|route| Prefix::parse(route)).collect::<Result<Vec<_>, _>>()?;
    if prefixes.iter().any(Prefix::is_exit) {
        prefixes.retain(|prefix| !prefix.is_exit());
        prefixes.push(Prefix { address: Ipv4Addr::UNSPECIFIED.into(), bits: 0 });
        prefixes.push(Prefix { address: Ipv6Addr::UNSPECIFIED.into(), bits: 0 });
    }
    prefixes.sort_unstable_by_key(|prefix| {
        let Prefix { address, bits } = *prefix;
        // 0.28 puts wide routes first, within a family.
        let width = if version == Version::V0_28 { bits } else { 0 };
        (address.is_ipv6(), width, prefix.masked(), bits, address)
    });
    prefixes.dedup();
    Ok(prefixes.iter().map(Prefix::written).collect())
}

/// The routes that a node announces. Fails with Go's words.
pub(super) fn announced(routes: &[String]) -> Result<Vec<String>, String> {
    routes.iter().map(|route| Prefix::parse(route).map(|prefix| prefix.written())).collect()
}

/// Whether it goes everywhere.
pub(super) fn is_exit(route: &str) -> bool {
    EXIT.contains(&route)
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl Prefix {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("netip.ParsePrefix({text:?}): {why}");
        let (address, bits) = text.rsplit_once('/').ok_or_else(|| wrong("no '/'"))?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| wrong(&format!("ParseAddr({address:?}): unable to parse IP")))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        if !is_number || (bits.len() > 1 && bits.starts_with('0')) {
            return Err(wrong(&format!("bad bits after slash: {bits:?}")));
        }
        match bits.parse() {
            Ok(bits) if bits <= most => Ok(Self { address, bits }),
            _ => Err(wrong("prefix length out of range")),
        }
    }

    fn written(&self) -> String {
        format!("{}/{}", self.address, self.bits)
    }

    fn is_exit(&self) -> bool {
        self.bits == 0 && self.address.is_unspecified()
    }

    fn masked(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approved(routes: &[&str]) -> Result<Vec<String>, String> {
        to_approve(
            Version::V0_29,
            &routes.iter().map(|route| (*route).to_owned()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn one_exit_route_is_both() {
        let both = Ok(vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()]);
        assert_eq!(approved(&["::/0"]), both);
        assert_eq!(approved(&["0.0.0.0/0", "::/0"]), both);
    }

    #[test]
    fn routes_are_sorted_and_kept_once() {
        let sorted = approved(&["fd00::/64", "10.2.0.0/16", "10.1.0.0/16", "10.2.0.0/16"]);
        assert_eq!(sorted.unwrap(), ["10.1.0.0/16", "10.2.0.0/16", "fd00::/64"]);
        let routes = ["10.0.0.0/24", "192.168.0.0/16"].map(str::to_owned);
        let old = to_approve(Version::V0_28, &routes).unwrap();
        assert_eq!(old, ["192.168.0.0/16", "10.0.0.0/24"]);
    }

    #[test]
    fn what_is_no_route_is_told_in_the_words_of_go() {
        for (route, words) in [
            ("10.0.0.0", "netip.ParsePrefix(\"10.0.0.0\"): no '/'"),
            ("10.0.0.0/33", "netip.ParsePrefix(\"10.0.0.0/33\"): prefix length out of range"),
            ("x/1", "netip.ParsePrefix(\"x/1\"): ParseAddr(\"x\"): unable to parse IP"),
            ("10.0.0.0/01", "netip.ParsePrefix(\"10.0.0.0/01\"): bad bits after slash: \"01\""),
        ] {
            assert_eq!(approved(&[route]).unwrap_err(), words);
        }
    }
}
