//! Compiled components on disk, so that each is compiled once.
//!
//! A file holds a seal and the compiled code: the seal is a digest of the code, of the component
//! that it was compiled from, of the settings of the engine, and of a key that only this directory
//! has. The runtime would run changed code without noticing, so nothing is loaded whose seal does
//! not hold; it is compiled again. Directory and files belong to the user alone.

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compiled::{Fresh, Proved};

/// Bytes of all files before the ones that were not used for the longest time go.
pub const CACHE_BYTES: u64 = 512 << 20;

/// Extension of the files.
const EXTENSION: &str = "aot";

/// Name of the key's file.
const KEY: &str = "key";

/// Files that were never finished are older than this.
const ABANDONED: Duration = Duration::from_secs(3_600);

/// What was removed from a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many components.
    pub components: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How many bytes are left.
    pub left: u64,
}

/// A directory of compiled components.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    key: [u8; 32],
}

/// Digests of what a compiled component was made of.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    component: [u8; 32],
    engine: [u8; 32],
}

impl Origin {
    pub(crate) fn of(engine: &Engine, component: &[u8]) -> Self {
        let mut settings = HashBytes(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut settings);
        Self { component: Sha256::digest(component).into(), engine: settings.0.finalize().into() }
    }

    fn file_name(&self) -> String {
        let engine = self.engine.get(..8).unwrap_or_default();
        format!("{}-{}.{EXTENSION}", hex(&self.component), hex(engine))
    }
}

/// Hands what is hashed to a digest that is the same tomorrow.
struct HashBytes(Sha256);

impl Hasher for HashBytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Cache {
    /// Opens the cache in `dir`, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be used, or belongs not to this user alone.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        make_private(dir)?;
        let key = read_key(&dir.join(KEY)).or_else(|_| make_key(dir))?;
        Ok(Self { dir: dir.to_owned(), key })
    }

    /// The compiled component, if it is here and unchanged.
    pub(crate) fn load(&self, engine: &Engine, origin: &Origin) -> Option<Component> {
        let path = self.dir.join(origin.file_name());
        let mut file = File::open(&path).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let (seal, code) = bytes.split_at_checked(32)?;
        let Some(component) = Proved::sealed(code, seal, &self.seal(origin, code))
            .and_then(|proved| proved.load(engine))
        else {
            drop(file);
            fs::remove_file(&path).ok();
            return None;
        };
        // Used just now; that it cannot be noted costs no more than compiling it again some day.
        File::options()
            .append(true)
            .open(&path)
            .and_then(|f| f.set_modified(SystemTime::now()))
            .ok();
        Some(component)
    }

    /// Keeps compiled code, and removes others where there are too many bytes.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then nothing is.
    pub(crate) fn store(&self, origin: &Origin, fresh: &Fresh) -> io::Result<()> {
        let code = fresh.bytes();
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(&self.seal(origin, code))?;
        file.write_all(code)?;
        file.persist(self.dir.join(origin.file_name())).map_err(|error| error.error)?;
        prune(&self.dir, CACHE_BYTES)?;
        Ok(())
    }

    /// What proves that this user's host made `code` of `origin`.
    fn seal(&self, origin: &Origin, code: &[u8]) -> [u8; 32] {
        // All parts have one length, so no two inputs look alike.
        let mut seal = Sha256::new();
        for part in [self.key, origin.component, origin.engine, Sha256::digest(code).into()] {
            seal.update(part);
        }
        Sha256::digest(seal.finalize()).into()
    }
}

/// Removes compiled components from the cache in `dir`, those first that were not used for the
/// longest time, until no more than `most` bytes are left; 0 removes all.
///
/// # Errors
///
/// When the directory cannot be read, or a file not be removed. No directory is an empty cache.
pub fn prune(dir: &Path, most: u64) -> io::Result<Pruned> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Pruned::default()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // Another process may have removed it.
        let Ok(metadata) = entry.metadata() else { continue };
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push((modified, metadata.len(), path));
        } else if entry.file_name().to_string_lossy().starts_with(".tmp")
            && modified.elapsed().is_ok_and(|age| age > ABANDONED)
        {
            remove(&path)?;
        }
    }
    files.sort_unstable();
    let mut pruned =
        Pruned { left: files.iter().map(|(_, size, _)| size).sum(), ..Pruned::default() };
    for (_, size, path) in files {
        if pruned.left <= most {
            break;
        }
        remove(&path)?;
        pruned.components += 1;
        pruned.bytes += size;
        pruned.left -= size;
    }
    Ok(pruned)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read_key(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut key = [0; 32];
    file.read_exact(&mut key)?;
    Ok(key)
}

/// Makes the key, or takes the one that another process made meanwhile.
fn make_key(dir: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&key)?;
    let path = dir.join(KEY);
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(key),
        Err(_) => match read_key(&path) {
            Ok(key) => Ok(key),
            // What stands there is none: start again, with all that it sealed lost.
            Err(_) => {
                fs::write(&path, key)?;
                Ok(key)
            }
        },
    }
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let metadata = fs::metadata(dir)?;
    let refused = |why: &str| {
        let message = format!("{} {why}: it must be yours alone (mode 700)", dir.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    };
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return refused("belongs to somebody else");
    }
    if metadata.mode() & 0o077 != 0 {
        return refused("is open to others");
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    // Below the user's own directory others have no access.
    fs::create_dir_all(dir)
}
