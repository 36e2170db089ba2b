//! The policies that a command is about: files, directories and standard input.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use headscale_acl::MAX_POLICY_BYTES;
use headscale_acl::hujson::Document;
use thiserror::Error;

/// Where a policy may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, or a directory of them.
    Path(PathBuf),
    /// Standard input, under the name to show.
    Stdin(String),
}

/// A policy that was read.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Its name as the user wrote it, or as their directory leads to it.
    pub(crate) name: String,
    /// Where to write it back; `None` for standard input.
    pub(crate) path: Option<PathBuf>,
    /// What it holds.
    pub(crate) text: Vec<u8>,
}

/// Why there is no policy at a place.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    /// It cannot be read.
    #[error("cannot read {name}: {}", crate::error::io_words(.source))]
    Read {
        /// The place, as shown.
        name: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is larger than what is read.
    #[error("cannot read {name}: it is larger than {} MiB", .most >> 20)]
    TooLarge {
        /// The place, as shown.
        name: String,
        /// How many bytes are read at most.
        most: u64,
    },
    /// A directory without policies.
    #[error("no policy in {0}")]
    NoPolicyIn(String),
}

/// The names of a policy's sections: a `*.json` file in a directory is a policy if it has one.
const SECTIONS: [&str; 11] = [
    "acls",
    "autoApprovers",
    "grants",
    "groups",
    "hosts",
    "nodeAttrs",
    "randomizeClientPort",
    "ssh",
    "sshTests",
    "tagOwners",
    "tests",
];

/// Reads the policies at `places` in that order. Relative paths are relative to `cwd`; the same
/// file is read once. What cannot be read is told by `failed`, and the rest is read.
pub(crate) fn read(
    places: &[Place],
    cwd: &Path,
    stdin: &mut dyn Read,
    mut failed: impl FnMut(InputError),
) -> Vec<Policy> {
    let mut reader = PolicyReader { cwd, seen: HashSet::new(), policies: Vec::new() };
    let mut stdin = Some(stdin);
    for place in places {
        let result = match place {
            Place::Path(path) => reader.path(path, &mut failed),
            Place::Stdin(name) => match stdin.take() {
                Some(stdin) => reader.stdin(name, stdin),
                None => Ok(()),
            },
        };
        if let Err(error) = result {
            failed(error);
        }
    }
    reader.policies
}

/// Reads what is there, up to the size of the largest policy.
///
/// # Errors
///
/// As [`read_file_up_to`].
pub(crate) fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, InputError> {
    read_file_up_to(MAX_POLICY_BYTES, path, name)
}

/// Reads what is there, if that is `most` bytes or less.
///
/// # Errors
///
/// [`InputError::TooLarge`] without reading, where the size is known; and what the operating
/// system says.
pub(crate) fn read_file_up_to(most: u64, path: &Path, name: &str) -> Result<Vec<u8>, InputError> {
    let read = || -> io::Result<Option<Vec<u8>>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.is_file() && metadata.len() > most {
            return Ok(None);
        }
        read_bounded(file, metadata.len() as usize, most)
    };
    named(read(), name, most)
}

fn read_bounded(from: impl Read, expected: usize, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(expected + 1);
    from.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

fn named(read: io::Result<Option<Vec<u8>>>, name: &str, most: u64) -> Result<Vec<u8>, InputError> {
    match read {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(InputError::TooLarge { name: name.to_owned(), most }),
        Err(source) => Err(InputError::Read { name: name.to_owned(), source }),
    }
}

struct PolicyReader<'c> {
    cwd: &'c Path,
    seen: HashSet<PathBuf>,
    policies: Vec<Policy>,
}

impl PolicyReader<'_> {
    fn path(
        &mut self,
        shown: &Path,
        failed: &mut impl FnMut(InputError),
    ) -> Result<(), InputError> {
        let path = self.cwd.join(shown);
        if path.is_dir() {
            self.directory(shown, &path, failed)
        } else {
            self.file(shown, path, |_| true).map(|_| ())
        }
    }

    /// Reads the file at `path` and keeps it if it is new and `wanted`. Returns whether it is kept,
    /// now or already.
    fn file(
        &mut self,
        shown: &Path,
        path: PathBuf,
        wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool, InputError> {
        // A pipe behind `/dev/fd` has no path of its own.
        let identity = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if !self.seen.insert(identity) {
            return Ok(true);
        }
        let name = shown.display().to_string();
        let text = read_file(&path, &name)?;
        if !wanted(&text) {
            return Ok(false);
        }
        self.policies.push(Policy { name, path: Some(path), text });
        Ok(true)
    }

    /// Reads the policies directly in a directory, by name.
    fn directory(
        &mut self,
        shown: &Path,
        path: &Path,
        failed: &mut impl FnMut(InputError),
    ) -> Result<(), InputError> {
        let unreadable = |source| InputError::Read { name: shown.display().to_string(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            names.push(entry.map_err(unreadable)?.file_name());
        }
        names.sort();
        let mut found = false;
        for name in names {
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let hujson = match Path::new(&name).extension().and_then(|e| e.to_str()) {
                _ if hidden => continue,
                Some("hujson") => true,
                Some("json") => false,
                _ => continue,
            };
            let file = path.join(&name);
            if file.is_dir() {
                continue;
            }
            let shown =
                if shown == Path::new(".") { PathBuf::from(name) } else { shown.join(name) };
            found |= self.file(&shown, file, |text| hujson || has_section(text)).unwrap_or_else(
                |error| {
                    failed(error);
                    true
                },
            );
        }
        if found {
            return Ok(());
        }
        Err(InputError::NoPolicyIn(shown.display().to_string()))
    }

    fn stdin(&mut self, name: &str, stdin: &mut dyn Read) -> Result<(), InputError> {
        let text = named(read_bounded(stdin, 0, MAX_POLICY_BYTES), name, MAX_POLICY_BYTES)?;
        self.policies.push(Policy { name: name.to_owned(), path: None, text });
        Ok(())
    }
}

/// Whether a text has a policy's section at its top level; its case is the check's business.
fn has_section(text: &[u8]) -> bool {
    let doc = Document::parse(text);
    let Some(root) = doc.root() else { return false };
    root.members().any(|member| {
        member
            .name
            .as_str()
            .is_some_and(|name| SECTIONS.iter().any(|section| name.eq_ignore_ascii_case(section)))
    })
}
