//! How the API server is reached.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;

/// How long a connection to the API server may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the API server may take for one answer in all. Watches are not bound by it.
pub const LIMIT: Duration = Duration::from_secs(15);

/// The longest note of an Event that Kubernetes takes, in bytes.
const MAX_NOTE: usize = 1024;

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

/// A client of the API server. Its default namespace is the context's, or the pod's own. A
/// connection on which nothing comes for as long as `silence` counts as gone: not for who watches,
/// which is silent as long as nothing happens.
///
/// # Errors
///
/// When the kubeconfig cannot be read, or there is none and this is no pod.
pub async fn client(
    args: &ConnectionArgs,
    silence: Option<Duration>,
) -> Result<Client, ConnectionError> {
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
    if silence.is_some() {
        config.read_timeout = silence;
        // Else the silence counts from before a request, while nobody had asked for anything.
        config.reset_reader_on_write = true;
    }
    Client::try_from(config).map_err(ConnectionError::Client)
}

/// Why something could not be read or written.
#[derive(Debug, Error)]
pub enum KubernetesError {
    /// The API server says no, or cannot be reached.
    #[error("{what}: {error}")]
    Api {
        /// What was being done.
        what: String,
        /// Why not.
        error: Box<kube::Error>,
    },
    /// The API server said nothing for too long.
    #[error("{what}: no answer of the API server within {}s", LIMIT.as_secs())]
    Timeout {
        /// What was being done.
        what: String,
    },
}

impl KubernetesError {
    /// The status that the API server answered with, where it answered.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Api { error, .. } => match &**error {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Timeout { .. } => None,
        }
    }

    /// Whether somebody else wrote the object meanwhile.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }
}

/// Makes a call, and waits for its answer for no longer than it may take.
///
/// # Errors
///
/// See [`KubernetesError`].
pub async fn within<T>(
    what: impl FnOnce() -> String,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, KubernetesError> {
    match tokio::time::timeout(LIMIT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(KubernetesError::Api { what: what(), error: Box::new(error) }),
        Err(_) => Err(KubernetesError::Timeout { what: what() }),
    }
}

/// What an Event may say: the text, cut to the length that Kubernetes takes.
#[must_use]
pub fn note(text: &str) -> String {
    let end = (0..=MAX_NOTE.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// The name of this process where it starts anew: `pod_name`, else the host's, which are the same.
#[must_use]
pub fn pod_name(pod_name: &str) -> String {
    if !pod_name.is_empty() {
        return pod_name.to_owned();
    }
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
