//! `kubectl headscale version`

use clap::{Args, ValueEnum};
use headscale_acl::Version;
use serde::Serialize;

use super::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::version::CLIENT;

const EXAMPLES: &str = "\
Examples:
  # Print the version of this program, and the Headscale versions it knows
  kubectl headscale version

  # The same for a script
  kubectl headscale version -o json";

/// Print versions
///
/// The version of this program, and the Headscale versions whose policies it knows.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct VersionArgs {
    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Yaml,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client_version: &'static str,
    headscale_versions: Vec<Version>,
    default_headscale_version: Version,
}

impl VersionArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let versions = Versions {
            client_version: CLIENT,
            headscale_versions: Version::ALL.to_vec(),
            default_headscale_version: Version::DEFAULT,
        };
        let text = match self.output {
            Format::Text => text(),
            Format::Json => serde_json::to_string_pretty(&versions)
                .map(|json| json + "\n")
                .map_err(|error| CommandError::usage(error.to_string()))?,
            Format::Yaml => serde_saphyr::to_string(&versions)
                .map_err(|error| CommandError::usage(error.to_string()))?,
        };
        context.ui.print(&text)?;
        Ok(Exit::Success)
    }
}

fn text() -> String {
    let known: Vec<String> = Version::ALL
        .iter()
        .map(|version| match *version {
            Version::DEFAULT => format!("{version} (default)"),
            version => version.to_string(),
        })
        .collect();
    format!("Client Version: {CLIENT}\nHeadscale Versions: {}\n", known.join(", "))
}
