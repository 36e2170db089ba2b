//! A clock that tests can set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// The system's clock, shifted. Clones share the shift.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// In nanoseconds.
    shift: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that is right.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// What time it is here.
    ///
    /// # Panics
    ///
    /// Outside the years that there are.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_nanos(self.shift.load(Ordering::SeqCst))
    }

    /// Turns the clock forward, or back where `by` is negative. By 292 years at most, in sum.
    ///
    /// # Panics
    ///
    /// Where `by` is more than that.
    pub fn advance(&self, by: SignedDuration) {
        let nanos = i64::try_from(by.as_nanos()).expect("a shift below 292 years");
        self.shift.fetch_add(nanos, Ordering::SeqCst);
    }
}
