//! The built-in plugins: built from `policies/builtin` into the components of `policies/dist`.
//!
//! They are built by Debian's `rustc-web` (packages `rustc-web cargo-web rust-web-src rust-web-llvm
//! lld-22`), which comes with the sources of the standard library, so that a fresh Debian needs no
//! rustup target. The same compiler makes the same bytes from any folder. `dist/toolchain` says
//! which one it was, and the digest of the sources.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;
use sha2::{Digest, Sha256};
use thiserror::Error;
use wit_component::ComponentEncoder;

/// The plugins, by the names of their packages.
pub const NAMES: [&str; 2] = ["guardrails", "keystone"];

/// Where the workspace of the guests is.
const WORKSPACE: &str = "policies";

/// Where the components are.
const DIST: &str = "policies/dist";

/// What the components are made from, besides the compiler.
const SOURCES: [&str; 6] = [
    "policies/Cargo.lock",
    "policies/Cargo.toml",
    "policies/builtin/guardrails",
    "policies/builtin/keystone",
    "policies/sdk",
    "policies/wit/policy.wit",
];

/// Crates whose versions `toolchain` tells; the lock has all of them.
const TOLD: [&str; 4] = ["serde", "serde_json", "wit-bindgen", "wit-component"];

/// Debian's compiler, whatever rustup puts on `PATH`.
const BIN: &str = "/usr/bin";

const TARGET: &str = "wasm32-unknown-unknown";

/// Why plugins could not be built, or are not what they should be.
#[derive(Debug, Error)]
pub enum PluginsError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Debian's compiler is not installed.
    #[error(
        "{BIN}/rustc is not there: apt-get install --no-install-recommends rustc-web cargo-web \
         rust-web-src rust-web-llvm lld-22"
    )]
    NoCompiler,
    /// Cargo failed; it has said why.
    #[error("cargo could not build the guests")]
    Cargo,
    /// Cargo could not describe the workspace of the guests.
    #[error("cargo metadata: {0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// A core module that is no component.
    #[error("{name}: {reason}")]
    Component {
        /// Which plugin.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// Committed files that are not what they should be.
    #[error("{}\nrun `make plugins` and commit the result", .0.join("\n"))]
    Differ(Vec<String>),
}

/// What was held against what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Every component was built again, with the same bytes.
    Rebuilt,
    /// Digests and sources are as recorded; this compiler is not installed, so nothing was built.
    Skipped(String),
}

/// Builds the plugins, and writes what `policies/dist` has; gives the paths.
///
/// Takes about two minutes the first time, for the standard library, and seconds from then on.
///
/// # Errors
/// When the compiler is not there, or cannot build them.
pub fn build(root: &Path) -> Result<Vec<String>, PluginsError> {
    let compiler = compiler().ok_or(PluginsError::NoCompiler)?;
    let components = components(root)?;
    let mut files = Vec::new();
    let mut sums = String::new();
    for (name, bytes) in components {
        // Infallible, as for every `String`.
        _ = writeln!(sums, "{}  {name}.wasm", digest(&bytes));
        files.push((format!("{DIST}/{name}.wasm"), bytes));
    }
    files.push((format!("{DIST}/SHA256SUMS"), sums.into_bytes()));
    files.push((format!("{DIST}/toolchain"), toolchain(root, &compiler)?.into_bytes()));
    let dist = root.join(DIST);
    fs::create_dir_all(&dist).map_err(|source| PluginsError::Io { path: dist, source })?;
    for (path, bytes) in &files {
        let path = root.join(path);
        fs::write(&path, bytes).map_err(|source| PluginsError::Io { path, source })?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

/// Holds `policies/dist` against its sources, and builds it again where the compiler is installed
/// that it was built by.
///
/// # Errors
/// [`PluginsError::Differ`] with what is not as it should be.
pub fn check(root: &Path) -> Result<Checked, PluginsError> {
    let recorded = text(&root.join(DIST).join("toolchain"))?;
    let recorded_compiler = recorded.lines().next().unwrap_or_default().to_owned();
    let mut differ = Vec::new();
    if toolchain(root, &recorded_compiler)? != recorded {
        differ.push(format!("{DIST}: the sources have changed since it was built"));
    }
    let sums = text(&root.join(DIST).join("SHA256SUMS"))?;
    let mut expected = String::new();
    for name in NAMES {
        let bytes = read(&root.join(DIST).join(name).with_extension("wasm"))?;
        _ = writeln!(expected, "{}  {name}.wasm", digest(&bytes));
    }
    if sums != expected {
        differ.push(format!("{DIST}/SHA256SUMS: the digests are those of other components"));
    }
    if !differ.is_empty() {
        return Err(PluginsError::Differ(differ));
    }
    if compiler().as_ref() != Some(&recorded_compiler) {
        return Ok(Checked::Skipped(format!("{recorded_compiler} as {BIN}/rustc")));
    }
    for (name, bytes) in components(root)? {
        let committed = read(&root.join(DIST).join(name).with_extension("wasm"))?;
        if committed != bytes {
            differ.push(format!(
                "{DIST}/{name}.wasm: {} bytes with digest {}, and its sources come to {} with {}",
                committed.len(),
                digest(&committed),
                bytes.len(),
                digest(&bytes)
            ));
        }
    }
    if differ.is_empty() { Ok(Checked::Rebuilt) } else { Err(PluginsError::Differ(differ)) }
}

/// What the installed compiler says of itself.
fn compiler() -> Option<String> {
    let output = Command::new(Path::new(BIN).join("rustc")).arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| version.trim().to_owned())
}

/// Builds every plugin.
fn components(root: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, PluginsError> {
    // First, because the folders of what is fetched are taken out of the messages of panics.
    let mut fetch = Command::new(Path::new(BIN).join("cargo"));
    fetch.current_dir(root.join(WORKSPACE)).args(["fetch", "--locked", "--quiet"]);
    let status = fetch.status().map_err(|source| PluginsError::Io { path: BIN.into(), source })?;
    if !status.success() {
        return Err(PluginsError::Cargo);
    }
    let target = root.join("target/plugins");
    let mut cargo = Command::new(Path::new(BIN).join("cargo"));
    cargo.current_dir(root.join(WORKSPACE));
    cargo.args(["build", "--release", "--locked", "--quiet", "--target", TARGET]);
    cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]);
    cargo.args(NAMES.iter().flat_map(|name| ["--package", name]));
    cargo.arg("--target-dir").arg(&target);
    // What rustup and other settings of the caller would change of the bytes.
    for (name, _) in env::vars_os() {
        let told = name.to_string_lossy();
        let own = ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_", "RUST"];
        if told != "CARGO_HOME" && (own.iter().any(|own| told.starts_with(own)) || told == "CARGO")
        {
            cargo.env_remove(&name);
        }
    }
    let mut path = OsString::from(BIN);
    if let Some(rest) = env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    // The standard library is built from its sources, which stable compilers do on request only.
    cargo.env("PATH", path).env("RUSTC", Path::new(BIN).join("rustc")).env("RUSTC_BOOTSTRAP", "1");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", remapped(root)?.join("\u{1f}"));
    let status = cargo.status().map_err(|source| PluginsError::Io { path: BIN.into(), source })?;
    if !status.success() {
        return Err(PluginsError::Cargo);
    }
    let modules = target.join(TARGET).join("release");
    NAMES
        .into_iter()
        .map(|name| {
            let module = read(&modules.join(name).with_extension("wasm"))?;
            let bytes =
                component(&module).map_err(|reason| PluginsError::Component { name, reason })?;
            Ok((name, bytes))
        })
        .collect()
}

/// The component in a core module that says in a custom section what it imports and exports.
fn component(module: &[u8]) -> Result<Vec<u8>, String> {
    let encoder = ComponentEncoder::default().validate(true).module(module);
    let bytes = encoder.and_then(|mut encoder| encoder.encode());
    bytes.map_err(|error| format!("{error:#}"))
}

/// Flags that keep the paths of this machine out of the messages of panics.
fn remapped(root: &Path) -> Result<Vec<String>, PluginsError> {
    let mut flags = vec![
        format!("--remap-path-prefix={}=", root.display()),
        "--remap-path-prefix=/usr/lib/rustlib/src/rust=/rust".to_owned(),
    ];
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let Some(registries) = home.map(|home| home.join("registry/src")) else { return Ok(flags) };
    match fs::read_dir(&registries) {
        Ok(entries) => {
            for entry in entries.flatten() {
                flags.push(format!("--remap-path-prefix={}=/crates", entry.path().display()));
            }
            Ok(flags)
        }
        Err(source) => Err(PluginsError::Io { path: registries, source }),
    }
}

/// What `dist/toolchain` says for a compiler: its version, those of the crates that matter, and the
/// digest of the sources.
fn toolchain(root: &Path, compiler: &str) -> Result<String, PluginsError> {
    let mut text = format!("{compiler}\n");
    let mut versions = Vec::new();
    for manifest in [root.join(WORKSPACE).join("Cargo.toml"), root.join("Cargo.toml")] {
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .other_options(["--locked".to_owned()])
            .exec()?;
        for name in TOLD {
            // The component is made by the encoder of this workspace, the rest by that of the
            // guests.
            let ours = metadata.workspace_root.join("xtask").exists();
            if (name == "wit-component") != ours {
                continue;
            }
            let found = metadata.packages.iter().find(|package| package.name.as_str() == name);
            versions.extend(found.map(|package| format!("{name} {}", package.version)));
        }
    }
    versions.sort();
    for version in versions {
        _ = writeln!(text, "{version}");
    }
    let mut files = Vec::new();
    for source in SOURCES {
        list(&root.join(source), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for path in files {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let bytes = read(&path)?;
        hash.update(format!("{name}\0{}\0", bytes.len()));
        hash.update(bytes);
    }
    _ = writeln!(text, "sources {}", hex(&hash.finalize()));
    Ok(text)
}

/// All files under a path but tests and what cargo and editors leave there.
fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), PluginsError> {
    let io = |source| PluginsError::Io { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(io)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name != "target" && name != "tests" && name != "README.md" && !name.starts_with('.') {
            list(&entry.path(), files)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, PluginsError> {
    fs::read(path).map_err(|source| PluginsError::Io { path: path.to_owned(), source })
}

fn text(path: &Path) -> Result<String, PluginsError> {
    fs::read_to_string(path).map_err(|source| PluginsError::Io { path: path.to_owned(), source })
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}
