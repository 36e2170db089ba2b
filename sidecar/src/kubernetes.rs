//! How the API server is reached.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;

/// The name under which Secrets are written, and by which Events say who posts them.
pub const FIELD_MANAGER: &str = "headscale-sidecar";

/// How long a connection to the API server may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the API server may be silent: one that hangs counts as gone.
const SILENCE: Duration = Duration::from_secs(10);

/// How the API server is reached: by a kubeconfig, or from inside the cluster.
#[derive(Clone, Debug, Default, Args)]
pub struct ConnectionArgs {
    /// Kubeconfig to reach the API server by, or several, with `:` between them. Without it: from
    /// inside the cluster
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig, where not its current one
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub context: Option<String>,
}

/// Why there is no way to the API server.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// The kubeconfig.
    #[error("kubeconfig {file}: {error}")]
    Kubeconfig {
        /// Which file.
        file: String,
        /// Why.
        error: KubeconfigError,
    },
    /// This is no pod, or one without a service account's token.
    #[error(
        "not in a cluster ({0}), and no kubeconfig: name one with --kubeconfig, or mount a service \
         account's token into the pod"
    )]
    InCluster(InClusterError),
    /// The client.
    #[error("cannot make a client of the API server: {0}")]
    Client(kube::Error),
}

/// A client of the API server. Its default namespace is the context's, or the pod's own.
///
/// # Errors
///
/// When the kubeconfig cannot be read, or there is none and this is no pod.
pub async fn client(args: &ConnectionArgs) -> Result<Client, ConnectionError> {
    // Empty in the environment means that there is none.
    let file = args.kubeconfig.as_ref().filter(|file| !file.as_os_str().is_empty());
    let mut config = match file {
        Some(file) => {
            let wrong =
                |error| ConnectionError::Kubeconfig { file: file.display().to_string(), error };
            let mut read = Kubeconfig::default();
            for file in std::env::split_paths(file) {
                let next = Kubeconfig::read_from(file).map_err(wrong)?;
                read = read.merge(next).map_err(wrong)?;
            }
            let options = KubeConfigOptions { context: args.context.clone(), ..Default::default() };
            Config::from_custom_kubeconfig(read, &options).await.map_err(wrong)?
        }
        None => Config::incluster().map_err(ConnectionError::InCluster)?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    // Else the silence counts from before a request, while nobody had asked for anything.
    config.reset_reader_on_write = true;
    Client::try_from(config).map_err(ConnectionError::Client)
}
