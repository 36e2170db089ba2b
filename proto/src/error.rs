//! How a call fails.

use std::fmt;

/// The most of a server's text that an error repeats, in bytes.
const MAX_TEXT: usize = 500;

/// What went wrong, with one meaning on all transports and versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// What the call is about is not there.
    NotFound,
    /// Something else has the name or key already.
    AlreadyExists,
    /// The API key is missing, unknown or expired; Headscale does not say which.
    Unauthorized,
    /// Headscale does not take the request as it is, or in the state that it is in.
    Invalid,
    /// Headscale cannot be reached, the connection was lost, or a proxy says that it is away.
    Unavailable,
    /// No answer within the deadline.
    Timeout,
    /// This version of Headscale does not have the call, or is itself not supported.
    Unsupported,
    /// Headscale failed.
    Internal,
    /// The answer is none that Headscale gives.
    Protocol,
}

impl ErrorKind {
    /// One word for it, in snake case: for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Unauthorized => "unauthorized",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a call failed: `OPERATION: REASON`, with what Headscale said where it said something.
///
/// It holds no key, and of what was sent only names and numbers that stand in the path. The text of
/// Headscale is cut to 500 bytes and has no control characters.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {text}")]
pub struct Error {
    kind: ErrorKind,
    may_have_acted: bool,
    is_untrusted: bool,
    operation: &'static str,
    text: String,
}

impl Error {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether Headscale may have done what it was asked to: the request may have left, and no clear
    /// refusal came back.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        self.may_have_acted
    }

    /// Whether the server's certificate is not one of those that are trusted, or for another name: it
    /// stays so until the server gets another, or the client is told of others.
    #[must_use]
    pub fn is_untrusted(&self) -> bool {
        self.is_untrusted
    }

    /// The same, because of the server's certificate.
    pub(crate) fn of_certificate(self) -> Self {
        Self { is_untrusted: true, ..self }
    }

    /// A failure before anything was sent.
    pub(crate) fn unsent(operation: &'static str, kind: ErrorKind, text: &str) -> Self {
        Self { kind, may_have_acted: false, is_untrusted: false, operation, text: clean(text) }
    }

    /// A failure after the request may have left, where nothing clear came back.
    pub(crate) fn unanswered(operation: &'static str, kind: ErrorKind, text: &str) -> Self {
        Self { kind, may_have_acted: true, is_untrusted: false, operation, text: clean(text) }
    }

    /// What Headscale answered. Where that is a refusal, it did nothing.
    pub(crate) fn answered(operation: &'static str, kind: ErrorKind, text: &str) -> Self {
        let may_have_acted = match kind {
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Unauthorized
            | ErrorKind::Invalid
            | ErrorKind::Unsupported => false,
            ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Internal
            | ErrorKind::Protocol => true,
        };
        Self { kind, may_have_acted, is_untrusted: false, operation, text: clean(text) }
    }

    /// An answer that is not understood.
    pub(crate) fn protocol(operation: &'static str, text: &str) -> Self {
        Self::unanswered(operation, ErrorKind::Protocol, text)
    }
}

/// `text` without control characters and cut to what an error repeats.
fn clean(text: &str) -> String {
    let spaced = |char: char| if char.is_control() { ' ' } else { char };
    let mut clean: String = text.chars().map(spaced).take(MAX_TEXT + 1).collect();
    if clean.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT - '…'.len_utf8()).rev().find(|at| clean.is_char_boundary(*at));
        clean.truncate(end.unwrap_or_default());
        clean.push('…');
    }
    clean
}

/// An error with those that caused it, which only together say what happened.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // Some repeat what caused them.
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}
