//! The idempotency token of a key that is about to be made.

use std::collections::BTreeSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The expiration that a key is asked for with, which no other key has.
///
/// Headscale takes no name or label for an API key and shows its text once, but keeps its
/// expiration exactly and lists it, also after a crash (0.28 to 0.30). So an expiration that is
/// written down before the key is made finds that key again. It counts whole microseconds, because
/// PostgreSQL stores no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(Timestamp);

impl Token {
    /// The token of a key that lives about `lifetime` from `now` on, within a second, and is none
    /// of `taken`. `nonce` is any number; two processes that choose at the same time should come
    /// with different ones.
    ///
    /// At the end of the calendar (the year 9999) it is as late as it can be.
    #[must_use]
    pub fn choose(
        now: Timestamp,
        lifetime: SignedDuration,
        nonce: u32,
        taken: &BTreeSet<Timestamp>,
    ) -> Self {
        const SECOND: i64 = 1_000_000;
        let latest = Timestamp::MAX.as_microsecond() / SECOND - 1;
        let end = now.as_second().saturating_add(lifetime.as_secs()).min(latest);
        let micros = (0..SECOND).map(|step| (i64::from(nonce) + step) % SECOND);
        let token = micros
            .filter_map(|micro| Timestamp::from_microsecond(end * SECOND + micro).ok())
            .find(|token| !taken.contains(token));
        // A million keys of one second are not to be had; then any will do.
        Self(token.unwrap_or(Timestamp::MAX))
    }

    /// Of an expiration that was read: from the record, or from a key that is adopted.
    #[must_use]
    pub fn of(expiration: Timestamp) -> Self {
        Self(expiration)
    }

    /// When the key expires.
    #[must_use]
    pub fn expiration(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
