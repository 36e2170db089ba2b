//! How long API keys live.

use headscale_acl::policy::Nanoseconds;

/// The Go operator's default.
const EXPIRATION: &str = "2160h";
/// The Go operator's default.
const BUFFER: &str = "1920h";
const SECOND: u64 = 1_000_000_000;

/// The expiration of API keys and the rotation buffer, as Go writes durations: what is given as it
/// is, else the defaults. For an expiration that the default buffer is too long for, the buffer is
/// the same share of it that the defaults have, because a sidecar does not start otherwise.
pub(super) fn of(expiration: Option<&str>, buffer: Option<&str>) -> (String, String) {
    let expiration = expiration.unwrap_or(EXPIRATION);
    let buffer = buffer.map_or_else(
        || match (length(expiration), length(EXPIRATION), length(BUFFER)) {
            (Some(life), Some(whole), Some(share)) if life <= share => {
                let nanoseconds = u128::from(life) * u128::from(share) / u128::from(whole);
                format!("{}s", nanoseconds / u128::from(SECOND))
            }
            _ => BUFFER.to_owned(),
        },
        str::to_owned,
    );
    (expiration.to_owned(), buffer)
}

/// A duration in nanoseconds; `None` where it is none, or none that passes.
fn length(text: &str) -> Option<u64> {
    let Nanoseconds(nanoseconds) = Nanoseconds::parse_go(text).ok()?;
    u64::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds > 0)
}
