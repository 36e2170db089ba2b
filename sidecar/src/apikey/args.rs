//! The command line of `apikey`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, OsStringValueParser, TypedValueParser as _};
use headscale_keys::{Settings, SettingsError};
use headscale_service::durations;
use headscale_service::kubernetes::ConnectionArgs;
use jiff::SignedDuration;

use super::headscale::{Access, Address};
use super::manager::Limits;

/// Keep one working API key in one Secret.
///
/// A flag that stands twice has its last value, as in Go.
#[derive(Clone, Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = "\
Examples:
  # Beside Headscale in its pod
  headscale-sidecar apikey --secret-name headscale-api-key --expiration 2160h

  # Once, from outside the cluster, against a Headscale that is reached by its address
  headscale-sidecar apikey --once --kubeconfig ~/.kube/config --namespace headscale \\
    --socket-path= --headscale-url https://headscale.example --bootstrap-key-file ./key

Exit codes:
  0  ended by a signal, or --once is done
  1  failed
  2  the command line is wrong
  3  Headscale did not answer within --wait"
)]
pub struct Args {
    /// How the API server is reached.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Headscale's Unix socket; empty: there is none, and Headscale is asked at its URL
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/var/run/headscale/headscale.sock",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub socket_path: PathBuf,
    /// Where Headscale listens: a new key is tried there before it is published. Empty: it is not
    /// tried
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub headscale_url: String,
    /// File with the certificates to trust at an https:// URL; without it those of the system, of
    /// which the image has none
    #[arg(long, value_name = "FILE")]
    pub headscale_ca: Option<PathBuf>,
    /// Name that the certificate of Headscale is for, where that is not the host of the URL
    #[arg(long, value_name = "NAME")]
    pub headscale_server_name: Option<String>,
    /// File with an API key, to make the first key with where there is no socket
    #[arg(long, value_name = "FILE")]
    pub bootstrap_key_file: Option<PathBuf>,
    /// Namespace of the Secret. Without it: the pod's own, or the context's
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE", default_value = "")]
    pub namespace: String,
    /// Name of this process, which it keeps when it starts anew. Without it: the host's, which is
    /// the pod's
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "")]
    pub pod_name: String,
    /// Name of the Secret
    #[arg(
        long,
        value_name = "NAME",
        default_value = "headscale-api-key",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub secret_name: String,
    /// How long a key lives
    #[arg(long, value_name = "DURATION", default_value = EXPIRATION, value_parser = or_default(EXPIRATION))]
    pub expiration: SignedDuration,
    /// How long before it expires a key is replaced; less than --expiration
    #[arg(long, value_name = "DURATION", default_value = BUFFER, value_parser = or_default(BUFFER))]
    pub rotation_buffer: SignedDuration,
    /// How long a replaced key goes on working; 0: it is deleted at once. Without it: an hour, or
    /// the rotation buffer if that is shorter
    #[arg(long, value_name = "DURATION", value_parser = durations::parse)]
    pub grace: Option<SignedDuration>,
    /// End when the Secret holds a key that works and nothing is left to do
    #[arg(long)]
    pub once: bool,
    /// How long to wait for Headscale at the start
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = durations::parse_positive)]
    pub wait: Duration,
    /// How often to look whether the key still works
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = durations::parse_positive)]
    pub check_interval: Duration,
    /// A key that was written down is not asked for later than this
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = durations::parse_positive)]
    pub send_deadline: Duration,
    /// How long a request may be on its way to Headscale; a key that was asked for and did not come
    /// is forgotten after this and --send-deadline
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = durations::parse_positive)]
    pub in_flight: Duration,
    /// Where to serve /healthz, /readyz and /metrics; without it nothing listens
    #[arg(long, value_name = "ADDRESS")]
    pub health_addr: Option<SocketAddr>,
}

const EXPIRATION: &str = "2160h";
const BUFFER: &str = "1920h";

/// Reads a duration; an empty text is the default, because manifests of the Go operator have it.
fn or_default(
    default: &'static str,
) -> impl Fn(&str) -> Result<SignedDuration, String> + Clone + Send + Sync + 'static {
    move |text| durations::parse(if text.is_empty() { default } else { text })
}

impl Args {
    /// For how long keys live, and when they are replaced.
    ///
    /// # Errors
    ///
    /// When that cannot be.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::new(self.expiration, self.rotation_buffer, self.grace)
    }

    /// How long requests may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { send_deadline: self.send_deadline, in_flight: self.in_flight }
    }

    /// How Headscale is reached.
    #[must_use]
    pub fn access(&self) -> Access {
        if self.socket_path.as_os_str().is_empty() {
            Access::Url { bootstrap: self.bootstrap_key_file.clone() }
        } else {
            Access::Socket(self.socket_path.clone())
        }
    }

    /// Where keys are tried.
    ///
    /// # Errors
    ///
    /// When the file of certificates cannot be read.
    pub fn address(&self) -> io::Result<Option<Address>> {
        if self.headscale_url.is_empty() {
            return Ok(None);
        }
        let ca = self.headscale_ca.as_ref().map(std::fs::read).transpose()?;
        let server_name = self.headscale_server_name.clone();
        Ok(Some(Address { url: self.headscale_url.clone(), ca, server_name }))
    }
}
