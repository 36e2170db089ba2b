//! Programs that tests run and that this repository does not hold; `tests/tools` provides them.

use std::env;
use std::path::PathBuf;

/// The program `name`: in the folder that `KUBEBUILDER_ASSETS` names, where `tests/tools` put it in
/// the version that is pinned there, or else on PATH, in whatever version. `None`, and a line that
/// says so, where it is nowhere.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let named = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    let cache = named("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(named("HOME")?).join(".cache")));
    let path = env::var_os("PATH").unwrap_or_default();
    let found = named("KUBEBUILDER_ASSETS")
        .map(PathBuf::from)
        .into_iter()
        .chain(cache.map(|cache| cache.join("kubectl-headscale/tools")))
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        let script = if name == "docker-registry" { name } else { "build" };
        crate::tell(&format!("skipped: needs {name}, which tests/tools/{script} provides"));
    }
    found
}
