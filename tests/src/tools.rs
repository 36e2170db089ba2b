//! Programs that tests run and that this repository does not build; `tests/tools` provides them.

use std::path::PathBuf;

/// The program `name`: on PATH, or where `tests/tools/NAME` put it. `None`, and a line that says
/// so, where it is neither.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|cache| !cache.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let tools = cache.map(|cache| cache.join("kubectl-headscale/tools"));
    let found = std::env::split_paths(&path)
        .chain(tools)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        crate::tell(&format!("skipped: needs {name}, which tests/tools/{name} provides"));
    }
    found
}
