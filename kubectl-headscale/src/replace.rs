//! Writing files so that a reader sees the old content or the new one, and a failure leaves the
//! old one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Replaces `old`, the content of the regular file at `path`, by `new`: written beside it with its
/// permissions and renamed over it. A symbolic link stays, and what it leads to is replaced.
///
/// # Errors
///
/// When the file is not a regular one, may not be written, holds something else by now, or when
/// its directory cannot be written. The file then is what it was.
pub(crate) fn replace(path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // Renaming asks only for the directory's permission.
    drop(OpenOptions::new().write(true).open(&path)?);
    let mut beside = beside(&path, false)?;
    beside.write_all(new)?;
    keep_owner(beside.as_file(), &metadata);
    beside.as_file().set_permissions(metadata.permissions())?;
    beside.as_file().sync_all()?;
    if fs::read(&path)? != old {
        return Err(io::Error::other("it was changed in the meantime"));
    }
    beside.persist(&path)?;
    Ok(())
}

/// Writes `content` to `path`: a regular file, there or not, by renaming; anything else, such as
/// a pipe, directly.
///
/// # Errors
///
/// When the file or its directory cannot be written. A regular file then is what it was.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => replace(path, &fs::read(path)?, content),
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => OpenOptions::new().write(true).open(path)?.write_all(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut beside = beside(path, true)?;
            beside.write_all(content)?;
            beside.persist(path)?;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// A new file in the directory of `path`, for the owner alone or, if `public`, as a program
/// creates files by default.
fn beside(path: &Path, public: bool) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.map_or_else(|| PathBuf::from("."), Path::to_owned);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".kubectl-headscale-");
    if public {
        as_created(&mut builder);
    }
    builder.tempfile_in(directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other("its directory does not exist"),
        _ => error,
    })
}

/// Leaves the permissions of the file to the `umask`, as for any file that a program creates.
#[cfg(unix)]
fn as_created(builder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(fs::Permissions::from_mode(0o666));
}

/// A file has the permissions of its directory anyway.
#[cfg(not(unix))]
fn as_created(_builder: &mut tempfile::Builder<'_, '_>) {}

/// Gives `file` the owner that `metadata` tells, where this process may: root must not take a
/// file from its user.
#[cfg(unix)]
fn keep_owner(file: &File, metadata: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let Ok(now) = file.metadata() else { return };
    if now.uid() != metadata.uid() || now.gid() != metadata.gid() {
        fchown(file, Some(metadata.uid()), Some(metadata.gid())).ok();
    }
}

#[cfg(not(unix))]
fn keep_owner(_file: &File, _metadata: &fs::Metadata) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_in_the_meantime_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.hujson");
        fs::write(&path, "theirs").unwrap();
        let error = replace(&path, b"read before", b"ours").unwrap_err();
        assert_eq!(error.to_string(), "it was changed in the meantime");
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        replace(&path, b"theirs", b"ours").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"ours");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_report_needs_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let error = write(&directory.path().join("none/report"), b"").unwrap_err();
        assert_eq!(error.to_string(), "its directory does not exist");
        let error = write(directory.path(), b"").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
