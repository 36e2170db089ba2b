//! Exit codes.

use std::process::ExitCode;

/// How a run ended. Ordered: where several things went wrong, the worst is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Nothing to object to.
    Success = 0,
    /// There are findings, or files that would change; or what was asked of a cluster failed.
    Findings = 1,
    /// Wrong usage or configuration, or input that cannot be read.
    Usage = 2,
    /// A plugin could not do its work.
    Plugin = 3,
    /// A server cannot be used.
    Server = 4,
    /// Something is not what was agreed to.
    Integrity = 5,
    /// Ctrl-C ended it.
    Interrupted = 130,
}

impl Exit {
    /// What was asked of a cluster failed: kubectl's code.
    pub const FAILED: Self = Self::Findings;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
