//! `kubectl headscale plugin new`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use crate::commands::Context;
use crate::error::{CommandError, io_words};
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  # Start a plugin in Rust
  kubectl headscale plugin new rust no-contractors
  cd no-contractors
  cargo test
  kubectl headscale plugin build
  kubectl headscale plugin test

  # In JavaScript
  kubectl headscale plugin new javascript no-contractors

Exit codes:
  0  the directory is written
  2  wrong usage, or a directory that is there or cannot be written";

/// Start a plugin in a new directory
///
/// It has a rule, tests and cases that pass: change them into yours.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct NewArgs {
    /// What to write it in
    #[arg(value_name = "LANGUAGE")]
    language: Language,

    /// Its name: lower-case letters, digits and `-`
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,

    /// Directory to make; ./NAME without it
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    #[value(alias = "js")]
    Javascript,
}

/// The name that the templates have.
const TEMPLATE: &str = "my-plugin";

/// A file of a template: its path, and what is in it.
type File = (&'static str, &'static str);

const RUST: &[File] = &[
    (".gitignore", include_str!("../../../../policies/templates/rust/.gitignore")),
    ("Cargo.lock", include_str!("../../../../policies/templates/rust/Cargo.lock")),
    ("Cargo.toml", include_str!("../../../../policies/templates/rust/Cargo.toml")),
    ("README.md", include_str!("../../../../policies/templates/rust/README.md")),
    (
        "settings.schema.json",
        include_str!("../../../../policies/templates/rust/settings.schema.json"),
    ),
    ("src/lib.rs", include_str!("../../../../policies/templates/rust/src/lib.rs")),
    ("tests/cases.yaml", include_str!("../../../../policies/templates/rust/tests/cases.yaml")),
    ("tests/plugin.rs", include_str!("../../../../policies/templates/rust/tests/plugin.rs")),
];

/// The SDK of plugins in Rust. It goes with the plugin, so that this builds as long as its compiler
/// does, whatever becomes of this program.
const SDK: &[File] = &[
    ("sdk/build.rs", include_str!("../../../../policies/sdk/build.rs")),
    ("sdk/src/bindings.rs", include_str!("../../../../policies/sdk/src/bindings.rs")),
    ("sdk/src/describe.rs", include_str!("../../../../policies/sdk/src/describe.rs")),
    ("sdk/src/inventory.rs", include_str!("../../../../policies/sdk/src/inventory.rs")),
    ("sdk/src/lib.rs", include_str!("../../../../policies/sdk/src/lib.rs")),
    ("sdk/src/log.rs", include_str!("../../../../policies/sdk/src/log.rs")),
    ("sdk/src/plugin.rs", include_str!("../../../../policies/sdk/src/plugin.rs")),
    ("sdk/src/pointer.rs", include_str!("../../../../policies/sdk/src/pointer.rs")),
    ("sdk/src/policy.rs", include_str!("../../../../policies/sdk/src/policy.rs")),
    ("sdk/src/ports.rs", include_str!("../../../../policies/sdk/src/ports.rs")),
    ("sdk/src/prefix.rs", include_str!("../../../../policies/sdk/src/prefix.rs")),
    ("sdk/src/reachability.rs", include_str!("../../../../policies/sdk/src/reachability.rs")),
    ("sdk/src/testing.rs", include_str!("../../../../policies/sdk/src/testing.rs")),
    ("wit/policy.wit", include_str!("../../../../policies/wit/policy.wit")),
];

/// The manifest of the SDK, and of the workspace that it takes versions from.
const SDK_MANIFEST: &str = include_str!("../../../../policies/sdk/Cargo.toml");
const SDK_WORKSPACE: &str = include_str!("../../../../policies/Cargo.toml");

const JAVASCRIPT: &[File] = &[
    (".gitignore", include_str!("../../../../policies/templates/javascript/.gitignore")),
    ("README.md", include_str!("../../../../policies/templates/javascript/README.md")),
    ("package.json", include_str!("../../../../policies/templates/javascript/package.json")),
    ("plugin.js", include_str!("../../../../policies/templates/javascript/plugin.js")),
    (
        "tests/cases.yaml",
        include_str!("../../../../policies/templates/javascript/tests/cases.yaml"),
    ),
    (
        "tests/plugin.test.js",
        include_str!("../../../../policies/templates/javascript/tests/plugin.test.js"),
    ),
    ("wit/policy.wit", include_str!("../../../../policies/wit/policy.wit")),
];

/// A name that a plugin, a crate and a package can have.
fn name(text: &str) -> Result<String, String> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let good = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(word);
    if good {
        Ok(text.to_owned())
    } else {
        Err("expected lower-case letters, digits and `-`, at most 63, first a letter".to_owned())
    }
}

impl NewArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let cwd = &context.environment.cwd;
        let dir = self.dir.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        let failed = |path: &Path, error: &io::Error| {
            CommandError::usage(format!("cannot write {}: {}", path.display(), io_words(error)))
        };
        let root = cwd.join(&dir);
        let is_there = fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some());
        if is_there || root.is_file() {
            return Err(CommandError::usage(format!("{} is there already", dir.display()))
                .hint("name another directory with --dir"));
        }
        let mut files: Vec<(&str, String)> = Vec::new();
        let template = match self.language {
            Language::Rust => {
                // The SDK is the same in every plugin.
                files.extend(SDK.iter().map(|(path, text)| (*path, (*text).to_owned())));
                files.push(("sdk/Cargo.toml", standalone(SDK_MANIFEST, SDK_WORKSPACE)));
                RUST
            }
            Language::Javascript => JAVASCRIPT,
        };
        files.extend(template.iter().map(|(path, text)| (*path, self.fill(text))));
        for (path, text) in &files {
            let shown = dir.join(path);
            let path = root.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| failed(&shown, &error))?;
            }
            fs::write(&path, text).map_err(|error| failed(&shown, &error))?;
        }
        context.ui.note(&format!("wrote {} files to {}", files.len(), dir.display()));
        context.ui.note(&format!("{}: README.md there says how to go on", self.name));
        Ok(Exit::Success)
    }

    /// A template's text with the names of this plugin.
    fn fill(&self, text: &str) -> String {
        text.replace("{ path = \"../../sdk\" }", "{ path = \"sdk\" }")
            .replace(TEMPLATE, &self.name)
            .replace(&TEMPLATE.replace('-', "_"), &self.name.replace('-', "_"))
            .replace(&camel_case(TEMPLATE), &camel_case(&self.name))
    }
}

/// A manifest with what it takes from its workspace, without that. Lints are the workspace's own
/// business.
fn standalone(manifest: &str, workspace: &str) -> String {
    let manifest = manifest.replace("\n[lints]\nworkspace = true\n", "");
    let line = |line: &str| match line.strip_suffix(".workspace = true") {
        Some(name) => {
            let start = format!("{name} = ");
            let told = workspace.lines().find(|line| line.starts_with(&start));
            format!("{}\n", told.unwrap_or(line))
        }
        None => format!("{line}\n"),
    };
    manifest.lines().map(line).collect()
}

/// `my-plugin` as `MyPlugin`.
fn camel_case(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(word).collect()
}
