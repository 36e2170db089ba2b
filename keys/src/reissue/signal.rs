//! What tailscaled says, and whether it is a reason to ask for another key.

use std::fmt;

/// tailscaled's state (`ipn.State`), as the number that it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonState {
    /// Cannot go on without a person, or without another key.
    NeedsLogin,
    /// Is registered and waits to be approved.
    NeedsMachineAuth,
    /// Is logged in, and not connected yet.
    Starting,
    /// Is logged in and connected.
    Running,
    /// Any other: on its way, or stopped.
    Other,
}

impl DaemonState {
    /// Of the number that tailscaled sends.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        match number {
            2 => Self::NeedsLogin,
            3 => Self::NeedsMachineAuth,
            5 => Self::Starting,
            6 => Self::Running,
            _ => Self::Other,
        }
    }
}

/// One thing that tailscaled says on its bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal<'a> {
    /// A new state, or the one at hand.
    State(DaemonState),
    /// The health as a whole: the last login error that the warning `login-state` tells, or `None`
    /// where that warning is not there.
    LoginWarning(Option<&'a str>),
    /// The server refused a login just now, in its words (`ErrMessage`).
    Refused(&'a str),
}

/// Why another key is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// tailscaled is not logged in and has no key to do so.
    NeedsLogin,
    /// Headscale refused the key.
    Refused(Refusal),
}

/// Why Headscale refused a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was used, and is for one use.
    Used,
    /// It is expired.
    Expired,
    /// It was revoked.
    Revoked,
    /// Headscale does not know it.
    Unknown,
    /// Another reason that names the key.
    Other,
}

impl Refusal {
    /// Reads the text of a login error. `None`: it is not about the key. An outage, an error of
    /// the network or of the server never is.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        // 0.28 wraps some of them.
        let text = text.strip_prefix("handling register with auth key: ").unwrap_or(text);
        match text {
            "authkey already used" => Some(Self::Used),
            "authkey expired" => Some(Self::Expired),
            "authkey revoked" => Some(Self::Revoked),
            "invalid pre auth key" => Some(Self::Unknown),
            _ if text.starts_with("auth-key not found") => Some(Self::Unknown),
            _ if text.starts_with("authkey ") => Some(Self::Other),
            _ => None,
        }
    }
}

impl Signal<'_> {
    /// Why this asks for another key. `None`: it does not.
    ///
    /// tailscaled raises `login-state` for every error of a login, outages included, so its text
    /// decides.
    #[must_use]
    pub fn cause(self) -> Option<Cause> {
        match self {
            Self::State(DaemonState::NeedsLogin) => Some(Cause::NeedsLogin),
            Self::State(_) | Self::LoginWarning(None) => None,
            Self::LoginWarning(Some(text)) | Self::Refused(text) => {
                Refusal::read(text).map(Cause::Refused)
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeedsLogin => "needs a login",
            Self::Refused(Refusal::Used) => "the key was used already",
            Self::Refused(Refusal::Expired) => "the key is expired",
            Self::Refused(Refusal::Revoked) => "the key was revoked",
            Self::Refused(Refusal::Unknown) => "Headscale does not know the key",
            Self::Refused(Refusal::Other) => "Headscale refused the key",
        })
    }
}
