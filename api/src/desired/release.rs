//! Which Headscale an instance runs.

use headscale_acl::Version;

use crate::kinds::HeadscaleSpec;

/// The image of Headscale, where the spec names none.
pub const DEFAULT_IMAGE: &str = "headscale/headscale";

/// The minor version of a `spec.version`, such as `v0.28.0`, `0.29` or `0.30.0-beta.1`.
///
/// One that is not known counts as the nearest that is: an older one as 0.28, a newer one as 0.30,
/// and what is no version as the newest released.
#[must_use]
pub fn release(version: &str) -> Version {
    if let Ok(known) = version.parse() {
        return known;
    }
    let oldest = Version::ALL.first().copied().unwrap_or(Version::DEFAULT);
    let newest = Version::ALL.last().copied().unwrap_or(Version::DEFAULT);
    match numbers(version) {
        None => Version::DEFAULT,
        Some((0, minor)) if minor < 28 => oldest,
        Some(_) => newest,
    }
}

/// The minor version as the version itself has it, also where it is not known here: `0.31` of
/// `v0.31.2`.
pub(super) fn minor(version: &str) -> String {
    numbers(version)
        .map_or_else(|| release(version).to_string(), |(major, minor)| format!("{major}.{minor}"))
}

fn numbers(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.strip_prefix('v').unwrap_or(version).split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The image to run: the version is its tag, unless the image has a digest, which then counts.
pub(super) fn image(spec: &HeadscaleSpec) -> String {
    let image = spec.image.as_deref().filter(|image| !image.is_empty()).unwrap_or(DEFAULT_IMAGE);
    if image.contains('@') { image.to_owned() } else { format!("{image}:{}", spec.version) }
}
