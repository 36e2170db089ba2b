//! How long to wait.

use std::time::Duration;

use headscale_service::pause::Backoff;
pub(crate) use headscale_service::pause::jittered;

const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(5 * 60) };

/// The pause after so many failures in a row, with jitter.
pub(crate) fn after_failures(failures: u32) -> Duration {
    BACKOFF.after(failures)
}
