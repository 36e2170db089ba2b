//! How many keys may be made in a time.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// What is stored of a bucket of tokens: when the last one was taken, and when it will be full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// When one was taken.
    pub at: Timestamp,
    /// When it will be full.
    pub full_at: Timestamp,
}

impl Bucket {
    /// Takes a token of a bucket that holds `burst` at most and gets another `every` so often; `old`
    /// is what is stored of it, `None` where it is full. Where the burst grows it has so many tokens
    /// more at once, and where it shrinks so many fewer, but no less than none.
    ///
    /// # Errors
    ///
    /// How long until there is one.
    pub fn take(
        old: Option<Self>,
        now: Timestamp,
        every: SignedDuration,
        burst: u32,
    ) -> Result<Self, SignedDuration> {
        let burst = i32::try_from(burst.max(1)).unwrap_or(i32::MAX);
        let all = every.checked_mul(burst).unwrap_or(SignedDuration::MAX);
        let lacks = old.map_or(SignedDuration::ZERO, |old| {
            // Whoever wrote a later time had a clock that was wrong.
            let passed = now.duration_since(old.at.min(now));
            let lacked = old.full_at.duration_since(old.at).min(all);
            lacked.saturating_sub(passed).max(SignedDuration::ZERO)
        });
        let lacks = lacks.saturating_add(every);
        if lacks > all {
            return Err(lacks.saturating_sub(all));
        }
        Ok(Self { at: now, full_at: now.checked_add(lacks).unwrap_or(Timestamp::MAX) })
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.at, self.full_at)
    }
}

impl FromStr for Bucket {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (at, full_at) = text.split_once('/').unwrap_or((text, text));
        Ok(Self { at: at.parse()?, full_at: full_at.parse()? })
    }
}
