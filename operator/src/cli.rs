//! The command line.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{CommandFactory as _, Parser};
use headscale_service::durations::{parse_positive, parse_unsigned};
use headscale_service::logging::LogArgs;
use headscale_service::program;

use crate::go_flags::{GoFlags, boolean};
use crate::kubernetes::ConnectionArgs;

/// The operator of Headscale: what is declared is what runs.
///
/// It looks after Headscale, HeadscaleUser, HeadscalePreAuthKey, HeadscaleAutoApprover and
/// HeadscalePolicy objects, and reissues auth keys of nodes. It takes the flags of the Go operator
/// too, also with one dash.
#[derive(Clone, Debug, Parser)]
#[command(name = "headscale-operator", version, max_term_width = 100, args_override_self = true)]
pub struct Args {
    /// Where /metrics is served, such as `:8080`; `0` for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = "0")]
    pub(crate) metrics_bind_address: Bind,
    /// Where /healthz and /readyz are served; `0` for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = ":8081")]
    pub(crate) health_probe_bind_address: Bind,
    /// Work only while holding a Lease, so that several can be started
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        value_parser = boolean,
        action = clap::ArgAction::Set
    )]
    pub(crate) leader_elect: bool,
    /// The namespace of the Lease, where not the pod's own
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    pub(crate) lease_namespace: Option<String>,
    /// Look after this namespace, and others that are named so, and no others
    #[arg(long = "namespace", value_name = "NAME")]
    pub(crate) namespaces: Vec<String>,
    /// How long an object that is deleted waits for a Headscale that does not answer, before it
    /// goes and what it stands for stays there
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_unsigned)]
    pub(crate) deletion_patience: Duration,
    /// How often each object is looked at when nothing happens
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_positive)]
    pub(crate) resync: Duration,
    /// How often what Headscale has is held against what was said of it
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_positive)]
    pub(crate) check_interval: Duration,
    /// How long after it was written down a pre-auth key may be asked for; the same for all
    /// operators of a cluster
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_positive)]
    pub(crate) send_deadline: Duration,
    /// How long a request for a pre-auth key may be on its way; the same for all operators of a
    /// cluster
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_positive)]
    pub(crate) in_flight: Duration,
    /// The image of the sidecar, for instances that name none
    #[arg(
        long,
        value_name = "IMAGE",
        env = "SIDECAR_IMAGE",
        default_value = headscale_api::desired::DEFAULT_SIDECAR_IMAGE
    )]
    pub(crate) sidecar_image: String,
    /// How long the pod of an instance may take to be ready, before that is told as a failure
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_positive)]
    pub(crate) progress_deadline: Duration,
    /// How often one more key may be reissued to the nodes of one HeadscalePreAuthKey, after one for
    /// each of them at once
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_positive)]
    pub(crate) reissue_interval: Duration,
    /// Where policy plugins are kept, a directory of the operator's own; without it one in the
    /// directory for temporary files
    #[arg(long, value_name = "DIRECTORY")]
    plugin_cache: Option<PathBuf>,
    /// How long a policy plugin may take to come from its registry
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_positive)]
    pub(crate) plugin_timeout: Duration,
    /// Reach the Headscale that is at HOST (SERVICE.NAMESPACE.svc) at ADDRESS (IP:PORT) instead:
    /// for an operator outside the cluster
    #[arg(long, value_name = "HOST=ADDRESS", value_parser = resolve)]
    pub(crate) resolve: Vec<(String, SocketAddr)>,
    /// The name of this process in the Lease, in Events and in what it writes down
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "")]
    pub(crate) pod_name: String,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) logs: LogArgs,
    #[command(flatten)]
    pub(crate) go: GoFlags,
}

impl Args {
    /// Where policy plugins are kept.
    pub(crate) fn plugin_cache(&self) -> PathBuf {
        let given = self.plugin_cache.clone();
        given.unwrap_or_else(|| std::env::temp_dir().join("headscale-operator-plugins"))
    }
}

/// Where to listen: the first of these addresses that can be had; nowhere without any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind(pub(crate) Option<Vec<SocketAddr>>);

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no address: write :8081, 127.0.0.1:8081, or 0 for none");
        if text == "0" || text.is_empty() {
            return Ok(Self(None));
        }
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| wrong())?;
            // Where there is no IPv6 the other is left.
            let all = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
            return Ok(Self(Some(all.map(|ip| SocketAddr::new(ip, port)).to_vec())));
        }
        Ok(Self(Some(vec![text.parse().map_err(|_| wrong())?])))
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_ref().and_then(|addresses| addresses.last()) {
            Some(address) => address.fmt(f),
            None => f.write_str("0"),
        }
    }
}

fn resolve(text: &str) -> Result<(String, SocketAddr), String> {
    let wrong = || format!("`{text}` is not HOST=IP:PORT");
    let (host, address) = text.split_once('=').ok_or_else(wrong)?;
    Ok((host.to_owned(), address.parse().map_err(|_| wrong())?))
}

/// The command line, for whoever writes about it.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs what the arguments ask for, the first of which is the program's name; gives what the
/// process ends with.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Nothing of ours has a short name of more than a letter.
    let is_long = |name: &str| name.len() > 1;
    let arguments =
        arguments.into_iter().map(|argument| program::with_two_dashes(argument, is_long));
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return program::refuse(&error),
    };
    let logs = args.go.logs(&args.logs);
    program::run("headscale_operator", &logs, async {
        tell(&args);
        crate::run::run(args).await.map_err(|error| (1, error))
    })
}

/// Says what is asked for by flags of the Go operator, and not done.
fn tell(args: &Args) {
    let ignored = args.go.without_effect().join(", ");
    if !ignored.is_empty() {
        tracing::warn!("flags of the Go operator that change nothing here: {ignored}");
    }
    if args.metrics_bind_address.0.is_some() && args.go.wants_secure_metrics() {
        tracing::warn!(
            "/metrics is served over plain HTTP at {}, to everybody who reaches it: there is no \
             --metrics-secure here; have a NetworkPolicy choose who does, and whoever scrapes it \
             use http",
            args.metrics_bind_address
        );
    }
}
