//! Errors in texts that are no policies: configurations, snapshots, conversions.

use std::fmt;

use thiserror::Error;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) struct PlacedError {
    /// Line and column, from 1, the column in characters; `None` for the whole text.
    place: Option<(u64, u64)>,
    message: String,
}

impl PlacedError {
    /// An error about a whole text.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into() }
    }

    /// An error at a line and a column, both from 1; line 0 is the whole text.
    pub(crate) fn at(line: u64, column: u64, message: impl Into<String>) -> Self {
        Self { place: (line > 0).then_some((line, column)), message: message.into() }
    }

    /// `NAME:LINE:COLUMN: MESSAGE`
    pub(crate) fn in_file(&self, name: &str) -> String {
        match self.place {
            Some((line, column)) => format!("{name}:{line}:{column}: {}", self.message),
            None => format!("{name}: {}", self.message),
        }
    }
}

impl fmt::Display for PlacedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}
