//! Ports: `22`, `80,443`, `6800-7300`, `*`.

use std::fmt;

use super::go_int::go_atoi;
use crate::semantics::{Semantics, Wording};

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl PortRange {
    /// All ports.
    pub const ANY: Self = Self { first: 0, last: u16::MAX };

    /// Whether `port` is within.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ANY => f.write_str("*"),
            Self { first, last } if first == last => write!(f, "{first}"),
            Self { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

/// Reads a list of ports as Headscale does: empty pieces around `-` are dropped, numbers may have a
/// sign or leading zeros, and 0 is allowed in ranges only.
///
/// # Errors
///
/// Headscale's sentence, without what wraps it.
pub(crate) fn parse_ports(
    text: &str,
    semantics: &Semantics,
) -> Result<Vec<PortRange>, &'static str> {
    if text == "*" {
        return Ok(vec![PortRange::ANY]);
    }
    text.split(',').map(|part| parse_range(part, semantics)).collect()
}

fn parse_range(part: &str, semantics: &Semantics) -> Result<PortRange, &'static str> {
    if !part.contains('-') {
        let port = parse_port(part, semantics)?;
        return match port {
            0 => Err("first port must be >0, or use '*' for wildcard"),
            port => Ok(PortRange { first: port, last: port }),
        };
    }
    let mut ends = part.split('-').filter(|end| !end.is_empty());
    let (Some(first), Some(last), None) = (ends.next(), ends.next(), ends.next()) else {
        return Err("invalid port range format");
    };
    let (first, last) = (parse_port(first, semantics)?, parse_port(last, semantics)?);
    if first > last {
        return Err("invalid port range: first port is greater than last port");
    }
    Ok(PortRange { first, last })
}

fn parse_port(text: &str, semantics: &Semantics) -> Result<u16, &'static str> {
    let number = go_atoi(text).ok_or(match semantics.wording {
        Wording::V0_28 => "invalid port number",
        Wording::V0_29 => "invalid first integer",
    })?;
    u16::try_from(number).map_err(|_| "port number out of range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Version;

    #[test]
    fn ports_are_read_as_headscale_does() {
        let parse = |text| {
            parse_ports(text, Semantics::of(Version::V0_29))
                .map(|ranges| ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        };
        for (text, expected) in [
            ("*", Ok("*")),
            ("22,80-90", Ok("22,80-90")),
            ("80--90", Ok("80-90")),
            ("+80", Ok("80")),
            ("0080", Ok("80")),
            ("0-0", Ok("0")),
            ("0", Err("first port must be >0, or use '*' for wildcard")),
            ("80-", Err("invalid port range format")),
            ("90-80", Err("invalid port range: first port is greater than last port")),
            ("65536", Err("port number out of range")),
            ("8_0", Err("invalid first integer")),
            ("22,*", Err("invalid first integer")),
            ("", Err("invalid first integer")),
            ("ssh", Err("invalid first integer")),
        ] {
            assert_eq!(parse(text), expected.map(str::to_owned), "{text}");
        }
    }
}
