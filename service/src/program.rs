//! From arguments to the code that the process ends with.

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use crate::logging::{self, LogArgs};

/// Gives `argument` the two dashes that clap wants where it is a flag with one, as Go takes it;
/// `is_flag` says whether there is one of that name.
#[must_use]
pub fn with_two_dashes(argument: OsString, is_flag: impl Fn(&str) -> bool) -> OsString {
    let is_one = argument.to_str().and_then(|text| text.strip_prefix('-')).is_some_and(|flag| {
        !flag.starts_with('-') && is_flag(flag.split_once('=').map_or(flag, |(name, _)| name))
    });
    if !is_one {
        return argument;
    }
    let mut flag = OsString::from("-");
    flag.push(argument);
    flag
}

/// Says what is wrong with the arguments, or the help that they ask for; gives what the process
/// ends with.
pub fn refuse(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    // Where standard error is closed, the exit code is all that can be told.
    error.print().map_or(ExitCode::from(code), |()| ExitCode::from(code))
}

/// Runs `work` to its end; gives what the process ends with: 0, or what stands beside the failure,
/// which is logged. `program` is the name of its crate in paths (`headscale_operator`), whose logs
/// are shown.
pub fn run<E: fmt::Display>(
    program: &'static str,
    logs: &LogArgs,
    work: impl Future<Output = Result<(), (u8, E)>>,
) -> ExitCode {
    if let Err(error) = logging::start(logs, program) {
        return fail(1, &error);
    }
    // One thread is enough for waiting, and takes the least memory.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    let done = runtime.block_on(work);
    // Requests that hang in system calls must not hold the process.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => fail(code, &error),
    }
}

fn fail(code: u8, error: &dyn fmt::Display) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}
