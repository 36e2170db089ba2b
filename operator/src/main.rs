//! The program.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    headscale_operator::cli::main(std::env::args_os())
}
