//! Reads the auth key from the config Secret as the kubelet mounts it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use headscale_acl::hujson::{Document, Kind, Node};
use headscale_keys::AuthKey;
use headscale_keys::reissue::{CONFIG_FIELDS, CONFIG_VERSION, choose_config};
use thiserror::Error;

/// What a config may weigh: a Secret holds no more.
const MAX_BYTES: u64 = 1 << 20;
/// How much of a field's name is told: no more than of a key.
const NAMED: usize = 23;

/// Where the auth key stands.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A directory of files `cap-<N>.hujson`, of which tailscaled takes the highest N that is not
    /// above its own capability version.
    Directory {
        /// The directory.
        path: PathBuf,
        /// That version.
        capability: u32,
    },
    /// A file that holds the key alone; white space around it is removed.
    File(PathBuf),
}

/// Why there is no telling which key the config holds. It never contains what stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {reason}", .path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// No file of the directory is for this tailscaled.
    #[error(
        "{}: no cap-<N>.hujson with N up to {capability}, which is what tailscaled can read{}",
        .path.display(),
        seen(.newer.as_slice())
    )]
    NoFile {
        /// The directory.
        path: PathBuf,
        /// The capability version of tailscaled.
        capability: u32,
        /// Files that are for newer ones.
        newer: Vec<String>,
    },
    /// It is no HuJSON object.
    #[error("{}:{line}:{column}: not HuJSON: tailscaled reads no key from it", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u32,
        /// The column, from 1.
        column: u32,
    },
    /// Its version is another one, or there is none.
    #[error(
        "{}: version must be \"{CONFIG_VERSION}\", or tailscaled reads no key from it",
        .path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
    },
    /// It has a field that tailscaled does not know.
    #[error(
        "{}: field {field:?} is not known, so tailscaled refuses the whole file; a newer field \
         belongs into a file for a newer capability version",
        .path.display()
    )]
    UnknownField {
        /// The file.
        path: PathBuf,
        /// The field's name, shortened.
        field: String,
    },
    /// A field is of another type.
    #[error("{}: {field} must be a string", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Which one.
        field: &'static str,
    },
}

fn seen(newer: &[String]) -> String {
    if newer.is_empty() { String::new() } else { format!("; there is {}", newer.join(", ")) }
}

impl KeySource {
    /// The key, or `None` where there is none or an empty one. A file named by `file:/path` is not
    /// read: the text stands for the key, as with stock nodes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where stock nodes would take it for no key and wait in silence.
    pub fn key(&self) -> Result<Option<AuthKey>, ConfigError> {
        let text = match self {
            Self::File(path) => String::from_utf8_lossy(&read(path)?).trim().to_owned(),
            Self::Directory { path, capability } => {
                let path = path.join(choose(path, *capability)?);
                match parse(&path, &read(&path)?)? {
                    Some(text) => text,
                    None => return Ok(None),
                }
            }
        };
        Ok((!text.is_empty()).then(|| AuthKey::new(&text)))
    }

    /// The same with another capability version.
    #[must_use]
    pub fn of_capability(&self, capability: u32) -> Self {
        match self {
            Self::Directory { path, .. } => Self::Directory { path: path.clone(), capability },
            Self::File(path) => Self::File(path.clone()),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let size = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > MAX_BYTES {
        let reason = "larger than a Secret can be".to_owned();
        return Err(ConfigError::Unreadable { path: path.to_owned(), reason });
    }
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn choose(directory: &Path, capability: u32) -> Result<String, ConfigError> {
    let wrong = |error| unreadable(directory, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(wrong)? {
        names.extend(entry.map_err(wrong)?.file_name().into_string());
    }
    let all = || names.iter().map(String::as_str);
    choose_config(all(), capability).map(str::to_owned).ok_or_else(|| {
        let newer = choose_config(all(), u32::MAX).map(str::to_owned).into_iter().collect();
        ConfigError::NoFile { path: directory.to_owned(), capability, newer }
    })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Option<String>, ConfigError> {
    let path = path.to_owned();
    let doc = Document::parse(bytes);
    // What the error says is left out: it may quote the key.
    if let Some(error) = doc.errors().first() {
        let (line, column) = position(bytes, error.span.start as usize);
        return Err(ConfigError::Syntax { path, line, column });
    }
    let Some(root) = doc.root().filter(|root| root.kind() == Kind::Object) else {
        return Err(ConfigError::Syntax { path, line: 1, column: 1 });
    };
    // The last one counts where a name stands twice, in whichever case, as Go decodes.
    let (mut version, mut key) = (None, None);
    for member in root.members() {
        let name = member.name.as_str().unwrap_or_default();
        let known = CONFIG_FIELDS.iter().find(|field| field.eq_ignore_ascii_case(&name));
        match known.copied() {
            Some("Version") => version = text(&path, "Version", member.value)?,
            Some("AuthKey") => key = text(&path, "AuthKey", member.value)?,
            Some(_) => {}
            None => {
                let field = name.chars().take(NAMED).collect();
                return Err(ConfigError::UnknownField { path, field });
            }
        }
    }
    if version.as_deref() != Some(CONFIG_VERSION) {
        return Err(ConfigError::Version { path });
    }
    Ok(key)
}

fn text(path: &Path, field: &'static str, value: Node<'_>) -> Result<Option<String>, ConfigError> {
    match value.kind() {
        Kind::Null => Ok(None),
        Kind::String => Ok(value.as_str().map(std::borrow::Cow::into_owned)),
        _ => Err(ConfigError::NotText { path: path.to_owned(), field }),
    }
}

fn position(bytes: &[u8], at: usize) -> (u32, u32) {
    let before = bytes.get(..at.min(bytes.len())).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    (number(line), number(before.len() - start))
}
