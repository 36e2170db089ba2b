//! kubectl's connection flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::duration::request_timeout;
use super::exec::Ask;
use super::{Cluster, kubeconfig};
use crate::environment::Environment;
use crate::error::CommandError;

const HEADING: &str = "Kubernetes options";
/// What the short help of a command says in place of them.
pub(crate) const OPTIONS_HELP: &str =
    "Use \"kubectl headscale options\" for a list of the flags of kubectl that it takes too.";

/// How to reach the cluster, and as whom: what kubectl takes, with kubectl's meaning. `-h` leaves
/// them out, because every command that talks to a cluster has them.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectionArgs {
    /// If present, the namespace scope for this CLI request
    #[arg(short, long, value_name = "NAME", help_heading = HEADING, hide_short_help = true)]
    pub(crate) namespace: Option<String>,
    /// Path to the kubeconfig file to use for CLI requests
    #[arg(long, value_name = "FILE", help_heading = HEADING, hide_short_help = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The name of the kubeconfig context to use
    #[arg(long, value_name = "NAME", help_heading = HEADING, hide_short_help = true)]
    pub(crate) context: Option<String>,
    /// The name of the kubeconfig cluster to use
    #[arg(long, value_name = "NAME", help_heading = HEADING, hide_short_help = true)]
    pub(crate) cluster: Option<String>,
    /// The name of the kubeconfig user to use
    #[arg(long, value_name = "NAME", help_heading = HEADING, hide_short_help = true)]
    pub(crate) user: Option<String>,
    /// The address and port of the Kubernetes API server
    #[arg(short, long, value_name = "URL", help_heading = HEADING, hide_short_help = true)]
    pub(crate) server: Option<String>,
    /// Server name to use for server certificate validation. If it is not provided, the hostname
    /// used to contact the server is used
    #[arg(long, value_name = "NAME", help_heading = HEADING, hide_short_help = true)]
    pub(crate) tls_server_name: Option<String>,
    /// If true, the server's certificate will not be checked for validity. This will make your
    /// HTTPS connections insecure
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = HEADING,
        hide_short_help = true
    )]
    pub(crate) insecure_skip_tls_verify: Option<bool>,
    /// Path to a cert file for the certificate authority
    #[arg(long, value_name = "FILE", help_heading = HEADING, hide_short_help = true)]
    pub(crate) certificate_authority: Option<PathBuf>,
    /// Path to a client certificate file for TLS
    #[arg(long, value_name = "FILE", help_heading = HEADING, hide_short_help = true)]
    pub(crate) client_certificate: Option<PathBuf>,
    /// Path to a client key file for TLS
    #[arg(long, value_name = "FILE", help_heading = HEADING, hide_short_help = true)]
    pub(crate) client_key: Option<PathBuf>,
    /// Bearer token for authentication to the API server
    #[arg(long, value_name = "TOKEN", help_heading = HEADING, hide_short_help = true)]
    pub(crate) token: Option<SecretString>,
    /// Username for basic authentication to the API server
    #[arg(long, value_name = "NAME", help_heading = HEADING, hide_short_help = true)]
    pub(crate) username: Option<String>,
    /// Password for basic authentication to the API server
    #[arg(long, value_name = "PASSWORD", help_heading = HEADING, hide_short_help = true)]
    pub(crate) password: Option<SecretString>,
    /// Username to impersonate for the operation. User could be a regular user or a service account
    /// in a namespace
    #[arg(long = "as", value_name = "NAME", help_heading = HEADING, hide_short_help = true)]
    pub(crate) as_user: Option<String>,
    /// Group to impersonate for the operation, this flag can be repeated to specify multiple groups
    #[arg(long = "as-group", value_name = "NAME", help_heading = HEADING, hide_short_help = true)]
    pub(crate) as_groups: Vec<String>,
    /// UID to impersonate for the operation
    #[arg(long, value_name = "UID", help_heading = HEADING, hide_short_help = true)]
    pub(crate) as_uid: Option<String>,
    /// The length of time to wait before giving up on a single server request. Non-zero values
    /// should contain a corresponding time unit (e.g. 1s, 2m, 3h). A value of zero means don't
    /// timeout requests [default: 0]
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = request_timeout,
        help_heading = HEADING,
        hide_short_help = true
    )]
    pub(crate) request_timeout: Option<Duration>,
    /// If true, opt-out of response compression for all requests to the server; none is asked for
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = HEADING,
        hide_short_help = true
    )]
    pub(crate) disable_compression: Option<bool>,
    /// Default cache directory; nothing of the cluster is cached
    #[arg(long, value_name = "DIRECTORY", help_heading = HEADING, hide_short_help = true)]
    pub(crate) cache_dir: Option<PathBuf>,
}

impl ConnectionArgs {
    /// A client of the cluster that flags, kubeconfigs or the pod that this runs in name, in this
    /// order. Nothing is asked of the cluster yet. It belongs to the runtime of [`block_on`].
    ///
    /// # Errors
    ///
    /// In kubectl's words: a kubeconfig that cannot be read or names what is not in it, files that
    /// are not there, or nothing that names a cluster.
    ///
    /// [`block_on`]: super::block_on
    pub(crate) async fn connect(&self, environment: &Environment) -> Result<Cluster, CommandError> {
        let ask = Ask::User { terminal: environment.stdin_terminal };
        let (config, namespaced) = kubeconfig::config(self, environment, ask).await?;
        Cluster::new(config, namespaced, self.request_timeout)
    }

    /// The same where nobody can be asked for credentials: for completion.
    pub(crate) async fn connect_quietly(
        &self,
        environment: &Environment,
    ) -> Result<Cluster, CommandError> {
        let (config, namespaced) = kubeconfig::config(self, environment, Ask::Nobody).await?;
        Cluster::new(config, namespaced, self.request_timeout)
    }

    /// The namespace of the request without asking anyone: that of the flag, or of the context, or
    /// `default`. For what is only printed, such as `render` and `--dry-run=client`: without a
    /// kubeconfig it is the flag's or `default`.
    pub(crate) fn namespace(&self, environment: &Environment) -> Result<String, CommandError> {
        kubeconfig::namespace(self, environment)
    }
}
