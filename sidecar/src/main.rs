//! `headscale-sidecar`: see `headscale-sidecar --help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    headscale_sidecar::cli::main(std::env::args_os())
}
