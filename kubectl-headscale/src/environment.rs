//! What the process was started with: the library asks this, never the process.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;

use headscale_acl::Date;
use jiff::Timestamp;

/// Everything that comes from outside the arguments and the files they name.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The directory that relative paths are relative to.
    pub cwd: PathBuf,
    /// Whether standard output takes colour unless `--color` says otherwise: a terminal that is
    /// not dumb, and `NO_COLOR` empty or unset.
    pub stdout_color: bool,
    /// The same for standard error.
    pub stderr_color: bool,
    /// Whether standard input is a terminal, where programs may ask for credentials.
    pub stdin_terminal: bool,
    /// Columns of the terminal; `None` where there is none.
    pub width: Option<usize>,
    /// Where what can be made again is kept: `kubectl-headscale` in `XDG_CACHE_HOME`, in
    /// `LOCALAPPDATA` on Windows, or in `.cache` of the home directory. Nothing is kept where it is
    /// `None`.
    pub cache: Option<PathBuf>,
    /// Docker's configuration, for the credentials of registries; it need not be there.
    pub docker_config: Option<PathBuf>,
    /// What the program was started as: its first argument.
    pub program: Option<PathBuf>,
    /// The directories of programs (`PATH`).
    pub path: Option<OsString>,
    /// The home directory (`HOME`, on Windows else `USERPROFILE`), for `.kube/config`.
    pub home: Option<PathBuf>,
    /// Kubeconfigs, with the system's separator between them (`KUBECONFIG`).
    pub kubeconfig: Option<OsString>,
    /// Host and port of the API server of the cluster that this runs in, as Kubernetes tells every
    /// container (`KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`).
    pub in_cluster: Option<(String, String)>,
    /// A variable of the environment that an argument names.
    pub variable: fn(&str) -> Option<OsString>,
    /// Now.
    pub now: Timestamp,
    /// Today, in UTC so that a pipeline gives the same answer everywhere.
    pub today: Date,
}

/// The standard streams.
pub struct Streams<'a> {
    /// Where `-` reads from.
    pub stdin: &'a mut dyn Read,
    /// Where data goes. It should be buffered; [`run`](crate::run) flushes it.
    pub stdout: &'a mut dyn Write,
    /// Where all else goes.
    pub stderr: &'a mut dyn Write,
}
