//! Credentials for registries, from where docker, podman and their helpers keep them.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use thiserror::Error;

use crate::error::plain;

/// The largest configuration that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// What helpers say when they know nothing of a registry.
const UNKNOWN: &str = "credentials not found";

/// What a registry is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// A user and a password.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// A token that is changed into another one where the registry says.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { username, .. } => {
                f.debug_struct("Password").field("username", username).finish_non_exhaustive()
            }
            Self::IdentityToken(_) => f.debug_tuple("IdentityToken").finish_non_exhaustive(),
        }
    }
}

/// Credentials that are configured and cannot be had.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// The configuration cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The configuration is not docker's.
    #[error("{origin} has no usable credentials for {registry}: {detail}")]
    Format {
        /// Where the configuration comes from.
        origin: String,
        /// The registry.
        registry: String,
        /// What is wrong.
        detail: String,
    },
    /// A credential helper does not answer, or with an error.
    #[error("the credential helper for {registry} failed: {detail}")]
    Helper {
        /// The registry.
        registry: String,
        /// What happened.
        detail: String,
    },
}

impl CredentialError {
    /// How to go on.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Read { .. } => "DOCKER_CONFIG names the directory of docker's config.json",
            Self::Format { .. } => "`docker login REGISTRY` writes it",
            Self::Helper { .. } => {
                "the program docker-credential-NAME must be on PATH and answer `get`, NAME being \
                 `credsStore` or an entry of `credHelpers` in docker's config.json"
            }
        }
    }
}

/// Where credentials come from.
#[derive(Clone, Default)]
pub enum Credentials {
    /// From nowhere: registries are used anonymously.
    #[default]
    None,
    /// From a file such as docker's `config.json`, whose credential helpers are run. There are
    /// none where there is no file.
    DockerConfig(PathBuf),
    /// From the content of such a file, as in a Secret of type `kubernetes.io/dockerconfigjson`.
    /// No credential helper is run.
    DockerJson(Vec<u8>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::DockerConfig(path) => f.debug_tuple("DockerConfig").field(path).finish(),
            Self::DockerJson(_) => f.debug_tuple("DockerJson").finish_non_exhaustive(),
        }
    }
}

/// The path of docker's configuration: `config.json` in the directory that `DOCKER_CONFIG` names,
/// else in `.docker` in the home directory. `None` where both are unset or empty.
#[must_use]
pub fn docker_config_file(docker_config: Option<&OsStr>, home: Option<&OsStr>) -> Option<PathBuf> {
    let set = |value: Option<&OsStr>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set(docker_config).or_else(|| set(home).map(|home| home.join(".docker")));
    directory.map(|directory| directory.join("config.json"))
}

impl Credentials {
    /// The credential for `registry`. A helper may take `limit` at most.
    ///
    /// # Errors
    ///
    /// When something is configured and does not work. [`Credential::Anonymous`] where nothing is.
    pub async fn get(
        &self,
        registry: &str,
        limit: Duration,
    ) -> Result<Credential, CredentialError> {
        let source = self.clone();
        let asked = registry.to_owned();
        // A helper is a process that is waited for.
        let found = tokio::task::spawn_blocking(move || source.find(&asked));
        match tokio::time::timeout(limit, found).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => Err(helper(registry, "it ended early")),
            Err(_) => Err(helper(registry, &format!("no answer within {limit:?}"))),
        }
    }

    fn find(&self, registry: &str) -> Result<Credential, CredentialError> {
        let (origin, json) = match self {
            Self::None => return Ok(Credential::Anonymous),
            Self::DockerConfig(path) => match read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Credential::Anonymous);
                }
                read => (
                    path.display().to_string(),
                    read.map_err(|source| CredentialError::Read { path: path.clone(), source })?,
                ),
            },
            Self::DockerJson(json) => ("the given configuration".to_owned(), json.clone()),
        };
        let format = |detail: &str| CredentialError::Format {
            origin: origin.clone(),
            registry: registry.to_owned(),
            detail: detail.to_owned(),
        };
        let mut config: serde_json::Value =
            serde_json::from_slice(&json).map_err(|error| format(&error.to_string()))?;
        if let (Self::DockerJson(_), Some(config)) = (self, config.as_object_mut()) {
            config.retain(|key, _| key == "auths");
        }
        let found = docker_credential::get_credential_from_reader(
            config.to_string().as_bytes(),
            key(registry),
        );
        match found {
            Ok(DockerCredential::UsernamePassword(username, password)) => {
                Ok(Credential::Password { username, password })
            }
            Ok(DockerCredential::IdentityToken(token)) => Ok(Credential::IdentityToken(token)),
            Err(error) => match error {
                CredentialRetrievalError::NoCredentialConfigured
                | CredentialRetrievalError::ConfigNotFound => Ok(Credential::Anonymous),
                CredentialRetrievalError::HelperFailure { stdout, stderr, .. } => {
                    if stdout.contains(UNKNOWN) || stderr.contains(UNKNOWN) {
                        return Ok(Credential::Anonymous);
                    }
                    let said = if stderr.trim().is_empty() { stdout } else { stderr };
                    Err(helper(registry, &plain(&said)))
                }
                CredentialRetrievalError::HelperCommunicationError => {
                    Err(helper(registry, "it cannot be run, or ends before it is asked"))
                }
                CredentialRetrievalError::MalformedHelperResponse => {
                    Err(helper(registry, "its answer is not {\"Username\": …, \"Secret\": …}"))
                }
                CredentialRetrievalError::CredentialDecodingError => {
                    Err(format("`auth` is not USER:PASSWORD in base64"))
                }
                CredentialRetrievalError::CredentialMismatchError => {
                    Err(format("`auth` differs from `username` and `password`"))
                }
                CredentialRetrievalError::ConfigReadError => Err(format(
                    "expected {\"auths\": {REGISTRY: {\"auth\": …}}, \"credHelpers\": …, \
                     \"credsStore\": …}",
                )),
            },
        }
    }
}

fn helper(registry: &str, detail: &str) -> CredentialError {
    CredentialError::Helper { registry: registry.to_owned(), detail: detail.to_owned() }
}

/// How docker's configuration calls a registry.
fn key(registry: &str) -> &str {
    if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut json = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut json)?;
    if json.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(json)
}
