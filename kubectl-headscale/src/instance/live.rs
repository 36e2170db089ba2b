//! What an instance is asked, all in one go.

use headscale_acl::Version;
use headscale_client::{Error, HeadscaleApi as _, Release, UserFilter};

use super::args::Target;
use super::connector::{Connection, Connector};
use super::direct::Direct;
use super::error;
use super::port_forward::PortForward;
use super::tailnet::Snapshot;
use crate::environment::Environment;
use crate::error::CommandError;
use crate::kubernetes::block_on;

/// What is wanted of an instance, beside its version.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Want {
    /// Its policy, which must be there.
    pub(crate) policy: bool,
    /// Its users and nodes.
    pub(crate) tailnet: bool,
}

/// What an instance said.
pub(crate) struct Live {
    /// What it is called, such as `headscale/main`.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: Version,
    /// Its version as it says it, such as `0.29.2`.
    pub(crate) reported: String,
    /// Its policy, where that was wanted.
    pub(crate) policy: Option<String>,
    /// Its users and nodes, where these were wanted.
    pub(crate) tailnet: Option<Snapshot>,
}

/// Asks the instance.
///
/// # Errors
///
/// In the words of kubectl and Headscale, with exit code 1, as kubectl has it.
pub(crate) fn read(
    target: &Target,
    want: Want,
    environment: &Environment,
) -> Result<Live, CommandError> {
    block_on(async {
        match target {
            Target::InCluster { name, connection } => {
                ask(&PortForward { name, connection }, want, environment).await
            }
            Target::Elsewhere { address, args } => {
                ask(&Direct { address, args }, want, environment).await
            }
        }
    })
}

async fn ask(
    connector: &impl Connector,
    want: Want,
    environment: &Environment,
) -> Result<Live, CommandError> {
    let connection = connector.connect(environment).await?;
    let Connection { client, name, .. } = &connection;
    let version = told(client.version().await, &connection).await?;
    let policy = match want.policy {
        true => Some(policy(&connection).await?),
        false => None,
    };
    let tailnet = match want.tailnet {
        true => {
            let users = told(client.list_users(&UserFilter::All).await, &connection).await?;
            let nodes = told(client.list_nodes(None).await, &connection).await?;
            Some(Snapshot::new(users, nodes))
        }
        false => None,
    };
    let reported = version.to_string();
    let version = match version.release {
        Release::V0_28 => Version::V0_28,
        Release::V0_29 => Version::V0_29,
        Release::V0_30 => Version::V0_30,
    };
    Ok(Live { name: name.clone(), version, reported, policy, tailnet })
}

/// The answer, or its error in the words of kubectl and Headscale.
async fn told<T>(answer: Result<T, Error>, connection: &Connection) -> Result<T, CommandError> {
    match answer {
        Ok(answer) => Ok(answer),
        Err(error) => Err(error::error(&error, connection).await),
    }
}

async fn policy(connection: &Connection) -> Result<String, CommandError> {
    match told(connection.client.policy().await, connection).await? {
        Some(policy) => Ok(policy.text),
        None => Err(CommandError::failed_as(
            "Error from headscale (NotFound)",
            format!("{} has no policy, and so allows everything", connection.name),
        )
        .hint("a HeadscalePolicy gives it one; name a file to ask about that")),
    }
}

impl Live {
    /// The same as a file is named that is none: `<headscale/main>`.
    pub(crate) fn shown(&self) -> String {
        format!("<{}>", self.name)
    }
}
