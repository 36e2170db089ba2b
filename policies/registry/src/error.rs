//! Why a registry does not give or take a plugin.

use thiserror::Error;

use crate::artifact::{ArtifactError, Part, bytes};
use crate::credentials::CredentialError;
use crate::digest::Digest;
use crate::reference::OciReference;

/// Why a registry does not give or take a plugin. What the registry says itself is not trusted: it
/// stands in the message without control characters, and cut short.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no such plugin, or none for us.
    #[error("{reference} is not in the registry")]
    NotFound {
        /// What was asked for.
        reference: Box<OciReference>,
    },
    /// The registry wants other credentials, or any.
    #[error("{registry} does not let us use {reference}: {detail}")]
    Unauthorized {
        /// The registry.
        registry: String,
        /// What was asked for.
        reference: Box<OciReference>,
        /// What it says.
        detail: String,
    },
    /// The registry cannot be reached, is too slow, or cannot answer now.
    #[error("{registry} cannot be used: {detail}")]
    Unavailable {
        /// The registry.
        registry: String,
        /// What happened.
        detail: String,
    },
    /// What came is not what was asked for.
    #[error("{reference}: the {part} has another digest: expected {expected}, found {actual}")]
    Integrity {
        /// What was asked for.
        reference: Box<OciReference>,
        /// What is wrong.
        part: Part,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// What came is larger than is read.
    #[error("{reference}: the {part} is larger than {}", bytes(*.limit))]
    TooLarge {
        /// What was asked for.
        reference: Box<OciReference>,
        /// What is too large.
        part: Part,
        /// The limit in bytes: ours, or what the manifest says.
        limit: u64,
    },
    /// There is something, and it is no plugin; or the registry does not speak the protocol.
    #[error("{reference}: {detail}")]
    Invalid {
        /// What was asked for.
        reference: Box<OciReference>,
        /// What is wrong.
        detail: String,
    },
    /// Credentials are configured and cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// This process cannot make connections: no certificates, no threads.
    #[error("cannot connect to registries: {0}")]
    Setup(String),
}

impl Error {
    /// How to go on; `None` where the message says all there is.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } => Some(
                "check repository and tag; some registries also say so \
                of what needs a login",
            ),
            Self::Unauthorized { .. } => Some(
                "log in with `docker login REGISTRY`, `podman login \
                --authfile ~/.docker/config.json REGISTRY` or a credential helper",
            ),
            Self::Unavailable { .. } => Some(
                "try again; plugins that were pulled before need no \
                registry",
            ),
            Self::Integrity { .. } => Some(
                "do not use the plugin before you know why; the \
                registry or something on the way changed it",
            ),
            Self::Invalid { .. } => Some("`kubectl headscale plugin push` writes what is expected"),
            Self::Credentials(error) => Some(error.help()),
            Self::TooLarge { .. } | Self::Setup(_) => None,
        }
    }

    pub(crate) fn artifact(reference: &OciReference, error: ArtifactError) -> Self {
        let reference = Box::new(reference.clone());
        match error {
            ArtifactError::Integrity { part, expected, actual } => {
                Self::Integrity { reference, part, expected, actual }
            }
            ArtifactError::TooLarge { part, limit } => Self::TooLarge { reference, part, limit },
            error @ (ArtifactError::Layout(_)
            | ArtifactError::NoComponent(_)
            | ArtifactError::Broken(_)
            | ArtifactError::Annotation { .. }) => {
                Self::Invalid { reference, detail: plain(&error.to_string()) }
            }
        }
    }
}

/// How much of somebody else's text is told, in characters.
const TOLD: usize = 200;

/// Somebody else's text for people: on one line, without control and bidirectional characters, cut
/// short.
pub(crate) fn plain(text: &str) -> String {
    let bidirectional = |c: char| {
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' |
            '\u{2066}'..='\u{2069}')
    };
    let told = text.trim().chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    let mut told = told.filter(|c| !c.is_control() && !bidirectional(*c));
    let mut plain: String = told.by_ref().take(TOLD).collect();
    if told.next().is_some() {
        plain.push('…');
    }
    plain
}
