//! The built-in plugins compiled ahead of time, for a release to bring along.
//!
//! The build script of `headscale-policy-host` takes the directory and holds it against what it
//! builds: it has the components that were compiled, and the target's name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use headscale_policy_host::{Failure, builtins, precompile};
use thiserror::Error;

/// Why plugins could not be compiled.
#[derive(Debug, Error)]
pub enum CompileError {
    /// A file could not be written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A plugin could not be compiled for the target.
    #[error("builtin:{name} for {target}: {failure}")]
    Compile {
        /// Which plugin.
        name: &'static str,
        /// For what.
        target: String,
        /// Why.
        failure: Failure,
    },
}

/// Compiles every built-in plugin for the triple `target`, and writes into `dir`, which is made if it
/// is missing: `NAME.cwasm`, the component that it was compiled from as `NAME.wasm`, and `target`.
/// Gives the paths of the code with its bytes.
///
/// # Errors
///
/// When a file cannot be written, or the compiler does not know the target.
pub fn write(target: &str, dir: &Path) -> Result<Vec<(PathBuf, usize)>, CompileError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| CompileError::Io { path, source }
    };
    fs::create_dir_all(dir).map_err(io(dir))?;
    let mut written = Vec::new();
    for builtin in builtins() {
        let name = builtin.name;
        let code = precompile(builtin.component, target).map_err(|failure| {
            CompileError::Compile { name, target: target.to_owned(), failure }
        })?;
        let (wasm, cwasm) = (dir.join(format!("{name}.wasm")), dir.join(format!("{name}.cwasm")));
        fs::write(&wasm, builtin.component).map_err(io(&wasm))?;
        fs::write(&cwasm, &code).map_err(io(&cwasm))?;
        written.push((cwasm, code.len()));
    }
    let path = dir.join("target");
    fs::write(&path, format!("{target}\n")).map_err(io(&path))?;
    Ok(written)
}
