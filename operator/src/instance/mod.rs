//! Each Headscale, as everything that asks it reaches it: one client with its connections, one
//! answer for all who ask the same, and no questions while it is known not to answer.

mod address;
mod shared;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headscale_api::kinds::Headscale;
use headscale_client::{
    BuilderError, Error, ErrorKind, HeadscaleApi as _, HttpClient, PreAuthKey, User, UserFilter,
};
use kube::{Client, Resource as _, ResourceExt as _};
use thiserror::Error as ThisError;

pub(crate) use address::secret_names;
pub use address::{Address, AddressError};
pub use shared::{Shared, Snapshot};

use crate::metrics::Metrics;
use crate::policy::owned_tags;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(10);
/// For how long the address of a Headscale is not read again. Its API key works for an hour after
/// it was replaced, unless the sidecar is told otherwise.
const ADDRESS_AGE: Duration = Duration::from_secs(30);
/// For how long a Headscale that did not answer is not asked again; it doubles each time.
const FIRST_REST: Duration = Duration::from_millis(500);
/// The longest such time.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// Why Headscale does not do what it is asked to.
#[derive(Clone, Debug, ThisError)]
pub enum AskError {
    /// It cannot be asked: where it is or what it is asked with is not known.
    #[error("{0}")]
    Address(Arc<AddressError>),
    /// It said no, or nothing.
    #[error("Headscale: {0}")]
    Headscale(Error),
    /// It did not answer a moment ago, and is left alone for a while.
    #[error("Headscale: {0} (it is asked again in a moment)")]
    Resting(Error),
}

impl AskError {
    /// What went wrong, where Headscale was asked.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Address(_) => None,
            Self::Headscale(error) | Self::Resting(error) => Some(error.kind()),
        }
    }

    /// Whether it is away, and will be back by itself: nothing is known of what it has meanwhile.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Address(error) => {
                matches!(**error, AddressError::Kubernetes(_) | AddressError::Unreadable(_))
            }
            Self::Headscale(error) => is_passing(error),
            Self::Resting(_) => true,
        }
    }

    /// Whether its certificate is refused, which does not pass by itself.
    #[must_use]
    pub fn is_untrusted(&self) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Headscale(error) | Self::Resting(error) => error.is_untrusted(),
        }
    }

    /// Whether Headscale may have done what it was asked to.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        match self {
            Self::Headscale(error) => error.may_have_acted(),
            Self::Address(_) | Self::Resting(_) => false,
        }
    }

    /// Whether there are no certificates to check the server's by: the image has none.
    fn has_no_certificates(&self) -> bool {
        matches!(self, Self::Address(error)
            if matches!(**error, AddressError::Builder(BuilderError::Certificates(_))))
    }

    /// What went wrong, and what mends it.
    #[must_use]
    pub fn with_hint(&self) -> String {
        let hint = match self.kind() {
            _ if self.is_untrusted() => {
                "; spec.secrets.ca of the Headscale names the certificates that the server's must \
                 be from, which must be for the host of spec.config.server_url and not be the \
                 authority's own"
            }
            None if self.has_no_certificates() => {
                "; spec.secrets.ca of the Headscale names a Secret and its key with certificates \
                 in PEM that the server's is from"
            }
            Some(ErrorKind::Unauthorized) => {
                "; the API key in the instance's Secret does not work: the sidecar replaces it, \
                 without one put a key of `headscale apikeys create` there"
            }
            Some(ErrorKind::Unavailable | ErrorKind::Timeout) => {
                "; see whether the instance's pod is ready"
            }
            Some(ErrorKind::Unsupported) => "; this operator knows Headscale 0.28 to 0.30",
            _ => "",
        };
        format!("{self}{hint}")
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// One Headscale.
#[derive(Debug)]
pub struct Instance {
    http: HttpClient,
    address: Address,
    clock: Clock,
    metrics: Metrics,
    users: Shared<Vec<User>>,
    keys: Shared<Vec<PreAuthKey>>,
    policies: Shared<Option<Arc<str>>>,
    tag_owners: Shared<Option<BTreeSet<String>>>,
    rest: Mutex<Rest>,
    is_refused: AtomicBool,
}

/// For how long it is left alone.
#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    until: Option<(Duration, Error)>,
}

/// Time since the start of the process, which only runs forward.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Instance {
    /// The users, as they were at `since` or later.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub async fn users(&self, since: Duration) -> Result<Snapshot<Vec<User>>, AskError> {
        let ask = async || {
            self.ask("list_users", async |http| http.list_users(&UserFilter::All).await).await
        };
        self.users.since(since, || self.clock.now(), ask).await
    }

    /// The pre-auth keys, as they were at `since` or later.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub async fn keys(&self, since: Duration) -> Result<Snapshot<Vec<PreAuthKey>>, AskError> {
        let ask = async || {
            self.ask("list_preauth_keys", async |http| http.list_preauth_keys().await).await
        };
        self.keys.since(since, || self.clock.now(), ask).await
    }

    /// The policy, as it was at `since` or later; `None` where none was ever set.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub async fn policy(&self, since: Duration) -> Result<Snapshot<Option<Arc<str>>>, AskError> {
        let ask = async || {
            let policy = self.ask("get_policy", async |http| http.policy().await).await?;
            Ok(policy.map(|policy| policy.text.into()))
        };
        self.policies.since(since, || self.clock.now(), ask).await
    }

    /// The tags that the policy says owners of, as they were at `since` or later; `None` without a
    /// policy.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub async fn tag_owners(
        &self,
        since: Duration,
    ) -> Result<Snapshot<Option<BTreeSet<String>>>, AskError> {
        let ask = async || {
            let policy = self.policy(since).await?;
            let text = (*policy.value).as_deref();
            Ok(text.map(|text| owned_tags(text).unwrap_or_default()))
        };
        self.tag_owners.since(since, || self.clock.now(), ask).await
    }

    /// Makes a call, unless Headscale did not answer the last one a moment ago.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub async fn ask<T>(
        &self,
        operation: &'static str,
        call: impl AsyncFnOnce(&HttpClient) -> Result<T, Error>,
    ) -> Result<T, AskError> {
        if let Some(error) = self.resting() {
            return Err(AskError::Resting(error));
        }
        let began = self.clock.now();
        let answer = call(&self.http).await;
        let result = answer.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
        self.metrics.asked(operation, result, self.clock.now().saturating_sub(began));
        answer
            .map_err(|error| {
                self.note(Some(&error));
                if error.kind() == ErrorKind::Unauthorized || error.is_untrusted() {
                    self.is_refused.store(true, Ordering::Relaxed);
                }
                AskError::Headscale(error)
            })
            .inspect(|_| self.note(None))
    }

    fn resting(&self) -> Option<Error> {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, error) = rest.until.as_ref()?;
        (self.clock.now() < *until).then(|| error.clone())
    }

    fn note(&self, error: Option<&Error>) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error.filter(|error| is_passing(error)) else {
            *rest = Rest::default();
            return;
        };
        let now = self.clock.now();
        // Those that were on their way together count once.
        if rest.until.as_ref().is_none_or(|(until, _)| *until <= now) {
            let pause = FIRST_REST.saturating_mul(1 << rest.failures.min(16)).min(LONGEST_REST);
            rest.failures = rest.failures.saturating_add(1);
            rest.until = Some((now.saturating_add(pause), error.clone()));
        }
    }
}

/// What is kept of one Headscale.
#[derive(Debug)]
struct Kept {
    instance: Arc<Instance>,
    uid: Option<String>,
    generation: Option<i64>,
    read_at: Duration,
}

type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// All of them.
#[derive(Clone, Debug)]
pub struct Instances(Arc<Inner>);

struct Inner {
    client: Client,
    resolve: BTreeMap<String, SocketAddr>,
    clock: Clock,
    metrics: Metrics,
    slots: Mutex<HashMap<(String, String), Slot>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("resolve", &self.resolve).finish_non_exhaustive()
    }
}

impl Instances {
    pub(crate) fn new(
        client: Client,
        resolve: BTreeMap<String, SocketAddr>,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Inner { client, resolve, clock, metrics, slots: Mutex::default() }))
    }

    fn slot(&self, namespace: &str, name: &str) -> Slot {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((namespace.to_owned(), name.to_owned())).or_default())
    }

    /// This one. Where it is is read again from time to time, when the object was changed, and
    /// after Headscale refused the API key, or its certificate was refused.
    ///
    /// # Errors
    ///
    /// [`AskError::Address`].
    pub async fn get(&self, headscale: &Headscale) -> Result<Arc<Instance>, AskError> {
        let inner = &*self.0;
        let namespace = headscale.namespace().unwrap_or_default();
        let slot = self.slot(&namespace, &headscale.name_any());
        let mut slot = slot.lock().await;
        let meta = headscale.meta();
        let now = inner.clock.now();
        if let Some(kept) = slot.as_ref()
            && (&kept.uid, kept.generation) == (&meta.uid, meta.generation)
            && now < kept.read_at.saturating_add(ADDRESS_AGE)
            && !kept.instance.is_refused.load(Ordering::Relaxed)
        {
            return Ok(Arc::clone(&kept.instance));
        }
        let read = Address::read(&inner.client, headscale, &inner.resolve).await;
        let address = read.map_err(|error| AskError::Address(Arc::new(error)))?;
        let same = slot.take().filter(|kept| kept.instance.address.is_same(&address));
        let instance = match same.map(|kept| kept.instance) {
            Some(instance) => {
                instance.is_refused.store(false, Ordering::Relaxed);
                instance
            }
            None => {
                let http = address.client(CALL);
                let http = http.map_err(|error| AskError::Address(Arc::new(error.into())))?;
                Arc::new(Instance {
                    http,
                    address,
                    clock: inner.clock,
                    metrics: inner.metrics.clone(),
                    users: Shared::default(),
                    keys: Shared::default(),
                    policies: Shared::default(),
                    tag_owners: Shared::default(),
                    rest: Mutex::default(),
                    is_refused: AtomicBool::new(false),
                })
            }
        };
        *slot = Some(Kept {
            instance: Arc::clone(&instance),
            uid: meta.uid.clone(),
            generation: meta.generation,
            read_at: now,
        });
        Ok(instance)
    }

    /// Keeps nothing of one that is gone.
    pub(crate) fn remove(&self, namespace: &str, name: &str) {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Has where this one is read anew, because the Secret of its API key was changed.
    pub async fn forget(&self, namespace: &str, name: &str) {
        let slot = self.slot(namespace, name);
        if let Some(kept) = slot.lock().await.as_mut() {
            kept.read_at = Duration::ZERO;
            kept.generation = None;
        }
    }
}
