//! Durations on the command line.

use std::time::Duration;

use headscale_acl::policy::Nanoseconds;
use jiff::SignedDuration;

/// Reads a duration as Go writes them (`2160h`, `1h30m`) or as Headscale's command line takes them
/// (`90d`, `1y`).
///
/// # Errors
///
/// What was expected.
pub fn parse(text: &str) -> Result<SignedDuration, String> {
    Nanoseconds::parse_go(text)
        .or_else(|_| Nanoseconds::parse_prometheus(text))
        .map(|duration| SignedDuration::from_nanos(duration.0))
        .map_err(|_| format!("`{text}` is no duration: write 90m, 2160h, 1h30m or 90d"))
}

/// Reads one that is not negative.
///
/// # Errors
///
/// What was expected.
pub fn parse_unsigned(text: &str) -> Result<Duration, String> {
    Duration::try_from(parse(text)?)
        .map_err(|_| format!("`{text}` is shorter than nothing: write 0s, 30s or 5m"))
}

/// Reads one that is longer than nothing.
///
/// # Errors
///
/// What was expected.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    let duration = Duration::try_from(parse(text)?).unwrap_or_default();
    if duration.is_zero() {
        return Err(format!("`{text}` is not longer than nothing: write 100ms, 30s or 5m"));
    }
    Ok(duration)
}
