//! The instance that a command is always about.

use clap::Args;

use crate::instance::{ElsewhereArgs, Target};
use crate::kubernetes::ConnectionArgs;

/// An instance of the cluster, or one elsewhere.
#[derive(Debug, Args)]
pub(super) struct LiveArgs {
    /// Name of the instance
    #[arg(
        value_name = "INSTANCE",
        required_unless_present = "address",
        conflicts_with_all = ["address", "api_key_file", "api_key_env", "ca_file"]
    )]
    name: Option<String>,

    #[command(flatten)]
    elsewhere: ElsewhereArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

impl LiveArgs {
    /// The instance that is asked.
    pub(super) fn target(self) -> Target {
        let Self { name, elsewhere, connection } = self;
        match (name, elsewhere.address.clone()) {
            (None, Some(address)) => Target::Elsewhere { address, args: elsewhere },
            (name, _) => Target::InCluster { name: name.unwrap_or_default(), connection },
        }
    }
}
