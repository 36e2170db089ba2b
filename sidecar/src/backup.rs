//! `headscale-sidecar backup`: copies Headscale's database and key before the server of another
//! version migrates them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// What an SQLite database starts with.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// What lies beside a database that was not closed, and belongs to it.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Which upgrade a copy was made for.
const LABEL: &str = "label";
/// What must stay free beside the copy, in bytes: migrations need room too.
const MARGIN: u64 = 16 << 20;

/// Copy Headscale's SQLite database and noise key, before the server starts.
///
/// One copy is kept. With the version that it was made for, or an older one, it is not made again: so
/// neither a pod that restarts during an upgrade nor one that goes back to the version before
/// overwrites it with a migrated database.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # In an init container, before the server of 0.30 migrates the database of 0.29
  headscale-sidecar backup --label 0.30 --to /var/lib/headscale/backup

  # To go back: stop the server, remove what lies beside the migrated database, copy the files over
  rm -f /var/lib/headscale/db.sqlite-wal /var/lib/headscale/db.sqlite-shm
  cp /var/lib/headscale/backup/* /var/lib/headscale/

Exit codes:
  0    there is a copy for this version or a later one, or no database yet
  1    failed; the copy that there was is still there
  2    the command line is wrong
  143  ended by a signal; the copy that there was is still there")]
pub struct Args {
    /// Headscale's database
    #[arg(long, value_name = "FILE", default_value = "/var/lib/headscale/db.sqlite")]
    pub database: PathBuf,
    /// Headscale's noise key
    #[arg(long, value_name = "FILE", default_value = "/var/lib/headscale/noise_private.key")]
    pub noise_key: PathBuf,
    /// Folder of the copy, on the same file system as its parent
    #[arg(long, value_name = "DIR", default_value = "/var/lib/headscale/backup")]
    pub to: PathBuf,
    /// What the copy is made for: the version that comes
    #[arg(long, value_name = "VERSION", value_parser = label_parser())]
    pub label: String,
}

/// Why there is no copy.
#[derive(Debug, Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is something else.
    #[error(
        "{}: not an SQLite database; name it with --database. PostgreSQL is backed up by pg_dump",
        .0.display()
    )]
    NotADatabase(PathBuf),
    /// The copy does not fit.
    #[error(
        "{}: {free} bytes are free, the copy needs {needed}; make the volume larger. Nothing was \
         changed",
        .path.display()
    )]
    NoRoom {
        /// Where.
        path: PathBuf,
        /// What is free.
        free: u64,
        /// What it takes.
        needed: u64,
    },
    /// A signal came.
    #[error("ended by a signal; the copy that there was is still there")]
    Ended,
    /// The system gives no thread, or no signals.
    #[error("the system is in the way: {0}")]
    System(String),
}

impl Error {
    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Ended) { 143 } else { 1 }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::Io { path, error }
}

/// Leaves white space at the ends out, which YAML adds easily.
fn label_parser() -> impl TypedValueParser<Value = String> {
    NonEmptyStringValueParser::new().map(|text| text.trim().to_owned())
}

/// Makes the copy, until it is done or SIGTERM or SIGINT comes: a process that is the first of its
/// container is not ended by signals otherwise.
///
/// # Errors
///
/// See [`enum@Error`]; a copy that there was stays whole.
pub async fn run(args: Args) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(|error| Error::System(error.to_string()));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        done = tokio::task::spawn_blocking(move || make(&args)) => {
            done.unwrap_or_else(|error| Err(Error::System(error.to_string())))
        }
        _ = term.recv() => Err(Error::Ended),
        _ = int.recv() => Err(Error::Ended),
    }
}

/// Makes the copy, unless there is one that must stay or nothing to copy.
///
/// # Errors
///
/// See [`enum@Error`]; a copy that there was stays whole.
fn make(args: &Args) -> Result<(), Error> {
    let (next, former) = (sibling(&args.to, "next"), sibling(&args.to, "former"));
    // A former run was killed between its two renames: then the new copy is whole.
    if !exists(&args.to)? && exists(&next.join(LABEL))? {
        fs::rename(&next, &args.to).map_err(at(&args.to))?;
    }
    if let Some(kept) = label(&args.to)?
        && (kept == args.label || is_later(&kept, &args.label))
    {
        tracing::info!(label = %args.label, %kept, "the copy that there is stays");
        return Ok(());
    }
    if !exists(&args.database)? {
        tracing::info!("there is no database yet, so nothing to copy");
        return Ok(());
    }
    check(&args.database)?;
    let files = files(args)?;
    for stale in [&next, &former] {
        if exists(stale)? {
            fs::remove_dir_all(stale).map_err(at(stale))?;
        }
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&next).map_err(at(&next))?;
    let done = room(&next, &files).and_then(|()| copy(&files, &next, &args.label));
    if let Err(error) = done {
        // The failure is what counts; what is left of it goes with the next run.
        fs::remove_dir_all(&next).unwrap_or_default();
        return Err(error);
    }
    if exists(&args.to)? {
        fs::rename(&args.to, &former).map_err(at(&args.to))?;
    }
    fs::rename(&next, &args.to).map_err(at(&args.to))?;
    let parent = args.to.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))?;
    if exists(&former)? {
        fs::remove_dir_all(&former).map_err(at(&former))?;
    }
    let bytes: u64 = files.iter().map(|(_, length)| length).sum();
    tracing::info!(label = %args.label, files = files.len(), bytes, "the copy is made");
    Ok(())
}

/// Whether the first is a later version than the second; where either is none, it is not.
fn is_later(first: &str, second: &str) -> bool {
    let version = |text: &str| -> Option<Vec<u64>> {
        text.trim_start_matches('v').split('.').map(|part| part.parse().ok()).collect()
    };
    version(first).zip(version(second)).is_some_and(|(first, second)| first > second)
}

fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(at(path))
}

/// A folder beside `path`, of the same file system.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

fn label(copy: &Path) -> Result<Option<String>, Error> {
    let file = copy.join(LABEL);
    match fs::read_to_string(&file) {
        Ok(label) => Ok(Some(label.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(&file)(error)),
    }
}

/// Refuses what is no database; an empty file is one that was never written.
fn check(database: &Path) -> Result<(), Error> {
    let mut start = Vec::new();
    let file = File::open(database).map_err(at(database))?;
    file.take(16).read_to_end(&mut start).map_err(at(database))?;
    if start.is_empty() || start == MAGIC {
        Ok(())
    } else {
        Err(Error::NotADatabase(database.to_owned()))
    }
}

/// What is copied, each with its length in bytes.
fn files(args: &Args) -> Result<Vec<(PathBuf, u64)>, Error> {
    let companions = COMPANIONS.iter().map(|suffix| {
        let mut name = args.database.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    });
    let mut files = Vec::new();
    for path in
        std::iter::once(args.database.clone()).chain(companions).chain([args.noise_key.clone()])
    {
        match fs::metadata(&path) {
            Ok(metadata) => files.push((path, metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path == args.noise_key {
                    tracing::warn!(file = %path.display(), "no noise key there, so none is copied");
                }
            }
            Err(error) => return Err(at(&path)(error)),
        }
    }
    Ok(files)
}

fn room(folder: &Path, files: &[(PathBuf, u64)]) -> Result<(), Error> {
    let needed = files.iter().map(|(_, length)| length).sum::<u64>().saturating_add(MARGIN);
    let system = rustix::fs::statvfs(folder).map_err(|error| at(folder)(error.into()))?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free < needed {
        let path = folder.parent().unwrap_or(folder).to_owned();
        return Err(Error::NoRoom { path, free, needed });
    }
    Ok(())
}

/// Copies the files and, when all of them are on the disk, writes the label.
fn copy(files: &[(PathBuf, u64)], folder: &Path, label: &str) -> Result<(), Error> {
    let make = |name: &Path| {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.map_err(at(&path)).map(|file| (file, path))
    };
    for (source, _) in files {
        let name = Path::new(source.file_name().unwrap_or_default());
        let (mut target, path) = make(name)?;
        let mut file = File::open(source).map_err(at(source))?;
        io::copy(&mut file, &mut target).map_err(at(&path))?;
        target.sync_all().map_err(at(&path))?;
    }
    sync(folder)?;
    let (mut target, path) = make(Path::new(LABEL))?;
    io::Write::write_all(&mut target, format!("{label}\n").as_bytes()).map_err(at(&path))?;
    target.sync_all().map_err(at(&path))?;
    sync(folder)
}

/// Has the names in a folder survive a loss of power.
fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}
