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

    /// Directory of the SDK for Rust, in place of the one of this release
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    sdk: Option<PathBuf>,
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
        let sdk = match (&self.sdk, self.language) {
            (Some(_), Language::Javascript) => {
                return Err(CommandError::usage("--sdk is for plugins in Rust"));
            }
            (Some(sdk), Language::Rust) => Some(absolute_sdk(cwd, sdk)?),
            (None, _) => None,
        };
        let failed = |path: &Path, error: &io::Error| {
            CommandError::usage(format!("cannot write {}: {}", path.display(), io_words(error)))
        };
        let root = cwd.join(&dir);
        let is_there = fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_some());
        if is_there || root.is_file() {
            return Err(CommandError::usage(format!("{} is there already", dir.display()))
                .hint("name another directory with --dir"));
        }
        let files = match self.language {
            Language::Rust => RUST,
            Language::Javascript => JAVASCRIPT,
        };
        for (path, text) in files {
            let shown = dir.join(path);
            let path = root.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|error| failed(&shown, &error))?;
            }
            fs::write(&path, self.fill(text, sdk.as_deref()))
                .map_err(|error| failed(&shown, &error))?;
        }
        context.ui.note(&format!("wrote {} files to {}", files.len(), dir.display()));
        context.ui.note(&format!("{}: README.md there says how to go on", self.name));
        Ok(Exit::Success)
    }

    /// A template's text with the names of this plugin.
    fn fill(&self, text: &str, sdk: Option<&str>) -> String {
        let dependency = match sdk {
            Some(path) => format!("{{ path = {path:?} }}"),
            None => format!(
                "{{ git = {:?}, tag = \"v{}\" }}",
                env!("CARGO_PKG_REPOSITORY"),
                env!("CARGO_PKG_VERSION")
            ),
        };
        text.replace("{ path = \"../../sdk\" }", &dependency)
            .replace(TEMPLATE, &self.name)
            .replace(&TEMPLATE.replace('-', "_"), &self.name.replace('-', "_"))
            .replace(&camel_case(TEMPLATE), &camel_case(&self.name))
    }
}

/// The path of the SDK, absolute because the plugin may be anywhere.
fn absolute_sdk(cwd: &Path, sdk: &Path) -> Result<String, CommandError> {
    let is_none = || {
        CommandError::usage(format!("{} is no SDK: it has no Cargo.toml", sdk.display()))
            .hint("it is `policies/sdk` in the repository of this program")
    };
    let path = cwd.join(sdk).canonicalize().map_err(|_| is_none())?;
    if !path.join("Cargo.toml").is_file() {
        return Err(is_none());
    }
    Ok(path.to_string_lossy().into_owned())
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
