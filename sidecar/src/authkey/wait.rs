//! Waits for another key in the config.

use headscale_keys::AuthKey;
use headscale_keys::reissue::is_answer;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::args::TimeArgs;
use super::config::{ConfigError, KeySource};
use super::error::Error;

/// Looks into the config, and tells what is wrong with it once for each thing that is.
#[derive(Debug)]
pub(super) struct Looker {
    source: KeySource,
    wrong: Option<ConfigError>,
}

impl Looker {
    pub(super) fn new(source: KeySource) -> Self {
        Self { source, wrong: None }
    }

    /// The key in the config. One that cannot be read is told of and counts as none.
    pub(super) fn key(&mut self) -> Option<AuthKey> {
        let (key, wrong) = match self.source.key() {
            Ok(key) => (key, None),
            Err(error) => (None, Some(error)),
        };
        if let Some(error) = wrong.as_ref().filter(|error| Some(*error) != self.wrong.as_ref()) {
            tracing::warn!(%error, "there is no telling which key the config holds");
        }
        self.wrong = wrong;
        key
    }

    /// What is wrong with the config, as of the last look.
    pub(super) fn wrong(&self) -> Option<&ConfigError> {
        self.wrong.as_ref()
    }

    /// Looks for a tailscaled of another capability version.
    pub(super) fn set_capability(&mut self, capability: u32) {
        self.source = self.source.of_capability(capability);
    }
}

/// Waits until the config holds another key than `failed`: it looks at once, and then again and
/// again, because the kubelet swaps the files when it likes.
pub(super) async fn until_answered(
    source: &KeySource,
    failed: &AuthKey,
    times: TimeArgs,
) -> Result<AuthKey, Error> {
    let mut looker = Looker::new(source.clone());
    let deadline = Instant::now() + times.timeout;
    let mut ticks = interval(times.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if let Some(key) = looker.key().filter(|key| is_answer(failed, Some(key))) {
                    tracing::info!(?key, "another key has come");
                    return Ok(key);
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                let config = looker.wrong().cloned();
                return Err(Error::TimedOut { after: times.timeout, config });
            }
        }
    }
}
