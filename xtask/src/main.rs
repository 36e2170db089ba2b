//! `cargo xtask`: see `cargo xtask help`.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use headscale_krew::archive::{self, Contents, Effort};
use headscale_krew::{Platform, Version, manifest};
use headscale_policy_host::TARGET;
use headscale_testkit::tailnets::Shape;
use xtask::plugins::Checked;
use xtask::{compiled_plugins, gen_tailnet, generate, layers, plugins};

/// Chores of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pack the program and the licence for a release, the same bytes each time.
    Archive {
        /// What the program was built for.
        #[arg(long, value_name = "TRIPLE")]
        target: String,
        /// The program.
        #[arg(long, value_name = "FILE")]
        binary: PathBuf,
        /// The version of the release, with its `v`.
        #[arg(long, default_value_t = Version::current())]
        version: Version,
        /// The folder to write the archive and its SHA-256 to, made if it is not there.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Build the built-in plugins into `policies/dist`; needs Debian's rustc-web and rust-web-src.
    BuildPlugins,
    /// Fail when the plugins in `policies/dist` are not what their sources come to, byte for byte
    /// where the compiler is installed that built them.
    CheckPlugins,
    /// Compile the built-in plugins for a release, which takes them from
    /// `HEADSCALE_COMPILED_PLUGINS`; `make release` does both.
    CompilePlugins {
        /// What the release is built for; of other processors than this machine's only where the
        /// compiler has them.
        #[arg(long, value_name = "TRIPLE", default_value = TARGET)]
        target: String,
        /// The folder to write to, made if it is not there.
        #[arg(long, value_name = "DIR", default_value = "target/compiled-plugins")]
        out: PathBuf,
    },
    /// Fail when a crate depends on one that it must not know.
    CheckLayers,
    /// Write the committed files that are made from code.
    Generate {
        /// Write nothing; fail and name the files that differ.
        #[arg(long)]
        check: bool,
    },
    /// Write the manifest that krew installs a release by.
    Krew {
        /// The version of the release, with its `v`.
        #[arg(long, default_value_t = Version::current())]
        version: Version,
        /// The folder with the archives of all platforms.
        #[arg(long, value_name = "DIR")]
        archives: PathBuf,
        /// Where the archives will be: what stands before their names in their addresses.
        #[arg(long, value_name = "URL")]
        base_url: String,
        /// The file to write, which krew wants to be called `headscale.yaml`.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write `policy.hujson` and `tailnet.json` of a made tailnet, to hold other engines beside
    /// ours.
    GenTailnet {
        /// How many nodes it has.
        #[arg(long)]
        nodes: usize,
        /// How many rules the policy has.
        #[arg(long, default_value_t = 300)]
        rules: usize,
        /// Have rules about `autogroup:self`.
        #[arg(long)]
        with_self: bool,
        /// Have grants with `via`.
        #[arg(long)]
        with_via: bool,
        /// The folder to write to, made if it is not there.
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let Err(error) = run(&Cli::parse().command) else {
        return ExitCode::SUCCESS;
    };
    // Where standard error is closed, the exit code is all that can be told.
    writeln!(io::stderr(), "error: {error}").map_or(ExitCode::FAILURE, |()| ExitCode::FAILURE)
}

fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    let Some(root) = Path::new(env!("CARGO_MANIFEST_DIR")).parent() else {
        return Err("xtask does not stand in a workspace".into());
    };
    let mut out = io::stdout().lock();
    match command {
        Command::Archive { target, binary, version, out: dir } => {
            let (platform, license) = (Platform::of(target)?, root.join("LICENSE"));
            let contents = Contents { platform, version, program: binary, license: &license };
            let path = archive::write(&contents, dir, Effort::Best)?;
            writeln!(out, "wrote {}", path.display())?;
        }
        Command::BuildPlugins => {
            for path in plugins::build(root)? {
                writeln!(out, "wrote {path}")?;
            }
        }
        Command::CheckPlugins => {
            let count = plugins::NAMES.len();
            match plugins::check(root)? {
                Checked::Rebuilt => {
                    writeln!(
                        out,
                        "check-plugins: {count} components are what their sources come to"
                    )?;
                }
                Checked::Skipped(needs) => writeln!(
                    out,
                    "check-plugins: digests and sources of {count} components are as recorded; \
                     {count} rebuilds skipped: needs {needs}"
                )?,
            }
        }
        Command::CompilePlugins { target, out: dir } => {
            for (path, bytes) in compiled_plugins::write(target, dir)? {
                writeln!(out, "wrote {}: {bytes} bytes for {target}", path.display())?;
            }
        }
        Command::CheckLayers => {
            let edges = layers::check(&layers::Graph::read(root)?)?;
            writeln!(out, "check-layers: dependencies between our crates: {edges}, all allowed")?;
        }
        Command::Krew { version, archives, base_url, out: file } => {
            fs::write(file, manifest::render(version, archives, base_url)?)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            writeln!(out, "wrote {}", file.display())?;
        }
        Command::GenTailnet { nodes, rules, with_self, with_via, dir } => {
            let (nodes, rules) = (*nodes, *rules);
            let shape = Shape { nodes, rules, with_self: *with_self, with_via: *with_via };
            for path in gen_tailnet::write(&shape, dir)? {
                writeln!(out, "wrote {}", path.display())?;
            }
        }
        Command::Generate { check: true } => {
            let files = generate::check(root)?;
            writeln!(out, "generate: {files} files are up to date")?;
        }
        Command::Generate { check: false } => {
            for path in generate::write(root)? {
                writeln!(out, "wrote {path}")?;
            }
        }
    }
    Ok(())
}
