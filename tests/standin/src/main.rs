//! A stand-in Headscale as a program.

#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use headscale_standin::{Options, PolicyMode, StandIn, Version};
use tokio::signal::unix::{SignalKind, signal};

/// Serves what Headscale serves, for tests. Prints one line of JSON when it is ready, and ends on
/// SIGTERM or SIGINT.
#[derive(Debug, Parser)]
#[command(name = "headscale-standin", version)]
struct Arguments {
    /// The version to be
    #[arg(long, value_enum, default_value = "0.29")]
    version_of: Wanted,
    /// Where to store
    #[arg(long)]
    dir: PathBuf,
    /// The Unix socket to serve
    #[arg(long)]
    socket: Option<PathBuf>,
    /// The permissions of the socket, in octal
    #[arg(long, default_value = "0700", value_parser = octal)]
    socket_mode: u32,
    /// The TCP address to serve; port 0 is any free one
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the policy comes from
    #[arg(long, value_enum, default_value = "file")]
    policy_mode: Mode,
    /// The policy's file, of the mode `file`
    #[arg(long)]
    policy_path: Option<PathBuf>,
    /// What to say to those who ask for the version, in place of the release
    #[arg(long)]
    reported_version: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    #[value(name = "0.28", alias = "0.28.0")]
    V0_28,
    #[value(name = "0.29", alias = "0.29.2")]
    V0_29,
    #[value(name = "0.30")]
    V0_30,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    File,
    Database,
}

fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).map_err(|_| "expected octal digits, such as 0770".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let version = match arguments.version_of {
        Wanted::V0_28 => Version::V0_28,
        Wanted::V0_29 => Version::V0_29,
        Wanted::V0_30 => Version::V0_30,
    };
    let mut options = Options::new(version, arguments.dir);
    options.socket = arguments.socket;
    options.socket_mode = arguments.socket_mode;
    options.tcp = arguments.listen;
    options.policy_path = arguments.policy_path;
    options.policy_mode = match arguments.policy_mode {
        Mode::File => PolicyMode::File,
        Mode::Database => PolicyMode::Database,
    };
    if let Some(reported) = arguments.reported_version {
        options.reported_version = reported;
    }
    // Before the first line, which says that signals are minded.
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = StandIn::start(options).await?;
    let ready = serde_json::json!({ "address": server.address(), "socket": server.socket() });
    let mut output = io::stdout().lock();
    writeln!(output, "{ready}")?;
    output.flush()?;
    drop(output);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await;
    Ok(())
}
