//! The command line of `authkey`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use headscale_keys::reissue::{MAX_KNOWN_CAPABILITY, OnNewKey};
use headscale_service::durations;
use headscale_service::kubernetes::ConnectionArgs;

use super::config::KeySource;

/// Have a node's auth key reissued: the node's side of the protocol.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// How the API server is reached.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The four commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Ask for another key: set the marker in the state Secret
    #[command(after_help = "\
Examples:
  # Ask for another key than the one in the config
  headscale-sidecar authkey request --secret proxy-0 --config-dir /etc/tsconfig/proxy-0")]
    Request(Request),
    /// Wait until the config holds another key
    #[command(after_help = "\
Examples:
  # Wait for the answer to the request that stands in the state Secret
  headscale-sidecar authkey wait --secret proxy-0 --config-dir /etc/tsconfig/proxy-0

  # Wait for another key than the one that the config holds now
  headscale-sidecar authkey wait --config-dir /etc/tsconfig/proxy-0 --timeout 2m")]
    Wait(Wait),
    /// Clear the marker and the old login: tell the operator that the key has come
    #[command(after_help = "\
Examples:
  # Before tailscaled is restarted with the new key
  headscale-sidecar authkey clear --secret proxy-0")]
    Clear(Clear),
    /// Watch tailscaled and do all of it whenever its key is refused
    #[command(after_help = "\
Examples:
  # Beside a tailscaled that was started with --config and runs on
  headscale-sidecar authkey run --localapi /var/run/tailscale/tailscaled.sock \\
    --secret proxy-0 --config-dir /etc/tsconfig/proxy-0 --on-new-key login")]
    Run(Run),
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line is wrong
  3    no other key came in time
  143  ended by a signal; what was asked for stays asked for";

/// Which Secret.
#[derive(Clone, Debug, ClapArgs)]
pub struct StateArgs {
    /// Name of the node's state Secret
    #[arg(long, value_name = "NAME", env = "TS_KUBE_SECRET")]
    pub secret: String,
    /// Its namespace. Without it: the pod's own, or the context's
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    pub namespace: Option<String>,
}

/// Where the node's config is mounted.
#[derive(Clone, Debug, ClapArgs)]
pub struct DirectoryArgs {
    /// Directory where the config Secret is mounted, with its files cap-N.hujson
    #[arg(long, value_name = "DIR", env = "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR")]
    pub config_dir: PathBuf,
    /// Capability version of the tailscaled that reads the config: the highest file up to it
    /// counts. `run` asks tailscaled itself where this is not given
    #[arg(long, value_name = "N", env = "TAILSCALE_CAPABILITY_VERSION")]
    pub capability_version: Option<u32>,
}

/// `request`
#[derive(Clone, Debug, ClapArgs)]
pub struct Request {
    /// The Secret.
    #[command(flatten)]
    pub state: StateArgs,
    /// Directory where the config Secret is mounted: the key there is the one that failed
    #[arg(
        long,
        value_name = "DIR",
        env = "TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR",
        required_unless_present = "auth_key_file",
        conflicts_with = "auth_key_file"
    )]
    pub config_dir: Option<PathBuf>,
    /// Capability version of the tailscaled that reads the config: the highest file up to it
    /// counts
    #[arg(long, value_name = "N", env = "TAILSCALE_CAPABILITY_VERSION")]
    pub capability_version: Option<u32>,
    /// File that holds the key that failed; an empty one where there was none
    #[arg(long, value_name = "FILE")]
    pub auth_key_file: Option<PathBuf>,
}

/// `wait`
#[derive(Clone, Debug, ClapArgs)]
pub struct Wait {
    /// The config.
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// Name of the node's state Secret: the answer to the request there is waited for, and where
    /// there is none nothing is. Without it: another key than the config holds at the start
    #[arg(long, value_name = "NAME", env = "TS_KUBE_SECRET")]
    pub secret: Option<String>,
    /// Its namespace. Without it: the pod's own, or the context's
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    pub namespace: Option<String>,
    /// When and how often.
    #[command(flatten)]
    pub times: TimeArgs,
}

/// How long and how often to look.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct TimeArgs {
    /// How long to wait for another key; the kubelet takes a minute or two to hand one on
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = durations::parse_positive)]
    pub timeout: Duration,
    /// How often to look into the config
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = durations::parse_positive)]
    pub interval: Duration,
}

/// `clear`
#[derive(Clone, Debug, ClapArgs)]
pub struct Clear {
    /// The Secret.
    #[command(flatten)]
    pub state: StateArgs,
    /// Leave what tailscaled logs in with: for a tailscaled that is not restarted
    #[arg(long)]
    pub keep_login: bool,
}

/// `run`
#[derive(Clone, Debug, ClapArgs)]
pub struct Run {
    /// tailscaled's socket
    #[arg(
        long,
        value_name = "SOCKET",
        env = "TS_SOCKET",
        default_value = "/var/run/tailscale/tailscaled.sock"
    )]
    pub localapi: PathBuf,
    /// The Secret.
    #[command(flatten)]
    pub state: StateArgs,
    /// The config.
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// What to do with the new key
    #[arg(long, value_name = "WHAT", default_value = "exit")]
    pub on_new_key: NewKey,
    /// When and how often.
    #[command(flatten)]
    pub times: TimeArgs,
}

/// What becomes of a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NewKey {
    /// End with exit code 0 and a cleared login, so that the container is restarted: for a
    /// tailscaled in the same container
    Exit,
    /// Have tailscaled read its config again and log in: for one that was started with --config
    /// and runs on
    Login,
}

impl From<NewKey> for OnNewKey {
    fn from(from: NewKey) -> Self {
        match from {
            NewKey::Exit => Self::Exit,
            NewKey::Login => Self::Login,
        }
    }
}

impl DirectoryArgs {
    /// The source of keys that it names.
    #[must_use]
    pub fn source(&self) -> KeySource {
        let capability = self.capability_version.unwrap_or(MAX_KNOWN_CAPABILITY);
        KeySource::Directory { path: self.config_dir.clone(), capability }
    }
}

impl Request {
    /// The source of keys that it names. `None`: it names none, which clap refuses.
    #[must_use]
    pub fn source(&self) -> Option<KeySource> {
        let directory = || {
            let capability = self.capability_version.unwrap_or(MAX_KNOWN_CAPABILITY);
            Some(KeySource::Directory { path: self.config_dir.clone()?, capability })
        };
        self.auth_key_file.clone().map(KeySource::File).or_else(directory)
    }
}
