//! What the sidecar costs: time to its first key, memory then and after 1,000 rotations.
//!
//! `cargo bench --package headscale-sidecar` measures the program that was built for it; the one that
//! ships is named by `HEADSCALE_SIDECAR`. It needs etcd and kube-apiserver (`tests/tools/build`).

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that cannot be made ends with why"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headscale_controlplane::ControlPlane;
use headscale_keys::secret::KEY;
use headscale_standin::{Options, StandIn, Version};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

const ROTATIONS: usize = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(2);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    /// Resident memory in kilobytes: now, and the most so far.
    fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("Linux");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let Some(cluster) = ControlPlane::shared().await else { return };
    for version in [Version::V0_29, Version::V0_30] {
        let namespace = cluster.namespace().await;
        let directory = tempfile::tempdir().expect("a directory");
        let token = cluster.admin_token();
        let kubeconfig = cluster.kubeconfig(directory.path(), token, &namespace, None);
        let socket = directory.path().join("headscale.sock");
        let options =
            Options::new(version, directory.path().join("headscale")).on_socket(&socket).on_tcp();
        let headscale = StandIn::start(options).await.expect("a stand-in");
        let secrets: Api<Secret> = Api::namespaced(cluster.client(), &namespace);
        let start = |flags: &[&str]| {
            let program = std::env::var_os("HEADSCALE_SIDECAR")
                .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_headscale-sidecar")), Into::into);
            let child = Command::new(program)
                .env_clear()
                .arg("apikey")
                .arg(format!("--kubeconfig={}", kubeconfig.display()))
                .arg(format!("--socket-path={}", socket.display()))
                .arg(format!("--headscale-url={}", headscale.url().expect("it listens")))
                .args(flags)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            Running(child.expect("the program starts"))
        };
        let key = async || {
            let secret = secrets.get_opt("headscale-api-key").await.expect("an answer");
            secret.and_then(|secret| secret.data?.remove(KEY))
        };

        let began = Instant::now();
        let running = start(&[]);
        while key().await.is_none() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let first = began.elapsed();
        // Until it has looked once more and rests.
        let lists = || headscale.requests().len();
        let seen = lists();
        while lists() == seen {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (resident, most) = running.memory();
        println!("{version:?}: first key after {} ms", first.as_millis());
        println!("{version:?}: after the first key {resident} kB resident, at most {most} kB");
        drop(running);

        let made = || headscale.every_key_ever().len();
        let before = made();
        let began = Instant::now();
        // Due after a third of a second: a key that is due at once leaves no rest between rotations,
        // without which the sidecar makes pauses of its own. So this takes five minutes.
        let running = start(&[
            "--expiration=2160h",
            "--rotation-buffer=2159h59m59.7s",
            "--grace=0",
            "--check-interval=1ms",
        ]);
        for part in [100, ROTATIONS] {
            while made() < before + part {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let (resident, most) = running.memory();
            println!("{version:?}: after {part} rotations {resident} kB, at most {most} kB");
        }
        println!("{version:?}: {ROTATIONS} rotations took {:?}", began.elapsed());
    }
}
