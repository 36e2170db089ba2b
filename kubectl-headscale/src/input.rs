//! The policies that a command is about: files, directories and standard input.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use headscale_acl::hujson::Document;
use headscale_acl::{Counts, Finding, MAX_POLICY_BYTES, Span};
use thiserror::Error;

use crate::error::{CommandError, io_words};
use crate::manifests::{self, Embedded, Found, Manifest};
use crate::place::PlacedError;
use crate::replace::replace;
use crate::report::FileReport;

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
    /// Where it stands in the file, if that holds Kubernetes objects.
    pub(crate) embedded: Option<Embedded>,
}

impl Policy {
    /// One that stands nowhere but in `text`.
    pub(crate) fn new(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), path: None, text: text.into(), embedded: None }
    }

    fn found(name: &str, path: Option<&Path>, Found { text, embedded }: Found) -> Self {
        Self {
            name: name.to_owned(),
            path: path.map(Path::to_owned),
            text: text.into_bytes(),
            embedded: Some(embedded),
        }
    }

    /// Its name among others: the file, with the object where the file holds several policies.
    pub(crate) fn label(&self) -> String {
        match self.embedded.as_ref().and_then(Embedded::distinct) {
            Some(object) => format!("{} ({object})", self.name),
            None => self.name.clone(),
        }
    }

    /// The text that positions are told in: that of the whole file.
    pub(crate) fn source(&self) -> &[u8] {
        match &self.embedded {
            Some(embedded) => embedded.source().as_bytes(),
            None => &self.text,
        }
    }

    /// Where in [`source`](Self::source) `span` of the policy stands.
    pub(crate) fn place(&self, span: Span) -> Span {
        self.embedded.as_ref().map_or(span, |embedded| embedded.place(span))
    }

    /// The report on the file, from findings in the policy.
    pub(crate) fn report(self, findings: Vec<Finding>, uncounted: Counts) -> FileReport {
        let Self { name, text, embedded, .. } = self;
        let Some(embedded) = embedded else {
            return FileReport { name, text, findings, uncounted };
        };
        let findings = findings.into_iter().map(|finding| embedded.finding(finding)).collect();
        FileReport { name, text: embedded.source().as_bytes().to_vec(), findings, uncounted }
    }
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
    /// It has Kubernetes objects, and none with a policy.
    #[error("no policy in the Kubernetes objects of {0}")]
    NoPolicyInObjects(String),
    /// It was meant to be Kubernetes objects, and is not YAML.
    #[error("{}", .error.in_file(.name))]
    NotYaml {
        /// The place, as shown.
        name: String,
        /// What is wrong, and where.
        error: PlacedError,
        /// Whether it looks like a template.
        is_template: bool,
    },
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
    let mut reader = PolicyReader { cwd, seen: HashSet::new(), items: Vec::new() };
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
    reader.policies(&mut failed)
}

/// The policies in a text that was read from elsewhere and belongs to the file `name`: the text
/// itself, or those in its Kubernetes objects.
///
/// # Errors
///
/// [`InputError::NotYaml`] and [`InputError::NoPolicyInObjects`].
pub(crate) fn from_text(name: &str, text: Vec<u8>) -> Result<Vec<Policy>, InputError> {
    let Some(manifest) = manifest(name, &text)? else { return Ok(vec![Policy::new(name, text)]) };
    let found = manifest.policies(&Manifest::references([&manifest]));
    if found.is_empty() {
        return Err(InputError::NoPolicyInObjects(name.to_owned()));
    }
    Ok(found.into_iter().map(|found| Policy::found(name, None, found)).collect())
}

/// The Kubernetes objects of a text; `None` where it is something else, a policy most likely.
fn manifest(name: &str, text: &[u8]) -> Result<Option<Manifest>, InputError> {
    let Ok(text) = std::str::from_utf8(text) else { return Ok(None) };
    if !manifests::may_be_manifest(text) {
        return Ok(None);
    }
    match Manifest::read(text, |text| has_section(text.as_bytes())) {
        Ok(manifest) => Ok(manifest),
        Err(error) if manifests::is_meant_to_be_manifest(text) => {
            let is_template = manifests::may_be_template(text);
            Err(InputError::NotYaml { name: name.to_owned(), error, is_template })
        }
        Err(_) => Ok(None),
    }
}

/// The policies of each file.
pub(crate) fn by_file(policies: Vec<Policy>) -> Vec<Vec<Policy>> {
    let mut files: Vec<Vec<Policy>> = Vec::new();
    for policy in policies {
        match files.last_mut() {
            Some(file)
                if policy.path.is_some()
                    && file.last().is_some_and(|last| last.path == policy.path) =>
            {
                file.push(policy);
            }
            _ => files.push(vec![policy]),
        }
    }
    files
}

/// Writes the policies of one file back to it, each that has a new text with that. Gives them as
/// they are then.
///
/// # Errors
///
/// Where the file cannot be written, or the form that a policy has in it. The file then is what it
/// was.
pub(crate) fn write_back(
    policies: &[Policy],
    new: &[Option<&[u8]>],
) -> Result<Vec<Policy>, CommandError> {
    let Some(first) = policies.first() else { return Ok(Vec::new()) };
    let name = &first.name;
    let Some(path) = &first.path else {
        return Err(CommandError::usage(format!("cannot write {name}: it is no file")));
    };
    let write = |new: &[u8]| {
        replace(path, first.source(), new).map_err(|error| {
            CommandError::usage(format!("cannot write {name}: {}", io_words(&error)))
        })
    };
    let mut embedded = Vec::new();
    for (policy, new) in policies.iter().zip(new) {
        let text = |text| std::str::from_utf8(text).unwrap_or_default();
        let Some(place) = &policy.embedded else {
            let Some(new) = new else { return Ok(policies.to_vec()) };
            write(new)?;
            return Ok(vec![Policy { text: new.to_vec(), ..policy.clone() }]);
        };
        embedded.push((place, text(&policy.text), new.map(text)));
    }
    let (source, found) = manifests::replaced(&embedded).map_err(|error| {
        let error_text = format!("cannot write {name}: {error}");
        CommandError::usage(error_text).hint("write it as a block of YAML, `KEY: |`")
    })?;
    write(source.as_bytes())?;
    Ok(found.into_iter().map(|found| Policy::found(name, Some(path), found)).collect())
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

/// What was read, in the order of the places.
enum Item {
    Policy(Policy),
    /// Which of its texts are policies is known when all is read.
    Manifest {
        name: String,
        path: Option<PathBuf>,
        manifest: Manifest,
        /// Whether it stands in a directory, where it need not hold any.
        is_listed: bool,
    },
    /// A directory, whose files are all items from `first` to this.
    Directory {
        shown: String,
        first: usize,
    },
}

/// What a file of a directory is, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suffix {
    Hujson,
    Json,
    Yaml,
}

struct PolicyReader<'c> {
    cwd: &'c Path,
    seen: HashSet<PathBuf>,
    items: Vec<Item>,
}

impl PolicyReader<'_> {
    fn path(
        &mut self,
        shown: &Path,
        failed: &mut impl FnMut(InputError),
    ) -> Result<(), InputError> {
        let path = self.cwd.join(shown);
        if path.is_dir() {
            return self.directory(shown, &path, failed);
        }
        self.file(shown, path, None).map(|_| ())
    }

    /// Reads the file at `path`, of a directory if it has a suffix that counts there, and keeps it
    /// if it is new and has a policy. Returns whether it is kept, now or already.
    fn file(
        &mut self,
        shown: &Path,
        path: PathBuf,
        listed: Option<Suffix>,
    ) -> Result<bool, InputError> {
        // A pipe behind `/dev/fd` has no path of its own.
        let identity = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if !self.seen.insert(identity) {
            return Ok(true);
        }
        let name = shown.display().to_string();
        let text = read_file(&path, &name)?;
        let is_listed = listed.is_some();
        let manifest = match listed {
            Some(Suffix::Hujson) => None,
            Some(Suffix::Json) if has_section(&text) => None,
            Some(Suffix::Json | Suffix::Yaml) => {
                let text = std::str::from_utf8(&text).unwrap_or_default();
                if !manifests::may_hold_policies(text) {
                    return Ok(false);
                }
                match manifest(&name, text.as_bytes()) {
                    Ok(Some(manifest)) => Some(manifest),
                    // A chart has templates beside manifests.
                    Ok(None) | Err(InputError::NotYaml { is_template: true, .. }) => {
                        return Ok(false);
                    }
                    Err(error) => return Err(error),
                }
            }
            None => manifest(&name, &text)?,
        };
        self.items.push(match manifest {
            Some(manifest) => Item::Manifest { name, path: Some(path), manifest, is_listed },
            None => Item::Policy(Policy { path: Some(path), ..Policy::new(name, text) }),
        });
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
        let first = self.items.len();
        let mut found = false;
        for name in names {
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let suffix = match Path::new(&name).extension().and_then(|e| e.to_str()) {
                _ if hidden => continue,
                Some("hujson") => Suffix::Hujson,
                Some("json") => Suffix::Json,
                Some("yaml" | "yml") => Suffix::Yaml,
                _ => continue,
            };
            let file = path.join(&name);
            if file.is_dir() {
                continue;
            }
            let shown =
                if shown == Path::new(".") { PathBuf::from(name) } else { shown.join(name) };
            let kept = self.items.len();
            let is_there = self.file(&shown, file, Some(suffix)).unwrap_or_else(|error| {
                failed(error);
                true
            });
            // Whether a manifest has any is not known yet.
            let is_open = matches!(self.items.get(kept), Some(Item::Manifest { .. }));
            found |= is_there && !is_open;
        }
        if !found {
            self.items.push(Item::Directory { shown: shown.display().to_string(), first });
        }
        Ok(())
    }

    fn stdin(&mut self, name: &str, stdin: &mut dyn Read) -> Result<(), InputError> {
        let text = named(read_bounded(stdin, 0, MAX_POLICY_BYTES), name, MAX_POLICY_BYTES)?;
        let name = name.to_owned();
        self.items.push(match manifest(&name, &text)? {
            Some(manifest) => Item::Manifest { name, path: None, manifest, is_listed: false },
            None => Item::Policy(Policy::new(name, text)),
        });
        Ok(())
    }

    /// The policies of all that was read. A manifest may refer to a ConfigMap of another one.
    fn policies(self, failed: &mut impl FnMut(InputError)) -> Vec<Policy> {
        let manifests = self.items.iter().filter_map(|item| match item {
            Item::Manifest { manifest, .. } => Some(manifest),
            _ => None,
        });
        let references = Manifest::references(manifests);
        let mut policies = Vec::new();
        // How many policies there were before each item.
        let mut before = Vec::new();
        for item in self.items {
            before.push(policies.len());
            match item {
                Item::Policy(policy) => policies.push(policy),
                Item::Manifest { name, path, manifest, is_listed } => {
                    let found = manifest.policies(&references);
                    if found.is_empty() && !is_listed {
                        failed(InputError::NoPolicyInObjects(name));
                        continue;
                    }
                    let found = found.into_iter();
                    policies.extend(found.map(|f| Policy::found(&name, path.as_deref(), f)));
                }
                Item::Directory { shown, first } => {
                    let before = before.get(first).copied().unwrap_or(policies.len());
                    if policies.len() == before {
                        failed(InputError::NoPolicyIn(shown));
                    }
                }
            }
        }
        policies
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
