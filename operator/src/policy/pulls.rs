//! Plugins of registries. They come while other work goes on: a registry that is slow, or says
//! nothing, holds up nobody for long.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use headscale_policy_registry::{
    Client, Credentials, Digest, OciReference, Options, Store, Transport, docker_config_file,
};
use headscale_service::pause::Backoff;

use super::plugins::{apart, failed};
use crate::conditions::Verdict;

/// How long whoever asks first waits for a plugin.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so long it is tried again to have a plugin that could not be had.
const REST: Backoff =
    Backoff { first: Duration::from_secs(5), longest: Duration::from_secs(5 * 60) };
/// Failures of which nobody asked for so long are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// What is done with a plugin when it has come, or does not come.
pub(super) type Wake = Box<dyn FnOnce() + Send>;

/// Plugins that are kept, and those that are on their way.
#[derive(Clone, Debug)]
pub(super) struct Pulls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The directory of the store.
    directory: PathBuf,
    /// How long a plugin may take.
    timeout: Duration,
    under_way: Mutex<HashMap<String, Pull>>,
}

/// A plugin that is not there.
#[derive(Default)]
struct Pull {
    coming: Option<Shared<BoxFuture<'static, ()>>>,
    failure: Option<Failure>,
    /// Of those who asked for it since it is on its way.
    wakes: Vec<Wake>,
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull").field("failure", &self.failure).finish_non_exhaustive()
    }
}

/// Why it did not come the last time.
#[derive(Clone, Debug)]
struct Failure {
    verdict: Verdict,
    count: u32,
    until: Instant,
}

impl Pulls {
    /// Those of this directory; one plugin may take `timeout` to come.
    pub(super) fn new(directory: PathBuf, timeout: Duration) -> Self {
        Self(Arc::new(Inner { directory, timeout, under_way: Mutex::default() }))
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Pull>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The component with this digest. Where it is not here it is asked for, and `wake` is called
    /// once that has an end. It is waited for a moment the first time alone.
    ///
    /// # Errors
    ///
    /// Why it is not here, or not yet. The words are the same each time.
    pub(super) async fn component(
        &self,
        reference: &OciReference,
        digest: &Digest,
        wake: Wake,
    ) -> Result<Vec<u8>, Verdict> {
        let name = reference.to_string();
        let last = self.under_way().get(&name).and_then(|pull| {
            let failure = pull.failure.as_ref().filter(|_| pull.coming.is_none())?;
            (Instant::now() < failure.until).then(|| failure.verdict.clone())
        });
        if let Some(verdict) = last {
            return Err(verdict);
        }
        if let Some(component) = self.kept(&name, digest).await? {
            return Ok(component);
        }
        let (coming, failure) = {
            let mut under_way = self.under_way();
            let now = Instant::now();
            under_way.retain(|_, pull| {
                let until = pull.failure.as_ref().map(|failure| failure.until + FORGOTTEN);
                pull.coming.is_some() || until.is_some_and(|until| now < until)
            });
            let pull = under_way.entry(name.clone()).or_default();
            // One that broke off is begun anew.
            pull.coming.take_if(|coming| coming.peek().is_some());
            pull.wakes.push(wake);
            let coming = pull.coming.get_or_insert_with(|| self.start(reference));
            (coming.clone(), pull.failure.clone())
        };
        if let Some(failure) = failure {
            return Err(failure.verdict);
        }
        if tokio::time::timeout(PATIENCE, coming).await.is_err() {
            return Err(failed(&format!(
                "plugin {name} does not come from {} yet: it may take {:?} (--plugin-timeout)",
                reference.registry(),
                self.0.timeout
            )));
        }
        let last = self.under_way().get(&name).and_then(|pull| pull.failure.clone());
        if let Some(failure) = last {
            return Err(failure.verdict);
        }
        let kept = self.kept(&name, digest).await?;
        kept.ok_or_else(|| failed(&format!("plugin {name} came, and is not there any more")))
    }

    async fn kept(&self, name: &str, digest: &Digest) -> Result<Option<Vec<u8>>, Verdict> {
        let (directory, digest) = (self.0.directory.clone(), digest.clone());
        let read = apart(move || {
            let store = Store::open(directory)?;
            // One that is damaged is pulled again.
            Ok(store.get(&digest).ok().flatten())
        });
        let read = read.await.ok_or_else(|| failed("there is no thread to read plugins"))?;
        let artifact = read.map_err(|error: headscale_policy_registry::StoreError| {
            failed(&format!("plugin {name}: {error}; {}", error.help()))
        })?;
        Ok(artifact.map(headscale_policy_registry::Artifact::into_component))
    }

    /// Has a plugin come on its own, and writes down what became of it.
    fn start(&self, reference: &OciReference) -> Shared<BoxFuture<'static, ()>> {
        let (pulls, reference) = (self.clone(), reference.clone());
        let task = tokio::spawn(async move {
            let name = reference.to_string();
            let pulled = pull(&pulls.0.directory, pulls.0.timeout, &reference).await;
            for wake in pulls.end(&name, pulled.err()) {
                wake();
            }
        });
        task.map(drop).boxed().shared()
    }

    /// Writes down what became of a plugin; gives who wants to know.
    fn end(&self, name: &str, error: Option<Verdict>) -> Vec<Wake> {
        let mut under_way = self.under_way();
        let Some(verdict) = error else {
            return under_way.remove(name).map(|pull| pull.wakes).unwrap_or_default();
        };
        let pull = under_way.entry(name.to_owned()).or_default();
        let wakes = std::mem::take(&mut pull.wakes);
        let count = pull.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1);
        let until = Instant::now() + REST.after(count);
        let failure = Some(Failure { verdict, count, until });
        *pull = Pull { failure, ..Pull::default() };
        wakes
    }
}

async fn pull(
    directory: &Path,
    timeout: Duration,
    reference: &OciReference,
) -> Result<(), Verdict> {
    let store = Store::open(directory)
        .map_err(|error| failed(&format!("plugin {reference}: {error}; {}", error.help())))?;
    let docker = docker_config_file(std::env::var_os("DOCKER_CONFIG").as_deref(), None);
    let client = Client::new(Options {
        credentials: docker.map_or(Credentials::None, Credentials::DockerConfig),
        transport: Transport::Tls,
        timeout,
        ..Options::default()
    });
    let fetched = client.fetch(&store, reference).await;
    fetched.map(drop).map_err(|error| failed(&format!("plugin {reference}: {error}")))
}
