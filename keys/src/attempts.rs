//! How often a key was asked for in vain, and how long that is waited out.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The pause after a first attempt that failed; it doubles with each.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause between attempts that fail: then at most six keys are asked for in an hour.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// Attempts to make a key since the last that succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempts {
    /// How many.
    pub count: u32,
    /// When the last began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

impl Attempts {
    pub(crate) fn is_none(&self) -> bool {
        self.count == 0
    }

    /// These, and one that begins at `now`.
    pub(crate) fn and_one(self, now: Timestamp) -> Self {
        Self { count: self.count.saturating_add(1), last: Some(now) }
    }

    /// Until when no attempt may be made after those that failed. A last attempt that lies in the
    /// future says nothing: the clock was set back since.
    pub(crate) fn wait_until(self, now: Timestamp) -> Option<Timestamp> {
        let last = self.last.filter(|last| *last <= now)?;
        let doublings = self.count.checked_sub(1)?.min(16);
        let pause = FIRST_PAUSE.checked_mul(1 << doublings).unwrap_or(LONGEST_PAUSE);
        let until = later(last, pause.min(LONGEST_PAUSE));
        (now < until).then_some(until)
    }
}

/// The time by so much later, or the end of time.
pub(crate) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
