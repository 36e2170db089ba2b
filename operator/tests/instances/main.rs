//! Instances from end to end: the real program under the role that is shipped, the controller
//! manager of Kubernetes, and pods that are played, by the stand-in and by the real sidecar. With
//! `HEADSCALE_BIN=0.28.0=PATH,0.29.2=PATH,0.30=PATH` they are played by real servers.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails by a panic, as the test does"
)]

#[allow(
    dead_code,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "each test binary uses a part of it"
)]
#[path = "../operator/bench.rs"]
mod bench;
mod go;
mod life;
mod manifests;
mod misfortune;
mod policy;
mod postgres;
mod postgres_server;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../operator/program.rs"]
mod program;
mod stage;
mod takeover;
mod tls;
mod upgrade;

use std::process::ExitCode;

#[test]
#[ignore = "the player runs it"]
fn plays_a_container() -> ExitCode {
    headscale_player::program(headscale_sidecar::cli::main)
}
