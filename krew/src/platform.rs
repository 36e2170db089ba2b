//! Platforms that releases are made for.

use crate::error::KrewError;
use crate::version::Version;

/// A platform that releases are made for.
#[derive(Debug, PartialEq, Eq)]
pub struct Platform {
    /// As Go and krew call the operating system.
    pub os: &'static str,
    /// As Go and krew call the processor.
    pub arch: &'static str,
    /// As Rust calls both.
    pub triple: &'static str,
}

/// All platforms that releases are made for, in the order of the manifest. On Linux the program
/// brings its C library along, because those of distributions are too many.
pub const PLATFORMS: [Platform; 5] = [
    Platform { os: "linux", arch: "amd64", triple: "x86_64-unknown-linux-musl" },
    Platform { os: "linux", arch: "arm64", triple: "aarch64-unknown-linux-musl" },
    Platform { os: "darwin", arch: "amd64", triple: "x86_64-apple-darwin" },
    Platform { os: "darwin", arch: "arm64", triple: "aarch64-apple-darwin" },
    Platform { os: "windows", arch: "amd64", triple: "x86_64-pc-windows-msvc" },
];

impl Platform {
    /// The platform of a Rust triple.
    ///
    /// # Errors
    ///
    /// [`KrewError::Target`] for one that releases are not made for.
    pub fn of(triple: &str) -> Result<&'static Self, KrewError> {
        PLATFORMS.iter().find(|platform| platform.triple == triple).ok_or_else(|| {
            KrewError::Target {
                triple: triple.to_owned(),
                known: PLATFORMS.map(|platform| platform.triple).join(", "),
            }
        })
    }

    /// What the program is called in the archive.
    #[must_use]
    pub fn program(&self) -> &'static str {
        if self.is_windows() { "kubectl-headscale.exe" } else { "kubectl-headscale" }
    }

    /// What the archive of `version` is called.
    #[must_use]
    pub fn archive(&self, version: &Version) -> String {
        let extension = if self.is_windows() { "zip" } else { "tar.gz" };
        format!("kubectl-headscale-{version}-{}.{extension}", self.triple)
    }

    /// Windows unpacks zip archives without another program.
    pub(crate) fn is_windows(&self) -> bool {
        self.os == "windows"
    }
}
