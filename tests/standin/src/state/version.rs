//! Which versions may follow one another on a database.

use std::io;

use crate::options::Version;

/// Whether a server of this version starts on a database that `stored` was the last to write its
/// version into; 0.28 writes none, and finds the table that it knows nothing of. What is no version,
/// such as `dev`, is not compared.
pub(super) fn check(version: Version, reported: &str, stored: Option<&str>) -> io::Result<()> {
    let Some(stored) = stored else { return Ok(()) };
    if !keeps(version) {
        return Err(io::Error::other(
            "validating schema: invalid schema: remove table \"database_versions\"",
        ));
    }
    let Some(((major, minor), (stored_major, stored_minor))) =
        numbers(reported).zip(numbers(stored))
    else {
        return Ok(());
    };
    let why = if major != stored_major {
        "major version change not supported"
    } else if minor < stored_minor {
        "version downgrade not supported"
    } else if minor > stored_minor + 1 {
        "version upgrade not supported"
    } else {
        return Ok(());
    };
    Err(io::Error::other(format!(
        "headscale version {reported} cannot be used with a database last used by {stored}: {why}"
    )))
}

/// Whether servers of this version write it into their database.
pub(super) fn keeps(version: Version) -> bool {
    version >= Version::V0_29
}

/// Major and minor number of `v0.29.2`, and of `0.30.0-beta.1`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Option<Vec<u32>> = numbers.split('.').map(|part| part.parse().ok()).collect();
    match numbers?.as_slice() {
        [major, minor, _] => Some((*major, *minor)),
        _ => None,
    }
}
