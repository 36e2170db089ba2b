//! References: how people name a plugin.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Digest;

const OCI: &str = "oci://";
const BUILTIN: &str = "builtin:";
/// The longest name of a built-in plugin: that of a DNS label.
const MAX_BUILTIN: usize = 63;
/// The longest repository and tag, which registries agree on.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// The name of a plugin; displayed as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reference {
    /// A component in a file: `./x.wasm`.
    File(FileReference),
    /// A plugin that comes with the program: `builtin:NAME`.
    Builtin(BuiltinReference),
    /// A plugin in a registry: `oci://REGISTRY/REPOSITORY:TAG@sha256:…`.
    Oci(OciReference),
}

/// A component in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileReference(String);

impl FileReference {
    /// The path, where a relative one is relative to `base`.
    #[must_use]
    pub fn path(&self, base: &Path) -> PathBuf {
        base.join(&self.0)
    }
}

/// A plugin that comes with the program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuiltinReference(String);

impl BuiltinReference {
    /// Its name: lower-case letters, digits and `-`, as in a DNS label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A plugin in an OCI registry, by tag, digest or both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OciReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl OciReference {
    /// Host, and port where one is named: `ghcr.io`, `127.0.0.1:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry: `acme/rules`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag: `1.2`. There is a digest where there is none.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same plugin, pinned to the manifest with this digest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// What people call the plugin, whatever it holds at the moment: without the digest where
    /// there is a tag. Entries of the lock file are found by it.
    #[must_use]
    pub fn name(&self) -> Self {
        match self.tag {
            Some(_) => Self { digest: None, ..self.clone() },
            None => self.clone(),
        }
    }
}

/// A text that is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not a plugin reference: {problem}")]
pub struct ReferenceError {
    /// The text, without a password.
    pub text: String,
    /// What is wrong, and what was expected.
    pub problem: String,
    /// How to write it.
    pub help: String,
}

/// `text` for messages: what stands before the host may be a password.
fn without_password(text: &str) -> String {
    let user = text.split_once("://").and_then(|(scheme, rest)| {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (_, host) = host.rsplit_once('@')?;
        Some(format!("{scheme}://…@{host}/{path}"))
    });
    user.unwrap_or_else(|| text.to_owned())
}

const FORMS: &str =
    "write ./NAME.wasm, builtin:NAME or oci://REGISTRY/REPOSITORY:TAG@sha256:DIGEST";

/// What is wrong with a part, and how to write it.
type Problem = (String, String);

fn problem<T>(what: impl Into<String>, help: impl Into<String>) -> Result<T, Problem> {
    Err((what.into(), help.into()))
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        parse(text).map_err(|(problem, help)| ReferenceError {
            text: without_password(text),
            problem,
            help,
        })
    }
}

impl FromStr for OciReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match text.parse()? {
            Reference::Oci(reference) => Ok(reference),
            Reference::File(_) | Reference::Builtin(_) => Err(ReferenceError {
                text: text.to_owned(),
                problem: "expected one in a registry".to_owned(),
                help: "write oci://REGISTRY/REPOSITORY:TAG".to_owned(),
            }),
        }
    }
}

fn parse(text: &str) -> Result<Reference, Problem> {
    if text.is_empty() {
        return problem("it is empty", FORMS);
    }
    if text.chars().any(char::is_control) {
        return problem("it has a control character", FORMS);
    }
    if let Some(name) = text.strip_prefix(BUILTIN) {
        return builtin(name).map(Reference::Builtin);
    }
    if let Some(rest) = text.strip_prefix(OCI) {
        return oci(rest).map(Reference::Oci);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let help = match scheme {
            "docker" | "http" | "https" => format!("write {OCI}{rest} if it is in a registry"),
            "file" => "write the path alone".to_owned(),
            _ => FORMS.to_owned(),
        };
        return problem(format!("{scheme}:// is not known"), help);
    }
    let in_place = ["./", "../", "/", ".\\", "..\\"].iter().any(|start| text.starts_with(start));
    if has_extension(text, "cwasm") {
        return problem(
            "compiled code is never loaded from a file",
            "name the .wasm that it was compiled from",
        );
    }
    if in_place || has_extension(text, "wasm") {
        return Ok(Reference::File(FileReference(text.to_owned())));
    }
    problem("it is neither a file, nor built in, nor in a registry", guess(text))
}

fn has_extension(text: &str, extension: &str) -> bool {
    Path::new(text).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// What someone who wrote a bare word most likely meant.
fn guess(text: &str) -> String {
    let host = text.split_once('/').map(|(host, _)| host);
    if host.is_some_and(|host| host.contains(['.', ':']) || host == "localhost") {
        format!("write {OCI}{text} if it is in a registry, ./{text} if it is a file")
    } else if is_label(text) {
        format!("write {BUILTIN}{text} if it is built in, ./{text} if it is a file")
    } else {
        FORMS.to_owned()
    }
}

/// Whether `text` is lower-case letters, digits and inner `-`.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn builtin(name: &str) -> Result<BuiltinReference, Problem> {
    if name.len() > MAX_BUILTIN || !is_label(name) {
        return problem(
            format!("{name:?} cannot be the name of a built-in plugin"),
            format!(
                "write {BUILTIN}NAME with at most {MAX_BUILTIN} lower-case letters, digits and -"
            ),
        );
    }
    Ok(BuiltinReference(name.to_owned()))
}

fn oci(rest: &str) -> Result<OciReference, Problem> {
    if rest.split('/').next().is_some_and(|host| host.contains('@')) {
        return problem(
            "it has a user before the host",
            "remove it: user and password belong into docker's config.json",
        );
    }
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => match digest.parse::<Digest>() {
            Ok(digest) => (rest, Some(digest)),
            Err(error) => {
                return problem(
                    format!("after @ {error}"),
                    "copy the digest that `kubectl headscale plugin pull` or `push` printed",
                );
            }
        },
        None => (rest, None),
    };
    let Some((registry, path)) = rest.split_once('/') else {
        return problem(
            "it has no repository",
            "write oci://REGISTRY/REPOSITORY:TAG, for example oci://ghcr.io/acme/rules:1.2",
        );
    };
    check_registry(registry)?;
    let (repository, tag) = match path.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (path, None),
    };
    check_repository(repository)?;
    if let Some(tag) = tag {
        check_tag(tag)?;
    } else if digest.is_none() {
        return problem(
            "it has neither a tag nor a digest",
            format!("write {OCI}{registry}/{repository}:TAG; no tag is assumed"),
        );
    }
    Ok(OciReference {
        registry: registry.to_owned(),
        repository: repository.to_owned(),
        tag: tag.map(str::to_owned),
        digest,
    })
}

fn check_registry(registry: &str) -> Result<(), Problem> {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !registry.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    if registry.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return problem(
            format!("the registry {registry:?} has capital letters"),
            format!("write {:?}", registry.to_ascii_lowercase()),
        );
    }
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.len() <= 253 && host.split('.').all(is_label),
    };
    if !valid_host {
        return problem(
            format!("{host:?} is not the name of a host"),
            "write oci://HOST/REPOSITORY:TAG or oci://HOST:PORT/REPOSITORY:TAG",
        );
    }
    let valid_port = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if !valid_port {
        return problem(
            format!("{:?} is not a port", port.unwrap_or_default()),
            "a port is a number from 1 to 65535",
        );
    }
    Ok(())
}

fn check_repository(repository: &str) -> Result<(), Problem> {
    if repository.len() <= MAX_REPOSITORY && repository.split('/').all(is_path_part) {
        return Ok(());
    }
    let lower = repository.to_ascii_lowercase();
    let help = if lower != repository && lower.split('/').all(is_path_part) {
        format!("registries know lower case alone: write {lower:?}")
    } else {
        format!(
            "it has at most {MAX_REPOSITORY} lower-case letters and digits, with single . _ or -, \
             or __, between them and / between its parts"
        )
    };
    problem(format!("{repository:?} is not a repository"), help)
}

/// Whether `part` is runs of lower-case letters and digits, with `.`, `_`, `__` or any number of
/// `-` between them.
fn is_path_part(part: &str) -> bool {
    let word = |byte: char| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let between = part.split(word).filter(|separator| !separator.is_empty());
    part.starts_with(word)
        && part.ends_with(word)
        && between.into_iter().all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}

fn check_tag(tag: &str) -> Result<(), Problem> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = tag.bytes();
    let valid = tag.len() <= MAX_TAG
        && bytes.next().is_some_and(word)
        && bytes.all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
    if valid {
        return Ok(());
    }
    problem(
        format!("{tag:?} is not a tag"),
        format!("a tag has 1 to {MAX_TAG} letters, digits, _ . and -, and starts with none of . -"),
    )
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OCI}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(&file.0),
            Self::Builtin(builtin) => write!(f, "{BUILTIN}{}", builtin.0),
            Self::Oci(oci) => oci.fmt(f),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl TryFrom<String> for OciReference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<OciReference> for String {
    fn from(reference: OciReference) -> Self {
        reference.to_string()
    }
}
