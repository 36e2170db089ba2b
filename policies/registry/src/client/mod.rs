//! Pulling plugins from registries and pushing them there.

mod auth;
mod session;

use std::time::Duration;

use crate::artifact::{Artifact, MAX_DOCUMENT_BYTES, Manifest, Part};
use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::error::Error;
use crate::reference::OciReference;
use crate::store::{Store, StoreError};

use session::Session;

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// With TLS, but for registries on this machine: `localhost`, `127.0.0.0/8` and `[::1]`.
    #[default]
    Auto,
    /// With TLS.
    Tls,
    /// Without; who is on the way reads along, and sees the credentials.
    Plain,
}

/// How to talk to registries. The environment's proxies are used, but for registries on this
/// machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where credentials come from.
    pub credentials: Credentials,
    /// Whether connections are encrypted.
    pub transport: Transport,
    /// Certificates in PEM that are trusted beside those of the system.
    pub certificates: Vec<u8>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the registry may be silent.
    pub idle_timeout: Duration,
    /// How long one pull or push may take in all.
    pub timeout: Duration,
    /// How often something is asked for in all, where the registry is not available. What changes
    /// the registry is done once.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each.
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: Credentials::None,
            transport: Transport::Auto,
            certificates: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            timeout: Duration::from_secs(120),
            attempts: 3,
            pause: Duration::from_millis(250),
        }
    }
}

/// A client of OCI registries.
#[derive(Clone, Debug, Default)]
pub struct Client {
    options: Options,
}

/// Why a plugin could not be had through the store.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The registry does not give it.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// A client that talks as `options` say.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// The digest of the manifest that `reference` means at the moment.
    ///
    /// # Errors
    ///
    /// As [`pull`](Self::pull).
    pub async fn resolve(&self, reference: &OciReference) -> Result<Digest, Error> {
        self.within(reference, async {
            let mut session = Session::open(&self.options, reference).await?;
            let manifest = pull_manifest(&mut session, reference).await?;
            Ok(Digest::of(&manifest))
        })
        .await
    }

    /// Pulls a plugin. All its digests are verified, and that it is a component.
    ///
    /// # Errors
    ///
    /// [`Error`], one kind for each thing that can be done about it.
    pub async fn pull(&self, reference: &OciReference) -> Result<Artifact, Error> {
        self.within(reference, async {
            let mut session = Session::open(&self.options, reference).await?;
            let text = pull_manifest(&mut session, reference).await?;
            let wrong = |error| Error::artifact(reference, error);
            let manifest = Manifest::read(&text).map_err(wrong)?;
            let config = &manifest.config;
            let config = session.blob(Part::Config, &config.digest, config.size).await?;
            let component = manifest.component().map_err(wrong)?;
            let component =
                session.blob(Part::Component, &component.digest, component.size).await?;
            let digest = Digest::of(&text);
            Artifact::unpack(Some(&digest), text, config, component).map_err(wrong)
        })
        .await
    }

    /// The plugin with the digest of `reference` from the store, else from the registry into the
    /// store. One that is damaged in the store is pulled again. Without a digest the registry is
    /// asked always.
    ///
    /// # Errors
    ///
    /// As [`pull`](Self::pull), and when the store cannot be read or written.
    pub async fn fetch(
        &self,
        store: &Store,
        reference: &OciReference,
    ) -> Result<Artifact, FetchError> {
        let digest = match reference.digest() {
            Some(digest) => digest.clone(),
            None => self.resolve(reference).await?,
        };
        let in_store = {
            let (store, digest) = (store.clone(), digest.clone());
            blocking(move || store.get(&digest)).await?
        };
        match in_store {
            Ok(Some(artifact)) => return Ok(artifact),
            Ok(None) | Err(StoreError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let artifact = self.pull(&reference.pinned(digest)).await?;
        let (store, artifact) = {
            let store = store.clone();
            blocking(move || (store.put(&artifact), artifact)).await?
        };
        store?;
        Ok(artifact)
    }

    /// Pushes a plugin to the tag of `reference`, or to its digest alone. Returns the digest of
    /// the manifest. A tag that is there already is moved.
    ///
    /// # Errors
    ///
    /// [`Error::Integrity`] when `reference` has another digest than the artifact: nothing is sent
    /// then. Else as [`pull`](Self::pull).
    pub async fn push(
        &self,
        reference: &OciReference,
        artifact: &Artifact,
    ) -> Result<Digest, Error> {
        let digest = artifact.digest();
        if let Some(expected) = reference.digest().filter(|expected| *expected != digest) {
            return Err(Error::Integrity {
                reference: Box::new(reference.clone()),
                part: Part::Manifest,
                expected: expected.clone(),
                actual: digest.clone(),
            });
        }
        self.within(reference, async {
            let mut session = Session::open(&self.options, reference).await?;
            for (part, digest, content) in artifact.parts() {
                match part {
                    Part::Component | Part::Config => session.upload(digest, content).await?,
                    Part::Manifest => session.put_manifest(digest, content).await?,
                }
            }
            Ok(digest.clone())
        })
        .await
    }

    async fn within<T>(
        &self,
        reference: &OciReference,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let limit = self.options.timeout;
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(Error::Unavailable {
                registry: reference.registry().to_owned(),
                detail: format!("not done within {limit:?}"),
            })
        })
    }
}

async fn pull_manifest(
    session: &mut Session<'_>,
    reference: &OciReference,
) -> Result<Vec<u8>, Error> {
    let (manifest, claimed) = session.manifest(MAX_DOCUMENT_BYTES).await?;
    let actual = Digest::of(&manifest);
    for expected in reference.digest().into_iter().chain(claimed.as_ref()) {
        if *expected != actual {
            return Err(Error::Integrity {
                reference: Box::new(reference.clone()),
                part: Part::Manifest,
                expected: expected.clone(),
                actual,
            });
        }
    }
    Ok(manifest)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Setup(error.to_string()))
}

/// Runs `work` to its end on this thread, for programs without a runtime of their own. Must not be
/// called from within one.
///
/// # Errors
///
/// [`Error::Setup`] when there is no runtime to be had.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Setup(error.to_string()))?;
    let done = runtime.block_on(work);
    // A credential helper that hangs does not keep the program.
    runtime.shutdown_background();
    Ok(done)
}
