//! What the process was started with: the library asks this, never the process.

use std::io::{Read, Write};
use std::path::PathBuf;

use headscale_acl::Date;

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
    /// Columns of the terminal; `None` where there is none.
    pub width: Option<usize>,
    /// Where what can be made again is kept: `kubectl-headscale` in `XDG_CACHE_HOME`, or in `.cache`
    /// of the home directory. Nothing is kept where it is `None`.
    pub cache: Option<PathBuf>,
    /// Docker's configuration, for the credentials of registries; it need not be there.
    pub docker_config: Option<PathBuf>,
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
