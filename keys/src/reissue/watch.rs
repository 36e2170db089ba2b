//! The node's side: from what tailscaled says and what the config holds to what is to be done.

use super::node::{Clearing, is_answer};
use super::signal::{Cause, DaemonState, Signal};
use crate::AuthKey;

/// How the login is restarted once another key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNewKey {
    /// The process ends with success and takes tailscaled with it; both start anew.
    Exit,
    /// tailscaled runs on, reads its config again and logs in.
    Login,
}

/// What is to be done next.
#[derive(Clone, Debug)]
pub enum Action {
    /// Nothing.
    None,
    /// tailscaled reads its config again and logs in, once, before a key is asked for: what it
    /// said may be older than the key in the config.
    TryLogin,
    /// tailscaled disconnects, then the marker is set to `failed`, then the config is watched.
    Ask {
        /// The key that failed, empty where there was none.
        failed: AuthKey,
        /// Why.
        cause: Cause,
    },
    /// A key is there that was not tried: the state Secret is cleared, then the login restarted.
    Accept {
        /// What is cleared.
        clearing: Clearing,
        /// How the login is restarted.
        restart: OnNewKey,
    },
    /// tailscaled is logged in: the state Secret is told which device it is.
    Publish,
}

/// Watches one tailscaled. It is told what happens, and says what is to be done.
///
/// Losing it loses nothing: a new one, told the same state of the world, goes on.
#[derive(Debug)]
pub struct Watch {
    on_new_key: OnNewKey,
    phase: Phase,
    /// What tailscaled is taken to have tried.
    tried: AuthKey,
    /// Whether tailscaled was made to log in by us, so that what it says is about `tried`.
    ours: bool,
    /// Whether a login that we started has neither succeeded nor been refused.
    logging_in: bool,
    /// The text of the last warning.
    warning: Option<String>,
    /// A warning from before the last login, which tailscaled keeps until that login has ended.
    stale: Option<String>,
}

#[derive(Debug)]
enum Phase {
    Watching,
    Waiting { failed: AuthKey },
}

impl Watch {
    /// Starts. `config` is the key that the config holds.
    #[must_use]
    pub fn new(on_new_key: OnNewKey, config: Option<&AuthKey>) -> Self {
        Self {
            on_new_key,
            phase: Phase::Watching,
            tried: config.cloned().unwrap_or_else(|| AuthKey::new("")),
            ours: false,
            logging_in: false,
            warning: None,
            stale: None,
        }
    }

    /// Whether a key was asked for and has not come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// tailscaled said `signal` while the config holds the key `config`.
    ///
    /// [`Action::TryLogin`] and [`Action::Accept`] are taken to be carried out before the next call.
    pub fn heard(&mut self, signal: Signal<'_>, config: Option<&AuthKey>) -> Action {
        if let Signal::LoginWarning(text) = signal {
            self.warning = text.map(str::to_owned);
            if self.stale.is_some() && self.stale == self.warning {
                return Action::None;
            }
            self.stale = None;
        }
        if self.is_waiting() {
            return Action::None;
        }
        match signal {
            Signal::State(DaemonState::Starting) => self.logging_in = false,
            Signal::State(DaemonState::Running) => {
                self.logging_in = false;
                self.ours = true;
                return Action::Publish;
            }
            // After an expiry it says so until the login with the new key has ended; a key that is
            // refused is told by the server's own words.
            Signal::State(DaemonState::NeedsLogin) if self.logging_in => return Action::None,
            _ => {}
        }
        let Some(cause) = signal.cause() else {
            return Action::None;
        };
        // What a tailscaled says that somebody else started, or that has not tried this key, says
        // nothing about the key.
        let untried = !self.ours || is_answer(&self.tried, config);
        if let Some(key) = config.filter(|key| untried && !key.is_empty()) {
            match self.on_new_key {
                OnNewKey::Login => {
                    self.logs_in_with(key);
                    return Action::TryLogin;
                }
                // One that was started with a key does not need a login: its server refuses it.
                OnNewKey::Exit if cause == Cause::NeedsLogin => return self.accept(key),
                OnNewKey::Exit => {}
            }
        }
        let failed = self.tried.clone();
        self.phase = Phase::Waiting { failed: failed.clone() };
        Action::Ask { failed, cause }
    }

    /// The config was looked at and holds the key `config`. To be called right after a request,
    /// and then whenever it may have changed.
    pub fn looked(&mut self, config: Option<&AuthKey>) -> Action {
        let Phase::Waiting { failed } = &self.phase else {
            return Action::None;
        };
        match config.filter(|key| is_answer(failed, Some(key))) {
            Some(key) => self.accept(key),
            None => Action::None,
        }
    }

    fn accept(&mut self, key: &AuthKey) -> Action {
        self.phase = Phase::Watching;
        self.logs_in_with(key);
        let clearing = match self.on_new_key {
            OnNewKey::Exit => Clearing::Login,
            OnNewKey::Login => Clearing::Device,
        };
        Action::Accept { clearing, restart: self.on_new_key }
    }

    fn logs_in_with(&mut self, key: &AuthKey) {
        self.tried = key.clone();
        self.ours = true;
        self.logging_in = true;
        self.stale = self.warning.clone();
    }
}
