//! Versions as krew writes them.

use std::fmt;
use std::str::FromStr;

use crate::error::KrewError;

/// The version of a release, which krew wants with a `v`: `v1.2.3`, or `v1.2.3-rc.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// The version of this workspace.
    #[must_use]
    pub fn current() -> Self {
        Self(format!("v{}", env!("CARGO_PKG_VERSION")))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Version {
    type Err = KrewError;

    /// # Errors
    ///
    /// [`KrewError::Version`] without the `v`, with other than three numbers, and with build
    /// metadata, whose `+` means a space in some addresses.
    fn from_str(text: &str) -> Result<Self, KrewError> {
        text.strip_prefix('v')
            .and_then(|bare| semver::Version::parse(bare).ok())
            .filter(|version| version.build.is_empty())
            .map(|_| Self(text.to_owned()))
            .ok_or_else(|| KrewError::Version { text: text.to_owned() })
    }
}
