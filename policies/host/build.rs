//! Hands the built-in plugins to the crate as they were compiled before, where they were.

use std::error::Error;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Names the directory that `cargo xtask compile-plugins` wrote, absolute or from the root of the
/// workspace.
const VARIABLE: &str = "HEADSCALE_COMPILED_PLUGINS";

fn main() -> Result<(), Box<dyn Error>> {
    let own = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = own.join("../..");
    let dist = own.join("../dist");
    let target = variable("TARGET")?;
    let compiled = env::var_os(VARIABLE).filter(|dir| !dir.is_empty()).map(|dir| root.join(dir));
    let mut cargo = io::stdout().lock();
    writeln!(cargo, "cargo::rerun-if-env-changed={VARIABLE}")?;
    writeln!(cargo, "cargo::rerun-if-changed={}", dist.display())?;
    writeln!(cargo, "cargo::rustc-env=HEADSCALE_TARGET={target}")?;
    if let Some(dir) = &compiled {
        writeln!(cargo, "cargo::rerun-if-changed={}", dir.display())?;
        same_target(dir, &target)?;
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    for entry in fs::read_dir(&dist)? {
        let component = entry?.path();
        let (Some(name), Some("wasm")) =
            (component.file_stem(), component.extension().and_then(OsStr::to_str))
        else {
            continue;
        };
        // An empty file is none.
        let code = match &compiled {
            Some(dir) => code(dir, name, &component)?,
            None => Vec::new(),
        };
        fs::write(out.join(name).with_extension("cwasm"), code)?;
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}

/// The runtime would refuse code for another processor, and the program would compile its own
/// plugins each time that it runs without a cache.
fn same_target(dir: &Path, target: &str) -> Result<(), String> {
    let compiled_for = String::from_utf8_lossy(&read(&dir.join("target"))?).trim().to_owned();
    if compiled_for == target {
        return Ok(());
    }
    Err(format!(
        "{VARIABLE}: {} is for {compiled_for}, and this program is for {target}: run `cargo xtask \
         compile-plugins --target {target}`",
        dir.display()
    ))
}

/// The code that `component` was compiled to.
fn code(dir: &Path, name: &OsStr, component: &Path) -> Result<Vec<u8>, String> {
    if read(&dir.join(name).with_extension("wasm"))? != read(component)? {
        return Err(format!(
            "{VARIABLE}: {} is not what {} was compiled from: run `cargo xtask compile-plugins`",
            component.display(),
            dir.join(name).with_extension("cwasm").display()
        ));
    }
    read(&dir.join(name).with_extension("cwasm"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| {
        format!("{VARIABLE}: {}: {error}: run `cargo xtask compile-plugins`", path.display())
    })
}
