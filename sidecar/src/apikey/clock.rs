//! What time it is.

use std::future::Future;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Time, as the manager of a key asks for it.
pub trait Clock: Send + Sync {
    /// The wall clock, which people and NTP set as they like.
    fn now(&self) -> Timestamp;
    /// Time since some moment, which only runs forward.
    fn elapsed(&self) -> Duration;
    /// Waits for `duration` to pass.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The machine's.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}
