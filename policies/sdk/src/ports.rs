//! Ports, as settings and answers write them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// A port or a range of ports: `443`, `"443"`, `"8000-8100"`, `"*"`.
///
/// What is none can be read all the same, so that a plugin says in its own words where it stands.
///
/// ```
/// use headscale_policy_sdk::ports::PortRange;
///
/// let ports: Vec<PortRange> = serde_json::from_str(r#"[443, "8000-8100", "*", "9-1"]"#).unwrap();
/// let bounds: Vec<_> = ports.iter().map(PortRange::bounds).collect();
/// assert_eq!(bounds, [Some((443, 443)), Some((8000, 8100)), Some((1, 65535)), None]);
/// assert_eq!(ports[1].to_string(), "8000-8100");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(String);

impl PortRange {
    /// A port or a range as text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The first port and the last; `None` where it is none, port 0 and turned ranges included.
    #[must_use]
    pub fn bounds(&self) -> Option<(u16, u16)> {
        let text = self.0.trim();
        if text == "*" {
            return Some((1, u16::MAX));
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first > 0 && first <= last).then_some((first, last))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = PortRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port, or a range of ports as text")
            }

            fn visit_u64<E: Error>(self, port: u64) -> Result<PortRange, E> {
                Ok(PortRange(port.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PortRange, E> {
                Ok(PortRange::new(text))
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}
