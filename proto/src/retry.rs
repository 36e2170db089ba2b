//! Repeating calls that may be repeated.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// How often a call is repeated, and after which pauses.
///
/// Before the n-th repetition there is a pause of random length, up to the first pause doubled n-1
/// times: callers that failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How often the call is made in all, at least once.
    pub attempts: u32,
    /// The longest pause before the first repetition.
    pub pause: Duration,
    /// The longest pause of all.
    pub max_pause: Duration,
}

impl Default for Policy {
    /// Four calls with pauses of up to 0.1 s, 0.2 s and 0.4 s.
    fn default() -> Self {
        Self { attempts: 4, pause: Duration::from_millis(100), max_pause: Duration::from_secs(5) }
    }
}

impl Policy {
    /// The pause before the `repetition`-th repetition, from 1. `random` is any number; each one is
    /// as likely as the others for a pause that is.
    #[must_use]
    pub fn pause(&self, repetition: u32, random: u32) -> Duration {
        let doubled = 1_u32.checked_shl(repetition.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.pause.saturating_mul(doubled).min(self.max_pause);
        longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// Whether it makes sense to try again after this error: Headscale could not be reached, or was too
/// slow. It says nothing of whether the call may be repeated.
#[must_use]
pub fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// Makes `call` until it succeeds, fails for good, or was made as often as `policy` says; gives
/// what it gave last. `random` is where pauses take their length from.
///
/// For calls that may happen twice: those that read, and those that remove, which find nothing where
/// an earlier attempt was carried out after all: `NotFound` is success then. **Never for one that
/// creates**: after an error it may have happened.
///
/// # Errors
///
/// What `call` failed with last.
pub async fn retrying<T, F>(
    policy: Policy,
    mut random: impl FnMut() -> u32 + Send,
    mut call: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut repetition = 0;
    loop {
        let result = call().await;
        repetition += 1;
        match result {
            Err(error) if is_passing(&error) && repetition < policy.attempts => {
                tokio::time::sleep(policy.pause(repetition, random())).await;
            }
            result => return result,
        }
    }
}
