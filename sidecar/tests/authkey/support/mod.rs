//! What stands around the node: the API server, tailscaled, the mounted config.

pub(crate) mod api_server;
pub(crate) mod http;
pub(crate) mod tailscaled;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{CommandFactory as _, Parser};
use headscale_sidecar::authkey::Args;
use headscale_sidecar::authkey::args::Command;
use tempfile::TempDir;

/// No wait in these tests is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// The command that `headscale-sidecar authkey WORDS` means.
pub(crate) fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Command {
    Line::try_parse_from(std::iter::once("authkey").chain(words)).expect("parses").args.command
}

/// Every flag of every command, without its dashes.
pub(crate) fn flags() -> Vec<String> {
    let line = Line::command();
    let commands = std::iter::once(&line).chain(line.get_subcommands());
    let flags = commands.flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long);
    flags.map(str::to_owned).collect()
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "never: {what}");
}

/// A config Secret as the kubelet mounts it: files are links through `..data`, which it swaps.
pub(crate) struct Mount {
    directory: TempDir,
    generation: u32,
}

impl Mount {
    pub(crate) fn new(config: &str) -> Self {
        let mut mount = Self { directory: TempDir::new().expect("a directory"), generation: 0 };
        mount.swap(config);
        symlink("..data/cap-106.hujson", mount.file()).expect("linked");
        mount
    }

    /// A config with this key, for a server at `url`.
    pub(crate) fn with_key(url: &str, key: Option<&str>) -> Self {
        Self::new(&config(url, key))
    }

    pub(crate) fn swap(&mut self, config: &str) {
        self.generation += 1;
        let generation = format!("..{}", self.generation);
        let at = self.path().join(&generation);
        fs::create_dir(&at).expect("made");
        fs::write(at.join("cap-106.hujson"), config).expect("written");
        symlink(&generation, self.path().join("..data_tmp")).expect("linked");
        fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).expect("swapped");
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path().join("cap-106.hujson")
    }

    pub(crate) fn arg(&self) -> &str {
        self.path().to_str().expect("a path of text")
    }
}

pub(crate) fn config(url: &str, key: Option<&str>) -> String {
    let mut config = serde_json::json!({
        "Version": "alpha0",
        "ServerURL": url,
        "Hostname": "proxy-0",
        "acceptDNS": false,
        "Locked": false,
    });
    if let Some(key) = key {
        config["AuthKey"] = key.into();
    }
    config.to_string()
}
