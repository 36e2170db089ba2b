//! The directory of a plugin's source, and what is built there.

use std::fs;
use std::path::Path;

use headscale_policy_registry::{Reference, ReferenceError};

use crate::error::{CommandError, io_words};

/// In which language a plugin is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// A crate.
    Rust,
    /// A package for npm.
    Javascript,
}

/// The language of the plugin whose source is in `dir`, which users know as `shown`.
///
/// # Errors
///
/// When there is neither a crate nor a package.
pub(super) fn language(dir: &Path, shown: &str) -> Result<Language, CommandError> {
    if dir.join("Cargo.toml").is_file() {
        Ok(Language::Rust)
    } else if dir.join("package.json").is_file() {
        Ok(Language::Javascript)
    } else {
        let message = format!("no plugin in {shown}: neither Cargo.toml nor package.json is there");
        let hint = "`kubectl headscale plugin new rust NAME` starts one";
        Err(CommandError::usage(message).hint(hint))
    }
}

/// The component in `dir`, where there is one.
///
/// # Errors
///
/// When there is none or more than one.
pub(super) fn component(dir: &Path) -> Result<Reference, CommandError> {
    let unreadable = |error: std::io::Error| {
        CommandError::usage(format!("cannot read {}: {}", dir.display(), io_words(&error)))
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        names.extend(name.into_string().ok().filter(|name| name.ends_with(".wasm")));
    }
    names.sort();
    match names.as_slice() {
        [name] => file_reference(name),
        [] => Err(CommandError::usage("there is no component here, no file *.wasm")
            .hint("`kubectl headscale plugin build` makes one")),
        names => Err(CommandError::usage(format!("there are {} components here", names.len()))
            .hint(format!("name one: {}", names.join(", ")))),
    }
}

/// The reference of a file as people name it: `x.wasm` is `./x.wasm`.
///
/// # Errors
///
/// When it cannot be the path of a component.
pub(super) fn file_reference(file: &str) -> Result<Reference, CommandError> {
    let local = if Path::new(file).is_absolute() || file.starts_with('.') {
        file.to_owned()
    } else {
        format!("./{file}")
    };
    local
        .parse()
        .map_err(|error: ReferenceError| CommandError::usage(error.to_string()).hint(error.help))
}
