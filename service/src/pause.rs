//! How long to wait.

use std::time::Duration;

/// Pauses that grow from failure to failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after a first failure; it doubles with each.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row, with jitter; after none it is as after one.
    #[must_use]
    pub fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        jittered(self.first.saturating_mul(1 << doublings).min(self.longest))
    }
}

/// Between three quarters of it and all of it, so that many do not go in step.
#[must_use]
pub fn jittered(pause: Duration) -> Duration {
    let part = getrandom::u32().unwrap_or_default() % 256;
    pause.saturating_sub(pause.saturating_mul(part) / 1024)
}
