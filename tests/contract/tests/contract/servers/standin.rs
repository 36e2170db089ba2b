//! The stand-in.

use std::path::Path;

use headscale_client::Release;
use headscale_standin::{Options, PolicyMode, StandIn, Version};
use tempfile::TempDir;

use super::{Done, Server};

pub(crate) struct StandInServer {
    release: Release,
    directory: TempDir,
    /// Absent only while it starts again.
    server: Option<StandIn>,
    url: String,
    socket: std::path::PathBuf,
}

impl StandInServer {
    pub(crate) async fn start(release: Release) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("headscale.sock");
        let server = StandIn::start(options(release, directory.path())).await.expect("a stand-in");
        let url = server.url().expect("TCP");
        Self { release, directory, server: Some(server), url, socket }
    }
}

fn options(release: Release, directory: &Path) -> Options {
    let version = match release {
        Release::V0_28 => Version::V0_28,
        Release::V0_29 => Version::V0_29,
        Release::V0_30 => Version::V0_30,
    };
    let mut options =
        Options::new(version, directory).on_socket(directory.join("headscale.sock")).on_tcp();
    options.policy_mode = PolicyMode::Database;
    options
}

impl Server for StandInServer {
    fn release(&self) -> Release {
        self.release
    }

    fn name(&self) -> String {
        format!("stand-in {}", self.release)
    }

    fn url(&self) -> String {
        self.url.clone()
    }

    fn socket(&self) -> &Path {
        &self.socket
    }

    fn kill_and_start(&mut self) -> Done<'_, ()> {
        Box::pin(async {
            if let Some(server) = self.server.take() {
                server.crash();
            }
            let options = options(self.release, self.directory.path());
            let server = StandIn::start(options).await.expect("a stand-in");
            self.url = server.url().expect("TCP");
            self.server = Some(server);
        })
    }

    fn fresh(&self) -> Done<'_, Box<dyn Server>> {
        let release = self.release;
        Box::pin(async move { Box::new(Self::start(release).await) as Box<dyn Server> })
    }
}
