//! The second name of the program, under which kubectl asks what may come next.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use crate::cli::EXECUTABLE;
use crate::commands::Context;
use crate::environment::Environment;
use crate::error::{CommandError, io_words};
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  # Beside the program
  kubectl headscale completion install

  # In another directory of PATH
  kubectl headscale completion install --directory ~/.local/bin";

/// The name that kubectl looks for.
const COMPLETER: &str = "kubectl_complete-headscale";
/// What a script has that is put where there can be no link.
const SCRIPT_MARK: &str = "kubectl-headscale completion install";

/// Where the name is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct LinkArgs {
    /// Directory of PATH to put it in [default: that of the program]
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    directory: Option<PathBuf>,
}

impl LinkArgs {
    /// Makes the name, or says that it is there.
    pub(super) fn install(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let program = program(context.environment)?;
        let directory = self.directory(&program, context.environment);
        let link = directory.join(name(&program));
        if fs::symlink_metadata(&link).is_ok() {
            if !is_ours(&link) {
                return Err(CommandError::failed(format!(
                    "{} is there already, and is not of this program",
                    link.display()
                ))
                .hint("take it away, or name another directory of PATH with --directory"));
            }
            // It may point to where the program was before.
            fs::remove_file(&link).map_err(|error| cannot("replace", &link, &error))?;
        }
        let target = match (program.parent() == Some(directory.as_path()), program.file_name()) {
            // Package managers replace the program, and move all of the directory: what points to
            // its neighbour lives on.
            (true, Some(own)) => PathBuf::from(own),
            _ => program.clone(),
        };
        make(&target, &program, &link).map_err(|error| cannot("write", &link, &error))?;
        context.ui.print(&format!("{} installed\n", link.display()))?;
        let path = context.environment.path.as_deref().unwrap_or_default();
        if !std::env::split_paths(path).any(|entry| entry == directory) {
            context.ui.warning(&format!(
                "{} is not on PATH, so kubectl does not find it there",
                directory.display()
            ));
        }
        context.ui.note(
            "kubectl completes it in shells that complete kubectl: see `kubectl completion --help`",
        );
        Ok(Exit::Success)
    }

    /// Takes the name away; that it is not there is no error.
    pub(super) fn uninstall(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let program = program(context.environment)?;
        let link = self.directory(&program, context.environment).join(name(&program));
        if fs::symlink_metadata(&link).is_err() {
            context.ui.note(&format!("{} is not there", link.display()));
            return Ok(Exit::Success);
        }
        if !is_ours(&link) {
            return Err(CommandError::failed(format!(
                "{} is not of this program: it is left as it is",
                link.display()
            )));
        }
        fs::remove_file(&link).map_err(|error| cannot("remove", &link, &error))?;
        context.ui.print(&format!("{} removed\n", link.display()))?;
        Ok(Exit::Success)
    }

    fn directory(&self, program: &Path, environment: &Environment) -> PathBuf {
        match &self.directory {
            Some(directory) => environment.cwd.join(directory),
            None => program.parent().unwrap_or(Path::new(".")).to_path_buf(),
        }
    }
}

/// The program as the one who called it found it: not what links lead to, because a package manager
/// changes where they lead.
fn program(environment: &Environment) -> Result<PathBuf, CommandError> {
    let called = environment.program.clone().unwrap_or_default();
    if called.components().count() > 1 {
        return Ok(environment.cwd.join(called));
    }
    let path = environment.path.as_deref().unwrap_or_default();
    let found = std::env::split_paths(path)
        .map(|directory| environment.cwd.join(directory).join(&called))
        .find(|program| !called.as_os_str().is_empty() && program.is_file());
    found.ok_or_else(|| {
        CommandError::failed(format!("{EXECUTABLE} is not on PATH"))
            .hint("call it by its whole path once")
    })
}

/// What the name is here: with `.exe` where programs end so.
fn name(program: &Path) -> PathBuf {
    let name = PathBuf::from(COMPLETER);
    match program.extension() {
        Some(extension) if extension == "exe" => name.with_extension("exe"),
        _ => name,
    }
}

/// Whether `link` leads to this program, or did, or is a script that was put in its place.
fn is_ours(link: &Path) -> bool {
    match fs::read_link(link) {
        Ok(target) => target.file_stem().is_some_and(|stem| stem == EXECUTABLE),
        // Where there are no links it is a script, or on Windows the program, which knows the mark.
        Err(_) => fs::read(link).is_ok_and(|file| {
            file.windows(SCRIPT_MARK.len()).any(|part| part == SCRIPT_MARK.as_bytes())
        }),
    }
}

/// Makes `link`; a script in its place where the file system has no links.
#[cfg(unix)]
fn make(target: &Path, program: &Path, link: &Path) -> io::Result<()> {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    match symlink(target, link) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            let program = program.display().to_string().replace('\'', r"'\''");
            let script =
                format!("#!/bin/sh\n# {SCRIPT_MARK}\nexec '{program}' __complete \"$@\"\n");
            fs::write(link, script)?;
            fs::set_permissions(link, fs::Permissions::from_mode(0o755))
        }
        made => made,
    }
}

/// Makes `link`: a second name of the same file, because links need rights there.
#[cfg(not(unix))]
fn make(_: &Path, program: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(program, link).or_else(|_| fs::copy(program, link).map(|_| ()))
}

fn cannot(what: &str, link: &Path, error: &io::Error) -> CommandError {
    CommandError::failed(format!("cannot {what} {}: {}", link.display(), io_words(error)))
        .hint("--directory names another directory of PATH")
}
