//! `.headscale-policy.lock`: what each plugin in a registry was when someone agreed to it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::artifact::{Artifact, MAX_DOCUMENT_BYTES};
use crate::digest::Digest;
use crate::reference::OciReference;

/// The file's name. It stands beside the configuration that names the plugins.
pub const LOCK_FILE: &str = ".headscale-policy.lock";

const VERSION: u32 = 1;
const HEADER: &str = "# Written by `kubectl headscale plugin pull`. Commit it, do not edit it.\n";

/// Whether a reference may be used that the lock file does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It may if it has a digest itself.
    Unlocked,
    /// It may not: `--locked`.
    Locked,
}

/// What a plugin was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its [name](OciReference::name).
    #[serde(rename = "ref")]
    pub reference: OciReference,
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Digest of the component.
    pub component: Digest,
    /// Size of the component in bytes.
    pub size: u64,
    /// The imports it was granted, sorted: those that are capabilities.
    pub imports: Vec<String>,
}

impl Entry {
    /// The entry of `artifact` under the name of `reference`.
    #[must_use]
    pub fn of(reference: &OciReference, artifact: &Artifact) -> Self {
        let inspection = artifact.inspection();
        Self {
            reference: reference.name(),
            manifest: artifact.digest().clone(),
            component: inspection.digest.clone(),
            size: inspection.size,
            imports: inspection.capabilities().map(str::to_owned).collect(),
        }
    }

    /// Holds `artifact` against the entry.
    ///
    /// # Errors
    ///
    /// [`LockError::Mismatch`] with the first thing that is not as agreed.
    pub fn check(&self, artifact: &Artifact) -> Result<(), LockError> {
        let found = Self::of(&self.reference, artifact);
        let list = |imports: &[String]| format!("[{}]", imports.join(", "));
        let fields = [
            ("manifest", self.manifest.to_string(), found.manifest.to_string()),
            ("component", self.component.to_string(), found.component.to_string()),
            ("size", self.size.to_string(), found.size.to_string()),
            ("imports", list(&self.imports), list(&found.imports)),
        ];
        for (field, locked, found) in fields {
            if locked != found {
                let reference = Box::new(self.reference.clone());
                return Err(LockError::Mismatch { reference, field, locked, found });
            }
        }
        Ok(())
    }
}

/// Which manifest a reference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin<'l> {
    /// The one that was agreed to.
    Locked(&'l Entry),
    /// The one that the reference itself names.
    Named(&'l Digest),
}

impl Pin<'_> {
    /// Digest of the manifest.
    #[must_use]
    pub fn manifest(&self) -> &Digest {
        match self {
            Self::Locked(entry) => &entry.manifest,
            Self::Named(digest) => digest,
        }
    }
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is as it was.
    Same,
    /// There was none.
    Added,
    /// There was this one.
    Replaced(Box<Entry>),
}

/// Why the lock file does not vouch for a plugin, or is none.
#[derive(Debug, Error)]
pub enum LockError {
    /// There is no entry for a reference that needs one.
    #[error("{reference} is not in {LOCK_FILE}")]
    Missing {
        /// The reference.
        reference: Box<OciReference>,
    },
    /// The reference and its entry name different manifests.
    #[error("{reference} is locked to {locked} in {LOCK_FILE}")]
    Conflict {
        /// The reference, with the digest that it asks for.
        reference: Box<OciReference>,
        /// The digest in the lock file.
        locked: Digest,
    },
    /// A plugin is not what was agreed to.
    #[error("{reference}: {field} is {found}, and {LOCK_FILE} says {locked}")]
    Mismatch {
        /// The name of the plugin.
        reference: Box<OciReference>,
        /// The key in the lock file.
        field: &'static str,
        /// What the lock file says.
        locked: String,
        /// What the plugin has.
        found: String,
    },
    /// What is to be locked is not what the reference names.
    #[error("{reference} is not the plugin with the manifest {found}")]
    OtherManifest {
        /// The reference, with its digest.
        reference: Box<OciReference>,
        /// The digest of the plugin.
        found: Digest,
    },
    /// The file is not a lock file.
    #[error("{LOCK_FILE}{}: {message}", .place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default())]
    Invalid {
        /// Line and column, counted from 1; `None` where it is about the whole file.
        place: Option<(u64, u64)>,
        /// What is wrong.
        message: String,
    },
    /// The file cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl LockError {
    /// How to go on.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "`kubectl headscale plugin pull` writes it; review the file and commit it"
            }
            Self::Conflict { .. } => {
                "`kubectl headscale plugin pull` locks the other digest, if the change is meant"
            }
            Self::Mismatch { .. } => {
                "do not use the plugin before you know why; `kubectl headscale plugin pull` locks \
                 what the registry has now"
            }
            Self::OtherManifest { .. } => "remove the digest from the reference, or correct it",
            Self::Invalid { .. } => {
                "take the file from version control, or remove it and let `kubectl headscale \
                 plugin pull` write it"
            }
            Self::Io { .. } => "the lock file stands beside .headscale-policy.yaml",
        }
    }
}

/// The lock file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// Sorted by reference, each of which is there once.
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    plugins: Vec<serde_saphyr::Spanned<Entry>>,
}

#[derive(Deserialize)]
struct StoredVersion {
    version: u32,
}

#[derive(Serialize)]
struct ToStore<'l> {
    version: u32,
    plugins: &'l [Entry],
}

impl Lock {
    /// The entries, sorted by reference.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Reads the file at `path`; empty where there is none.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`] and [`LockError::Invalid`].
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            opened => opened.map_err(failed)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            return Err(whole(format!("it is larger than {MAX_DOCUMENT_BYTES} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| whole("it is not UTF-8"))?;
        Self::parse(&text)
    }

    /// Reads the text of a lock file.
    ///
    /// # Errors
    ///
    /// [`LockError::Invalid`] with the place.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        if let Some(line) = text.lines().position(|line| line.starts_with("<<<<<<<")) {
            let place = Some((line as u64 + 1, 1));
            return Err(LockError::Invalid {
                place,
                message: "a merge is not resolved".to_owned(),
            });
        }
        // A file of a later version may have keys that are unknown here.
        if let Ok(StoredVersion { version }) = serde_saphyr::from_str(text)
            && version != VERSION
        {
            return Err(whole(format!("version {version} is not known, expected {VERSION}")));
        }
        let options = serde_saphyr::options! { with_snippet: false };
        let stored: Stored =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                let place = error.location().map(|at| (at.line(), at.column()));
                let text = error.render_with_options(serde_saphyr::render_options! {
                    formatter: &serde_saphyr::UserMessageFormatter,
                    snippets: serde_saphyr::SnippetMode::Off,
                });
                let end = text.rfind(" at line ").unwrap_or(text.len());
                // In the words of people who write YAML.
                let message = text
                    .get(..end)
                    .unwrap_or_default()
                    .replace("unknown field", "unknown key")
                    .replace("missing field", "missing key")
                    .replace("expected sequence start", "expected a list")
                    .replace("expected mapping start", "expected keys and values")
                    .replace("invalid u64", "expected a whole number, 0 or more");
                LockError::Invalid { place, message }
            })?;
        debug_assert_eq!(stored.version, VERSION);
        let mut lock = Self::default();
        for entry in stored.plugins {
            let place = Some((entry.referenced.line(), entry.referenced.column()));
            let invalid = |message| LockError::Invalid { place, message };
            let entry = entry.value;
            let reference = &entry.reference;
            match reference.digest() {
                Some(_) if reference.tag().is_some() => {
                    let message = format!("{reference}: the digest belongs into `manifest`");
                    return Err(invalid(message));
                }
                Some(digest) if *digest != entry.manifest => {
                    return Err(invalid(format!("{reference}: `manifest` is another digest")));
                }
                _ => {}
            }
            match lock.find(reference) {
                Ok(_) => return Err(invalid(format!("{reference} is there twice"))),
                Err(at) => lock.entries.insert(at, entry),
            }
        }
        Ok(lock)
    }

    /// The text of the lock file; the same entries give the same text.
    ///
    /// # Errors
    ///
    /// [`LockError::Invalid`] when an entry cannot be written, which no entry of a component is.
    pub fn render(&self) -> Result<String, LockError> {
        let stored = ToStore { version: VERSION, plugins: &self.entries };
        // One line for each value, so that a review shows what changed.
        let options = serde_saphyr::ser_options! {
            compact_list_indent: false,
            prefer_block_scalars: false,
        };
        let yaml = serde_saphyr::to_string_with_options(&stored, options)
            .map_err(|error| whole(error.to_string()))?;
        Ok(format!("{HEADER}{yaml}"))
    }

    /// Writes the file at `path` if it says something else: beside it, then renamed. Returns
    /// whether it did.
    ///
    /// # Errors
    ///
    /// [`LockError::Io`]; the file then is what it was.
    pub fn write(&self, path: &Path) -> Result<bool, LockError> {
        let text = self.render()?;
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        // A link stays, and what it leads to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::read(&target).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(false);
        }
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".headscale-policy-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut beside =
            builder.tempfile_in(directory.unwrap_or_else(|| Path::new("."))).map_err(failed)?;
        beside.write_all(text.as_bytes()).map_err(failed)?;
        beside.as_file().sync_all().map_err(failed)?;
        beside.persist(&target).map_err(|error| failed(error.error))?;
        Ok(true)
    }

    /// The manifest that `reference` means. What comes of it is still to be held against the
    /// [entry](Entry::check).
    ///
    /// # Errors
    ///
    /// [`LockError::Missing`] where there is no entry, and `mode` or a reference without digest
    /// asks for one; [`LockError::Conflict`] where the reference has another digest than its entry.
    pub fn pin<'l>(
        &'l self,
        reference: &'l OciReference,
        mode: Mode,
    ) -> Result<Pin<'l>, LockError> {
        let missing = || LockError::Missing { reference: Box::new(reference.clone()) };
        let Some(entry) = self.entry(reference) else {
            return match (mode, reference.digest()) {
                (Mode::Unlocked, Some(digest)) => Ok(Pin::Named(digest)),
                _ => Err(missing()),
            };
        };
        match reference.digest() {
            Some(digest) if *digest != entry.manifest => Err(LockError::Conflict {
                reference: Box::new(reference.clone()),
                locked: entry.manifest.clone(),
            }),
            _ => Ok(Pin::Locked(entry)),
        }
    }

    /// The entry for the name of `reference`, whatever its digest.
    #[must_use]
    pub fn entry(&self, reference: &OciReference) -> Option<&Entry> {
        self.find(&reference.name()).ok().and_then(|at| self.entries.get(at))
    }

    /// Locks `reference` to `artifact`.
    ///
    /// # Errors
    ///
    /// [`LockError::OtherManifest`] when the reference has another digest than the artifact.
    pub fn insert(
        &mut self,
        reference: &OciReference,
        artifact: &Artifact,
    ) -> Result<Change, LockError> {
        if let Some(asked) = reference.digest().filter(|digest| *digest != artifact.digest()) {
            return Err(LockError::OtherManifest {
                reference: Box::new(reference.name().pinned(asked.clone())),
                found: artifact.digest().clone(),
            });
        }
        let entry = Entry::of(reference, artifact);
        match self.find(&entry.reference) {
            Err(at) => {
                self.entries.insert(at, entry);
                Ok(Change::Added)
            }
            Ok(at) => match self.entries.get_mut(at) {
                Some(old) if *old != entry => {
                    Ok(Change::Replaced(Box::new(std::mem::replace(old, entry))))
                }
                _ => Ok(Change::Same),
            },
        }
    }

    /// Drops all entries but those of `used`. Returns what was dropped.
    pub fn retain(&mut self, used: &[OciReference]) -> Vec<Entry> {
        let names: Vec<OciReference> = used.iter().map(OciReference::name).collect();
        self.entries.extract_if(.., |entry| !names.contains(&entry.reference)).collect()
    }

    fn find(&self, name: &OciReference) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.reference.cmp(name))
    }
}

fn whole(message: impl Into<String>) -> LockError {
    LockError::Invalid { place: None, message: message.into() }
}
