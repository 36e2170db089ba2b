//! One answer for all who ask at the same time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

/// What Headscale answered.
#[derive(Debug)]
pub struct Snapshot<T> {
    /// When it was asked, by a clock that only runs forward: the answer shows everything that had
    /// happened by then.
    pub begun: Duration,
    /// The answer.
    pub value: Arc<T>,
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self { begun: self.begun, value: Arc::clone(&self.value) }
    }
}

/// The last answer to a question that many ask: those who ask while it is being asked wait, and
/// share the next answer.
#[derive(Debug)]
pub struct Shared<T>(Mutex<Option<Snapshot<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Shared<T> {
    /// An answer to a question that was asked at `since` or later; `ask` asks it, and `clock` says
    /// what time it is.
    ///
    /// # Errors
    ///
    /// What `ask` fails with. Others who wait ask for themselves then.
    pub async fn since<E>(
        &self,
        since: Duration,
        clock: impl Fn() -> Duration,
        ask: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Snapshot<T>, E> {
        let mut last = self.0.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.begun >= since) {
            return Ok(last.clone());
        }
        let begun = clock();
        let snapshot = Snapshot { begun, value: Arc::new(ask().await?) };
        *last = Some(snapshot.clone());
        Ok(snapshot)
    }
}
