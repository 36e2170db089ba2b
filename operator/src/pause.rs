//! How long to wait.

use std::time::Duration;

/// The pause after a first failure; it doubles with each.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause after failures.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The pause after so many failures in a row, with jitter.
pub(crate) fn after_failures(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    jittered(FIRST.saturating_mul(1 << doublings).min(LONGEST))
}

/// Between three quarters of it and all of it, so that many do not go in step.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or_default() % 256;
    pause.saturating_sub(pause.saturating_mul(part) / 1024)
}
