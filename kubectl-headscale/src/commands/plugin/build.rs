//! `kubectl headscale plugin build`

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, ValueHint};
use serde::Deserialize;
use wit_component::ComponentEncoder;

use super::project::{self, Language, file_reference};
use crate::commands::Context;
use crate::commands::sandbox::LimitArgs;
use crate::error::{CommandError, io_words};
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  # Build the plugin of this directory
  kubectl headscale plugin build

  # Make a component of a core module that another compiler made
  kubectl headscale plugin build --module target/rules.wasm --to rules.wasm

Exit codes:
  0  built, and it is a plugin
  2  wrong usage, no compiler, or a compiler that failed
  3  what was built is no plugin";

/// Build the component of a plugin
///
/// In Rust by cargo for wasm32-unknown-unknown, which has no WASI that a plugin is not given; in
/// JavaScript by `npm run build`. What comes out is loaded once, so that it is known to be a plugin.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct BuildArgs {
    /// Directory of the plugin
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath, default_value = ".")]
    dir: PathBuf,

    /// Make the component of this core module, and build nothing
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        requires = "to",
        conflicts_with = "dir"
    )]
    module: Option<PathBuf>,

    /// File for the component; NAME.wasm in DIR without it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    to: Option<PathBuf>,

    #[command(flatten)]
    limits: LimitArgs,
}

/// The target that plugins are built for.
const TARGET: &str = "wasm32-unknown-unknown";

/// Where a distribution has its compiler.
const DISTRIBUTION: &str = "/usr/bin";

impl BuildArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let cwd = context.environment.cwd.clone();
        let dir = cwd.join(&self.dir);
        let file = match &self.module {
            Some(module) => {
                let to = self.to.clone().unwrap_or_default();
                write_component(&cwd.join(module), &cwd, &to)?;
                to
            }
            None => match project::language(&dir, &self.dir.display().to_string())? {
                Language::Rust => {
                    let module = cargo_build(&dir, context)?;
                    let name = module.file_name().unwrap_or_default();
                    // Cargo names the file by the library, people by the package.
                    let name = name.to_string_lossy().replace('_', "-");
                    let to = self.to.clone().unwrap_or_else(|| self.dir.join(name));
                    write_component(&module, &cwd, &to)?;
                    to
                }
                Language::Javascript => {
                    if self.to.is_some() {
                        return Err(CommandError::usage(
                            "--to is not for plugins in JavaScript: `build` in package.json says where",
                        ));
                    }
                    npm_build(&dir)?;
                    let component = project::component(&dir)?.to_string();
                    self.dir.join(component.trim_start_matches("./"))
                }
            },
        };
        let shown = file.strip_prefix(".").unwrap_or(&file).display().to_string();
        let source = self.limits.source(context)?;
        let plugin = source.load(&file_reference(&shown)?, Path::new(""), &mut context.ui)?;
        let descriptor = plugin.descriptor();
        let (name, version) = (&descriptor.name, &descriptor.version);
        context.ui.note(&format!("built {shown}: {name} {version}"));
        Ok(Exit::Success)
    }
}

/// Writes the component in a core module that says in a custom section what it imports and exports.
fn write_component(module: &Path, cwd: &Path, to: &Path) -> Result<(), CommandError> {
    let shown = module.display();
    let bytes = fs::read(module).map_err(|error| {
        CommandError::usage(format!("cannot read {shown}: {}", io_words(&error)))
    })?;
    let encoder = ComponentEncoder::default().validate(true).module(&bytes);
    let component = encoder.and_then(|mut encoder| encoder.encode()).map_err(|error| {
        CommandError::plugin(format!("no component can be made of {shown}: {error:#}"))
            .hint("it must be a core module with the interface of a plugin, as the SDK makes it")
    })?;
    let shown = to.display();
    fs::write(cwd.join(to), component)
        .map_err(|error| CommandError::usage(format!("cannot write {shown}: {}", io_words(&error))))
}

/// A compiler that can build for [`TARGET`].
struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    /// Whether it has the sources of the standard library and not the library itself.
    builds_std: bool,
}

impl Toolchain {
    /// The first that can of the one on `PATH`, and the one of the distribution.
    fn find() -> Result<Self, CommandError> {
        let mut found = false;
        for bin in ["", DISTRIBUTION] {
            let (cargo, rustc) = (Path::new(bin).join("cargo"), Path::new(bin).join("rustc"));
            let asked = |what: &str| {
                let mut command = Command::new(&rustc);
                command.args(["--print", what, "--target", TARGET]).stderr(Stdio::null());
                let output = command.output().ok()?;
                let path = String::from_utf8(output.stdout).ok()?;
                output.status.success().then(|| PathBuf::from(path.trim()))
            };
            let Some(library) = asked("target-libdir") else { continue };
            found = true;
            if library.is_dir() {
                return Ok(Self { cargo, rustc, builds_std: false });
            }
            let sources = "lib/rustlib/src/rust/library/Cargo.lock";
            if asked("sysroot").is_some_and(|sysroot| sysroot.join(sources).is_file()) {
                return Ok(Self { cargo, rustc, builds_std: true });
            }
        }
        let message = if found {
            format!("the Rust compiler has no target {TARGET}")
        } else {
            "there is no Rust compiler".to_owned()
        };
        Err(CommandError::usage(message)
            .hint(format!("with rustup: rustup target add {TARGET}"))
            .hint(
                "on Debian: apt-get install rustc-web cargo-web rust-web-src rust-web-llvm lld-22",
            ))
    }
}

/// What cargo tells of each thing that it built.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds the crate in `dir`. Returns its core module.
fn cargo_build(dir: &Path, context: &mut Context<'_>) -> Result<PathBuf, CommandError> {
    let Toolchain { cargo, rustc, builds_std } = Toolchain::find()?;
    let mut command = Command::new(&cargo);
    command.current_dir(dir).args(["build", "--release", "--target", TARGET]);
    command.arg("--message-format=json-render-diagnostics");
    if builds_std {
        context.ui.note("building the standard library with the plugin: minutes the first time");
        command.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"]);
        // The standard library is built from its sources, which stable compilers do on request only.
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    if rustc.is_absolute() {
        command.env("RUSTC", &rustc);
    }
    let failed =
        |why: String| CommandError::usage(format!("cargo could not build the plugin: {why}"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(io_words(&error)))?;
    let mut module = None;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(|error| failed(io_words(&error)))?;
        let Ok(Message { filenames }) = serde_json::from_str(&line) else { continue };
        let is_module =
            |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
        // The last thing that is built is the crate itself.
        module = filenames.into_iter().find(is_module).or(module);
    }
    let status = child.wait().map_err(|error| failed(io_words(&error)))?;
    if !status.success() {
        return Err(failed("it says why above".to_owned()));
    }
    module.ok_or_else(|| {
        failed("it made no *.wasm".to_owned())
            .hint("Cargo.toml needs `crate-type = [\"cdylib\", \"rlib\"]` under [lib]")
    })
}

/// Builds the package in `dir` by its own script.
fn npm_build(dir: &Path) -> Result<(), CommandError> {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let failed = |why: String| {
        CommandError::usage(format!("npm could not build the plugin: {why}"))
            .hint("`npm install` comes before the first build")
    };
    let status = Command::new(npm)
        .args(["run", "--silent", "build"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| failed(io_words(&error)))?;
    if status.success() { Ok(()) } else { Err(failed("it says why above".to_owned())) }
}
