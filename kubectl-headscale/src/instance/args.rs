//! The flags that name an instance.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::kubernetes::ConnectionArgs;

const HEADING: &str = "Instance options";

/// An instance that decides, where one is named: in the cluster, or elsewhere.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct InstanceArgs {
    /// Ask this instance of the cluster: its version and its users and nodes count, and its policy
    /// where no other is named
    #[arg(
        long,
        value_name = "NAME",
        help_heading = HEADING,
        conflicts_with_all = ["address", "api_key_file", "api_key_env", "ca_file", "tailnet"]
    )]
    instance: Option<String>,

    #[command(flatten)]
    elsewhere: ElsewhereArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// An instance outside of the cluster.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ElsewhereArgs {
    /// Ask the Headscale at this address instead of one in the cluster
    #[arg(long, value_name = "URL", help_heading = HEADING, value_hint = ValueHint::Url)]
    pub(crate) address: Option<String>,

    /// File with the API key for --address
    #[arg(
        long,
        value_name = "FILE",
        help_heading = HEADING,
        value_hint = ValueHint::FilePath,
        requires = "address",
        conflicts_with = "api_key_env"
    )]
    pub(crate) api_key_file: Option<PathBuf>,

    /// Variable of the environment with the API key for --address [default: HEADSCALE_API_KEY]
    ///
    /// The key itself is never an argument: those are seen by every user of a machine.
    #[arg(
        long,
        value_name = "VARIABLE",
        help_heading = HEADING,
        requires = "address",
        default_value_if("address", clap::builder::ArgPredicate::IsPresent, "HEADSCALE_API_KEY"),
        hide_default_value = true
    )]
    pub(crate) api_key_env: Option<String>,

    /// Certificates to trust for --address instead of the system's, as PEM
    #[arg(
        long,
        value_name = "FILE",
        help_heading = HEADING,
        value_hint = ValueHint::FilePath,
        requires = "address"
    )]
    pub(crate) ca_file: Option<PathBuf>,
}

/// The instance that is asked.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a run")]
pub(crate) enum Target {
    /// One of the cluster.
    InCluster {
        /// Its name.
        name: String,
        /// Which cluster and namespace.
        connection: ConnectionArgs,
    },
    /// One elsewhere.
    Elsewhere {
        /// Its URL.
        address: String,
        /// Where its key is.
        args: ElsewhereArgs,
    },
}

impl InstanceArgs {
    /// The instance that the flags name, if they name one.
    pub(crate) fn target(&self) -> Option<Target> {
        match (&self.instance, &self.elsewhere.address) {
            (Some(name), _) => {
                let (name, connection) = (name.clone(), self.connection.clone());
                Some(Target::InCluster { name, connection })
            }
            (None, Some(address)) => {
                let (address, args) = (address.clone(), self.elsewhere.clone());
                Some(Target::Elsewhere { address, args })
            }
            (None, None) => None,
        }
    }
}
