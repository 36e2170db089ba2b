//! How the API server is reached.

use std::time::Duration;

use headscale_service::kubernetes::{self, ConnectionArgs, ConnectionError};

/// The name under which Secrets are written, and by which Events say who posts them.
pub const FIELD_MANAGER: &str = "headscale-sidecar";

/// How long the API server may be silent: one that hangs counts as gone. Nothing is watched.
const SILENCE: Duration = Duration::from_secs(10);

/// A client of the API server. Its default namespace is the context's, or the pod's own.
///
/// # Errors
///
/// When the kubeconfig cannot be read, or there is none and this is no pod.
pub async fn client(args: &ConnectionArgs) -> Result<kube::Client, ConnectionError> {
    kubernetes::client(args, Some(SILENCE)).await
}
