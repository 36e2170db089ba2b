//! IP protocols by name or number.

use super::go_int::go_atoi;
use super::quote::go_quote;
use crate::semantics::{Semantics, Wording};

/// An IP protocol, or that none is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// None given: TCP and UDP, and since 0.29 also ICMP.
    #[default]
    Default,
    /// A protocol that Headscale knows by this name.
    Named(&'static str, u8),
    /// A protocol given by number, in the digits that Headscale keeps.
    Number(String, u8),
}

impl Protocol {
    /// Its name or number as Headscale writes it; empty where none is given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "",
            Self::Named(name, _) => name,
            Self::Number(digits, _) => digits,
        }
    }

    /// Its IANA number.
    #[must_use]
    pub const fn number(&self) -> Option<u8> {
        match self {
            Self::Default => None,
            Self::Named(_, number) | Self::Number(_, number) => Some(*number),
        }
    }

    /// Whether Headscale takes single ports with it: TCP, UDP, SCTP, or none given. Up to 0.28 only
    /// their names count, not their numbers.
    #[must_use]
    pub fn has_ports(&self) -> bool {
        matches!(self, Self::Default | Self::Named("tcp" | "udp" | "sctp", _))
    }

    /// Reads the `proto` of a rule or test: any case, and since 0.29 a number becomes its name.
    ///
    /// # Errors
    ///
    /// Headscale's sentence.
    pub(crate) fn parse(text: &str, semantics: &Semantics) -> Result<Self, String> {
        let lower = text.to_lowercase();
        if semantics.protocol_numbers_have_names
            && let Some(number) = go_atoi(&lower)
        {
            let named = |(_, n): &&(&str, u8)| i64::from(*n) == number;
            // ip-in-ip shares its number with ipv4, which stands first.
            if let Some((name, number)) = semantics.protocols.iter().find(named) {
                return Ok(Self::Named(name, *number));
            }
        }
        Self::parse_exact(&lower, semantics)
    }

    /// Reads the protocol of a grant's `ip`: as written.
    ///
    /// # Errors
    ///
    /// Headscale's sentence.
    pub(crate) fn parse_exact(text: &str, semantics: &Semantics) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Default);
        }
        if let Some((name, number)) = semantics.protocols.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Named(name, *number));
        }
        let new = semantics.wording == Wording::V0_29;
        if text == "*" {
            return Err("proto name \"*\" not known; use protocol number 0-255 or protocol name \
                        (icmp, tcp, udp, etc.)"
                .to_owned());
        }
        if text.starts_with('0') {
            return Err(if new {
                format!("leading 0 not permitted in protocol number: {}", go_quote(text))
            } else {
                format!("leading 0 not permitted in protocol number \"{text}\"")
            });
        }
        let Some(number) = go_atoi(text) else {
            let quoted = go_quote(text);
            let must = "must be a known protocol name or valid protocol number 0-255";
            return Err(if new {
                format!("invalid protocol number: {quoted} {must}")
            } else {
                format!("invalid protocol {quoted}: {must}")
            });
        };
        match u8::try_from(number) {
            Ok(number) => Ok(Self::Number(text.to_owned(), number)),
            Err(_) if new => Err(format!("protocol number out of range (0-255): {number}")),
            Err(_) => Err(format!("protocol number {number} out of range (0-255)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Version;

    #[test]
    fn protocols_are_read_as_each_version_does() {
        let new = Semantics::of(Version::V0_29);
        let old = Semantics::of(Version::V0_28);
        assert_eq!(Protocol::parse("TCP", new), Ok(Protocol::Named("tcp", 6)));
        assert_eq!(Protocol::parse("06", new), Ok(Protocol::Named("tcp", 6)));
        assert_eq!(Protocol::parse("6", old), Ok(Protocol::Number("6".to_owned(), 6)));
        assert!(Protocol::parse("06", old).is_err());
        assert!(Protocol::parse("fc", old).is_err());
        assert_eq!(
            Protocol::parse("256", new),
            Err("protocol number out of range (0-255): 256".to_owned())
        );
        assert_eq!(Protocol::parse_exact("6", new), Ok(Protocol::Number("6".to_owned(), 6)));
        assert!(Protocol::parse_exact("TCP", new).is_err());
    }
}
