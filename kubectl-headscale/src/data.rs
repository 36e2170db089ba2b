//! Data for programs: JSON or YAML.

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
        let broken = |error: &dyn std::fmt::Display| {
            CommandError::usage(format!("the answer cannot be written: {error}"))
                .hint("this is a mistake of kubectl headscale: please report it with the file")
        };
        match self {
            Self::Json => {
                let mut text =
                    serde_json::to_string_pretty(value).map_err(|error| broken(&error))?;
                text.push('\n');
                Ok(text)
            }
            Self::Yaml => {
                // YAML knows nothing of raw JSON.
                let value = serde_json::to_value(value).map_err(|error| broken(&error))?;
                serde_saphyr::to_string(&value).map_err(|error| broken(&error))
            }
        }
    }
}
