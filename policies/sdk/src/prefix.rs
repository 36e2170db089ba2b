//! Addresses and networks, as policies and answers write them.

use std::net::IpAddr;

/// A network, or an address as a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    addr: IpAddr,
    bits: u32,
}

impl Prefix {
    /// Reads `10.0.0.0/8`, `fd7a::/48`, `100.64.0.1`; `None` for what is neither.
    ///
    /// ```
    /// use headscale_policy_sdk::prefix::Prefix;
    ///
    /// let pods = Prefix::parse("10.244.0.0/16").unwrap();
    /// assert!(pods.contains(Prefix::parse("10.244.1.7").unwrap()));
    /// assert!(!pods.overlaps(Prefix::parse("100.64.0.0/10").unwrap()));
    /// assert_eq!(Prefix::parse("10.244.0.0/33"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (addr, bits) = match text.split_once('/') {
            Some((addr, bits)) => (addr, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().ok()?;
        let width = if addr.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { addr, bits })
    }

    /// Whether the address has bits set behind the prefix, as in `10.0.0.1/8`.
    #[must_use]
    pub const fn has_host_bits(self) -> bool {
        self.first(self.bits) != self.number()
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.bits <= other.bits && self.overlaps(other)
    }

    /// Whether any address lies in both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let bits = self.bits.min(other.bits);
        self.addr.is_ipv4() == other.addr.is_ipv4() && self.first(bits) == other.first(bits)
    }

    /// The address as a number with its first bit first.
    const fn number(self) -> u128 {
        match self.addr {
            IpAddr::V4(addr) => (addr.to_bits() as u128) << 96,
            IpAddr::V6(addr) => addr.to_bits(),
        }
    }

    /// The first bits of the address.
    const fn first(self, bits: u32) -> u128 {
        if bits == 0 { 0 } else { self.number() & (u128::MAX << (128 - bits)) }
    }
}
