//! `kubectl-headscale`: gathers what the process was given and hands it to the library.

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use headscale_policy_registry::docker_config_file;
use kubectl_headscale::{Environment, Streams, run};

fn main() -> ExitCode {
    let cwd = match std::env::current_dir() {
        Ok(cwd) => cwd,
        // Relative paths then fail one by one, each with its own error.
        Err(_) => PathBuf::from("."),
    };
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let plain = set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let environment = Environment {
        cwd,
        stdout_color: !plain && io::stdout().is_terminal(),
        stderr_color: !plain && io::stderr().is_terminal(),
        width: width(),
        cache: cache(),
        docker_config: docker_config_file(
            std::env::var_os("DOCKER_CONFIG").as_deref(),
            std::env::var_os("HOME").as_deref(),
        ),
        today: headscale_acl::Date {
            year: today.year(),
            month: today.month().unsigned_abs(),
            day: today.day().unsigned_abs(),
        },
    };
    let mut streams = Streams {
        stdin: &mut io::stdin(),
        stdout: &mut BufWriter::new(anstream::AutoStream::always(io::stdout().lock())),
        stderr: &mut anstream::AutoStream::always(io::stderr()),
    };
    run(std::env::args_os(), &environment, &mut streams).into()
}

/// Where what can be made again is kept. A relative path is none, as the XDG specification says.
fn cache() -> Option<PathBuf> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("kubectl-headscale"))
}

/// Columns of the terminal; `COLUMNS` first, as shells and tests set it.
fn width() -> Option<usize> {
    if let Some(columns) = std::env::var_os("COLUMNS") {
        return columns.to_str()?.parse().ok().filter(|width| *width > 0);
    }
    terminal_size::terminal_size().map(|(width, _)| width.0.into())
}
