//! `kubectl-headscale`: gathers what the process was given and hands it to the library.

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, IsTerminal as _};
use std::path::{Path, PathBuf};
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
    let now = jiff::Timestamp::now();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let home = home();
    let environment = Environment {
        cwd,
        stdout_color: !plain && io::stdout().is_terminal(),
        stderr_color: !plain && io::stderr().is_terminal(),
        stdin_terminal: io::stdin().is_terminal(),
        width: width(),
        cache: cache(home.as_deref()),
        docker_config: docker_config_file(
            std::env::var_os("DOCKER_CONFIG").as_deref(),
            home.as_deref().map(Path::as_os_str),
        ),
        program: std::env::args_os().next().map(PathBuf::from),
        path: std::env::var_os("PATH"),
        home,
        kubeconfig: std::env::var_os("KUBECONFIG"),
        in_cluster: in_cluster(),
        now,
        variable: |name| std::env::var_os(name),
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

/// The home directory; on Windows, where few set `HOME`, that of the profile otherwise, as kubectl
/// has it.
fn home() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("HOME").or_else(|| if cfg!(windows) { set("USERPROFILE") } else { None })
}

/// Where what can be made again is kept. A relative path is none, as the XDG specification says.
fn cache(home: Option<&Path>) -> Option<PathBuf> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // Others have no access to it there.
    let local = || if cfg!(windows) { absolute("LOCALAPPDATA") } else { None };
    let in_home = || home.filter(|home| home.is_absolute()).map(|home| home.join(".cache"));
    let base = absolute("XDG_CACHE_HOME").or_else(local).or_else(in_home)?;
    Some(base.join("kubectl-headscale"))
}

/// Host and port of the API server, in a container of a cluster.
fn in_cluster() -> Option<(String, String)> {
    let host = std::env::var("KUBERNETES_SERVICE_HOST").ok()?;
    Some((host, std::env::var("KUBERNETES_SERVICE_PORT").ok()?))
}

/// Columns of the terminal; `COLUMNS` first, as shells and tests set it.
fn width() -> Option<usize> {
    if let Some(columns) = std::env::var_os("COLUMNS") {
        return columns.to_str()?.parse().ok().filter(|width| *width > 0);
    }
    terminal_size::terminal_size().map(|(width, _)| width.0.into())
}
