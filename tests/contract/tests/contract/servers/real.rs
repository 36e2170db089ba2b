//! Real servers, on loopback and in a directory of their own.

use std::path::{Path, PathBuf};

use headscale_client::Release;
use headscale_testkit::headscale::{Headscale, Program};

use super::{Done, Server};

/// The version of a program, by its name.
fn release(program: &Program) -> Release {
    let known = [Release::V0_28, Release::V0_29, Release::V0_30];
    let mut known = known.into_iter();
    known
        .find(|release| program.version.starts_with(&release.to_string()))
        .expect("HEADSCALE_BIN names 0.28, 0.29 or 0.30")
}

pub(crate) struct RealServer {
    program: Program,
    socket: PathBuf,
    headscale: Headscale,
}

impl RealServer {
    pub(crate) fn start(program: Program) -> Self {
        let headscale = Headscale::start(&program);
        Self { program, socket: headscale.socket(), headscale }
    }
}

impl Server for RealServer {
    fn release(&self) -> Release {
        release(&self.program)
    }

    fn name(&self) -> String {
        format!("Headscale {}", self.program.version)
    }

    fn url(&self) -> String {
        format!("http://{}", self.headscale.address())
    }

    fn socket(&self) -> &Path {
        &self.socket
    }

    fn kill_and_start(&mut self) -> Done<'_, ()> {
        Box::pin(async { self.headscale.kill_and_start() })
    }

    fn fresh(&self) -> Done<'_, Box<dyn Server>> {
        let program = self.program.clone();
        Box::pin(async move { Box::new(Self::start(program)) as Box<dyn Server> })
    }
}
