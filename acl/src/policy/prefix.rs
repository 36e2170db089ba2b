//! IP addresses and prefixes, read exactly as Go's `net/netip` reads them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

/// An address with a prefix length. Host bits are kept as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The address as written.
    pub addr: IpAddr,
    /// Length of the prefix in bits.
    pub bits: u8,
}

/// Why a text is no prefix: Go's words, without what it quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// No `/`.
    #[error("no '/'")]
    NoSlash,
    /// What stands before the `/` is no address.
    #[error("unable to parse IP")]
    Address,
    /// What stands after the `/` is no number, or has a sign or a leading zero.
    #[error("bad bits after slash")]
    Bits,
    /// The length is more than the address has.
    #[error("prefix length out of range")]
    Range,
    /// A prefix cannot have an IPv6 zone.
    #[error("IPv6 zones cannot be present in a prefix")]
    Zone,
}

impl Prefix {
    /// Reads an address (`10.0.0.1`, a prefix of all its bits) or a prefix (`10.0.0.0/8`), as an
    /// alias or a host may be written. An IPv6 zone is accepted on an address and dropped.
    ///
    /// # Errors
    ///
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        if text.contains('/') {
            return Self::parse_cidr(text);
        }
        let addr = parse_addr(text).ok_or(PrefixError::Address)?;
        Ok(Self { addr, bits: width(addr) })
    }

    /// Reads a prefix, which has a `/`.
    ///
    /// # Errors
    ///
    /// When the text is none.
    pub fn parse_cidr(text: &str) -> Result<Self, PrefixError> {
        let (addr, bits) = text.rsplit_once('/').ok_or(PrefixError::NoSlash)?;
        if addr.contains('%') && parse_addr(addr).is_some() {
            return Err(PrefixError::Zone);
        }
        let addr = parse_addr(addr).ok_or(PrefixError::Address)?;
        let plain = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        if !plain || (bits.len() > 1 && bits.starts_with('0')) {
            return Err(PrefixError::Bits);
        }
        match bits.parse::<u8>() {
            Ok(bits) if bits <= width(addr) => Ok(Self { addr, bits }),
            _ => Err(PrefixError::Range),
        }
    }

    /// Whether it holds one address only.
    #[must_use]
    pub const fn is_single(self) -> bool {
        self.bits == width(self.addr)
    }

    /// The prefix without host bits.
    #[must_use]
    pub fn masked(self) -> Self {
        let net = ipnet::IpNet::new(self.addr, self.bits).map_or(self.addr, |net| net.network());
        Self { addr: net, bits: self.bits }
    }

    /// As people write it: a single address without its length.
    #[must_use]
    pub fn written(self) -> String {
        if self.is_single() { self.addr.to_string() } else { self.to_string() }
    }

    /// Whether it holds `addr`.
    #[must_use]
    pub fn contains(self, addr: IpAddr) -> bool {
        self.overlaps(Self { addr, bits: width(addr) })
    }

    /// Whether both hold a common address; prefixes of different families do not.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        if self.addr.is_ipv4() != other.addr.is_ipv4() {
            return false;
        }
        let bits = self.bits.min(other.bits);
        let short = |addr| Self { addr, bits }.masked();
        short(self.addr) == short(other.addr)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.bits)
    }
}

/// Bits of an address of this family.
const fn width(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

/// An address, with an IPv6 zone (`fe80::1%eth0`) dropped.
pub(super) fn parse_addr(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        Some((_, "")) => None,
        Some((addr, _)) => addr.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_reads_is_read_and_nothing_else() {
        for good in ["10.0.0.1", "10.1.2.3/8", "::/0", "fe80::1%eth0", "::ffff:1.2.3.4"] {
            assert!(Prefix::parse(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("10.0.0.01", PrefixError::Address),
            ("10.0.0.1-10.0.0.5", PrefixError::Address),
            (" 10.0.0.1", PrefixError::Address),
            ("10.0.0.0/33", PrefixError::Range),
            ("10.0.0.0/08", PrefixError::Bits),
            ("10.0.0.0/+8", PrefixError::Bits),
            ("fe80::1%eth0/64", PrefixError::Zone),
            ("fe80::1%", PrefixError::Address),
            ("10.0.0.1%x", PrefixError::Address),
        ] {
            assert_eq!(Prefix::parse(bad), Err(error), "{bad}");
        }
    }
}
