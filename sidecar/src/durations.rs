//! Durations on the command line.

use headscale_acl::policy::Nanoseconds;
use jiff::SignedDuration;

/// Reads a duration as Go writes them (`2160h`, `1h30m`) or as Headscale's command line takes them
/// (`90d`, `1y`).
///
/// # Errors
///
/// What was expected.
pub(crate) fn parse(text: &str) -> Result<SignedDuration, String> {
    Nanoseconds::parse_go(text)
        .or_else(|_| Nanoseconds::parse_prometheus(text))
        .map(|duration| SignedDuration::from_nanos(duration.0))
        .map_err(|_| format!("`{text}` is no duration: write 90m, 2160h, 1h30m or 90d"))
}

/// Reads one that is longer than nothing.
///
/// # Errors
///
/// What was expected.
pub(crate) fn parse_positive(text: &str) -> Result<std::time::Duration, String> {
    let duration = std::time::Duration::try_from(parse(text)?).unwrap_or_default();
    if duration.is_zero() {
        return Err(format!("`{text}` is not longer than nothing: write 100ms, 30s or 5m"));
    }
    Ok(duration)
}
