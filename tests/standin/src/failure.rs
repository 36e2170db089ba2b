//! Why a call failed, in the words of each version.

use std::io;

/// The codes of gRPC that Headscale answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    /// The HTTP status that the gateway of 0.29 and older makes of it.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists => 409,
            Self::ResourceExhausted => 429,
            Self::Unknown | Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }

    /// The code whose HTTP status is `status`, as near as there is one.
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::NotFound,
            409 => Self::AlreadyExists,
            429 => Self::ResourceExhausted,
            400..=499 => Self::InvalidArgument,
            501 => Self::Unimplemented,
            500 => Self::Internal,
            504 => Self::DeadlineExceeded,
            502.. => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// A failed call. 0.29 and older answer a code and a message, 0.30 a status, what was being done
/// and its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) cause: Option<String>,
}

impl Failure {
    /// An error that nothing wraps: its words are the message and the detail.
    pub(crate) fn plain(code: Code, status: u16, words: impl Into<String>) -> Self {
        let message = words.into();
        Self { code, status, detail: message.clone(), message, cause: None }
    }

    /// An error of the layers below, which the old API hands on with the code Unknown, and the new
    /// one wraps in what it was `doing`.
    pub(crate) fn below(status: u16, doing: impl Into<String>, cause: impl Into<String>) -> Self {
        let message = cause.into();
        let cause = Some(message.clone());
        Self { code: Code::Unknown, message, status, detail: doing.into(), cause }
    }

    /// With another code on 0.29 and older.
    pub(crate) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// With other words on 0.29 and older.
    pub(crate) fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// What is missing in the database.
    pub(crate) fn user_not_found(doing: &str) -> Self {
        Self::below(404, doing, "user not found")
    }

    /// What a database says of a user's name that is taken, with what it was doing.
    pub(crate) fn name_taken(doing: &str, step: &str) -> Self {
        let cause =
            format!("{step}: constraint failed: UNIQUE constraint failed: users.name (2067)");
        Self::below(500, doing, cause)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::below(500, "writing to the database", format!("disk I/O error: {error}"))
    }
}
