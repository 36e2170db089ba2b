//! Files as they were at a revision, asked of the user's `git`.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::error::{CommandError, io_words};

/// The file at `path`, relative to `cwd`, as it was at `revision`.
///
/// # Errors
///
/// Where there is no `git`, or what it says.
pub(crate) fn read(cwd: &Path, path: &Path, revision: &str) -> Result<Vec<u8>, CommandError> {
    let shown = format!("{} at {revision}", path.display());
    if revision.starts_with('-') {
        return Err(CommandError::usage(format!("{revision:?} is no revision"))
            .hint("name a branch, a tag or a commit, as in `--git main`"));
    }
    let file = cwd.join(path);
    let (Some(dir), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(CommandError::usage(format!("{} is no file", path.display())));
    };
    // Unlike `git show` this runs no filter that a repository may configure.
    let output = Command::new("git")
        .current_dir(dir)
        .args(["cat-file", "blob"])
        .arg(format!("{revision}:./{}", name.to_string_lossy()))
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("git does not say why");
            let said = said.strip_prefix("fatal: ").unwrap_or(said);
            Err(CommandError::usage(format!("cannot read {shown}: {said}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(CommandError::usage(format!("cannot read {shown}: there is no git to ask"))
                .hint("install git, or name the two files: `policy diff OLD NEW`"))
        }
        Err(error) => {
            Err(CommandError::usage(format!("cannot read {shown}: {}", io_words(&error))))
        }
    }
}
