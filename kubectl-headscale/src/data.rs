//! Data for programs: JSON or YAML.

use std::fmt::Display;
use std::io::{self, ErrorKind};

use clap::ValueEnum;
use serde::Serialize;

use crate::error::CommandError;

/// A format for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataFormat {
    Json,
    Yaml,
}

impl DataFormat {
    /// `value` in this format; ends with a newline.
    ///
    /// # Errors
    ///
    /// When `value` has no such form, which is a mistake of this program.
    pub(crate) fn render(self, value: &impl Serialize) -> Result<String, CommandError> {
        match self {
            Self::Json => {
                let mut text = serde_json::to_string_pretty(value).map_err(broken)?;
                text.push('\n');
                Ok(text)
            }
            Self::Yaml => {
                // YAML knows nothing of raw JSON.
                let value = serde_json::to_value(value).map_err(broken)?;
                serde_saphyr::to_string(&value).map_err(broken)
            }
        }
    }
}

/// The error where data has no such form.
fn broken(error: impl Display) -> CommandError {
    CommandError::usage(format!("the answer cannot be written: {error}"))
        .hint("this is a mistake of kubectl headscale: please report it with the file")
}

/// Why data that is written as it is made was not written to its end.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// Standard output takes no more.
    Io(io::Error),
    /// It has no such form.
    Broken(String),
}

impl Unwritten {
    /// What it is for the command: a reader of standard output that went away is no error.
    pub(crate) fn or_closed(self) -> Result<(), CommandError> {
        match self {
            Self::Io(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Self::Io(error) => Err(CommandError::stdout(&error)),
            Self::Broken(error) => Err(broken(error)),
        }
    }
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<serde_json::Error> for Unwritten {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() { Self::Io(error.into()) } else { Self::Broken(error.to_string()) }
    }
}

impl From<serde_saphyr::SerializeError> for Unwritten {
    fn from(error: serde_saphyr::SerializeError) -> Self {
        match error {
            serde_saphyr::SerializeError::IO { error } => Self::Io(error),
            error => Self::Broken(error.to_string()),
        }
    }
}
