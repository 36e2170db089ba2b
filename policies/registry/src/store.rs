//! The local store: every plugin that was pulled, by the digest of its content.
//!
//! `manifests/HEX` holds manifests, `blobs/HEX` configurations and components. Whatever is read is
//! held against its digest first, so that nobody has to trust the disk.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use thiserror::Error;

use crate::artifact::{Artifact, ArtifactError, MAX_COMPONENT_BYTES, Manifest, Part};
use crate::digest::Digest;

const MANIFESTS: &str = "manifests";
const BLOBS: &str = "blobs";
const TEMPORARY: &str = ".new-";
/// What nothing refers to is left alone for so long: another process may be about to write what
/// refers to it.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// A directory of plugins. Several processes may use it at once.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// A plugin in the store, as its manifest tells it; the component was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Digest of the configuration.
    pub config: Digest,
    /// Digest of the component.
    pub component: Digest,
    /// Size of the component in bytes.
    pub size: u64,
    /// What the manifest calls it. The text is the registry's: not trusted.
    pub title: Option<String>,
    /// Its version, not trusted either.
    pub version: Option<String>,
    /// When it was stored.
    pub stored: SystemTime,
}

/// What [`Store::prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Number of plugins, and of manifests that could not be read.
    pub plugins: usize,
    /// Size of all files in bytes.
    pub bytes: u64,
}

/// Why the store does not give or take a plugin.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// What is stored is not what was stored.
    #[error("the stored plugin {manifest} is damaged: {source}")]
    Damaged {
        /// Digest of its manifest.
        manifest: Digest,
        /// What is wrong.
        source: ArtifactError,
    },
}

impl StoreError {
    /// How to go on.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Io { .. } => "the store must be a directory that you own and may write",
            Self::Damaged { .. } => "`kubectl headscale plugin pull` pulls it again",
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}

impl Store {
    /// The store in the directory `root`, which is made, and made private, where it is not.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or is not ours.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        if let Some(parent) = root.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        for directory in [root.clone(), root.join(MANIFESTS), root.join(BLOBS)] {
            private_directory(&directory).map_err(at(&directory))?;
        }
        Ok(Self { root })
    }

    /// The plugin with this manifest, all of it verified; `None` where it is not stored.
    ///
    /// # Errors
    ///
    /// When it is damaged, or cannot be read.
    pub fn get(&self, manifest: &Digest) -> Result<Option<Artifact>, StoreError> {
        let damaged = |source| StoreError::Damaged { manifest: manifest.clone(), source };
        let Some(text) = read(&self.path(MANIFESTS, manifest))? else { return Ok(None) };
        let parsed = check_manifest(manifest, &text).map_err(damaged)?;
        let component = parsed.component().map_err(damaged)?;
        let (Some(config), Some(component)) = (
            read(&self.path(BLOBS, &parsed.config.digest))?,
            read(&self.path(BLOBS, &component.digest))?,
        ) else {
            return Ok(None);
        };
        Artifact::unpack(Some(manifest), text, config, component).map(Some).map_err(damaged)
    }

    /// Stores a plugin; what is there already stays, if it is not damaged.
    ///
    /// # Errors
    ///
    /// When a file cannot be written; the store then holds no more than before.
    pub fn put(&self, artifact: &Artifact) -> Result<(), StoreError> {
        for (part, digest, content) in artifact.parts() {
            let path = self.path(if part == Part::Manifest { MANIFESTS } else { BLOBS }, digest);
            if read(&path)?.is_none_or(|stored| Digest::of(&stored) != *digest) {
                write(&path, content).map_err(at(&path))?;
            }
        }
        Ok(())
    }

    /// All plugins, by digest. Each can be damaged by itself.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Result<Stored, StoreError>>, StoreError> {
        let digests = self.digests(MANIFESTS)?;
        Ok(digests.iter().filter_map(|digest| self.stored(digest).transpose()).collect())
    }

    /// Removes the plugins that `keep` refuses, those that are damaged, and what is left of
    /// others. `now` is the time by which old leftovers are told from what another process is
    /// about to use.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed; the others are not looked at then.
    pub fn prune(
        &self,
        now: SystemTime,
        mut keep: impl FnMut(&Stored) -> bool,
    ) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let (mut used, mut dropped) = (BTreeSet::new(), BTreeSet::new());
        for digest in self.digests(MANIFESTS)? {
            let path = self.path(MANIFESTS, &digest);
            let blobs = |stored: &Stored| [stored.component.clone(), stored.config.clone()];
            match self.stored(&digest) {
                Ok(None) => continue,
                Ok(Some(stored)) if keep(&stored) => {
                    used.extend(blobs(&stored));
                    continue;
                }
                Ok(Some(stored)) => dropped.extend(blobs(&stored)),
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
            pruned.bytes += remove(&path)?;
            pruned.plugins += 1;
        }
        for directory in [MANIFESTS, BLOBS] {
            for path in self.files(directory)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let gone = match digest_of(name) {
                    Some(_) if directory == MANIFESTS => false,
                    Some(digest) if used.contains(&digest) => false,
                    Some(digest) => dropped.contains(&digest) || is_old(&path, now),
                    None => name.starts_with(TEMPORARY) && is_old(&path, now),
                };
                if gone {
                    pruned.bytes += remove(&path)?;
                }
            }
        }
        Ok(pruned)
    }

    fn path(&self, directory: &str, digest: &Digest) -> PathBuf {
        self.root.join(directory).join(digest.hex())
    }

    fn files(&self, directory: &str) -> Result<Vec<PathBuf>, StoreError> {
        let directory = self.root.join(directory);
        let entries = fs::read_dir(&directory).map_err(at(&directory))?;
        let paths: io::Result<Vec<PathBuf>> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect();
        paths.map_err(at(&directory))
    }

    fn digests(&self, directory: &str) -> Result<BTreeSet<Digest>, StoreError> {
        let files = self.files(directory)?;
        Ok(files.iter().filter_map(|path| digest_of(path.file_name()?.to_str()?)).collect())
    }

    fn stored(&self, digest: &Digest) -> Result<Option<Stored>, StoreError> {
        let path = self.path(MANIFESTS, digest);
        let damaged = |source| StoreError::Damaged { manifest: digest.clone(), source };
        let Some(text) = read(&path)? else { return Ok(None) };
        let manifest = check_manifest(digest, &text).map_err(damaged)?;
        let component = manifest.component().map_err(damaged)?;
        Ok(Some(Stored {
            manifest: digest.clone(),
            config: manifest.config.digest.clone(),
            component: component.digest.clone(),
            size: component.size,
            title: manifest.annotation("title").map(str::to_owned),
            version: manifest.annotation("version").map(str::to_owned),
            stored: fs::metadata(&path).and_then(|file| file.modified()).map_err(at(&path))?,
        }))
    }
}

fn check_manifest(digest: &Digest, text: &[u8]) -> Result<Manifest, ArtifactError> {
    let actual = Digest::of(text);
    if actual != *digest {
        let expected = digest.clone();
        return Err(ArtifactError::Integrity { part: Part::Manifest, expected, actual });
    }
    Manifest::read(text)
}

fn digest_of(name: &str) -> Option<Digest> {
    format!("sha256:{name}").parse().ok()
}

/// Whether a file is there since before the grace; one that is gone is not.
fn is_old(path: &Path, now: SystemTime) -> bool {
    let modified = fs::metadata(path).and_then(|file| file.modified());
    modified.is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age > GRACE))
}

/// What a file holds; `None` where there is none. A larger one than a component is cut short, so
/// that its digest is wrong.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(at(path))?,
    };
    let mut content = Vec::new();
    file.take(MAX_COMPONENT_BYTES + 1).read_to_end(&mut content).map_err(at(path))?;
    Ok(Some(content))
}

/// Writes a file for its owner alone: beside it, then renamed. It is not flushed to the disk,
/// because what a power cut damages is found when it is read.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory)?;
    beside.write_all(content)?;
    beside.persist(path)?;
    Ok(())
}

/// Removes a file; returns its size. One that is gone already is no error.
fn remove(path: &Path) -> Result<u64, StoreError> {
    let size = fs::metadata(path).map_or(0, |file| file.len());
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(size),
    }
}

#[cfg(unix)]
fn private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let made = fs::DirBuilder::new().mode(0o700).create(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::metadata(path)?;
            if !metadata.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if metadata.permissions().mode() & 0o077 != 0 {
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            }
            Ok(())
        }
        made => made,
    }
}

#[cfg(not(unix))]
fn private_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}
