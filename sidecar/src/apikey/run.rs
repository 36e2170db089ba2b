//! The loop around the manager: waits, tells what happened, and ends.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use headscale_client::ErrorKind;
use headscale_keys::{SettingsError, State, Verified};
use headscale_service::http_server::HttpServer;
use headscale_service::kubernetes::{ConnectionError, pod_name};
use headscale_service::pause::{Backoff, jittered};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::args::Args;
use super::clock::{Clock as _, SystemClock};
use super::events::{Events, Kind};
use super::headscale::{Headscale, HeadscaleError};
use super::manager::{Failure, Idle, Manager, Turn};
use super::status::Status;
use super::store::{SecretStore, StoreError};
use crate::kubernetes;

/// How long one call of Headscale may take.
const CALL: Duration = Duration::from_secs(10);
/// How often it is said again that nothing has changed.
const SAY_AGAIN: Duration = Duration::from_secs(30);
/// The pauses after failures. The longest: this long after its end an outage is over for us too.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(30) };
/// So many steps follow one another without a pause. No plan has more: 17 replaced keys at most are
/// deleted and forgotten one by one, and a key is made.
const MANY_STEPS: u32 = 60;
/// So many conflicts in a row are nothing to tell.
const USUAL: u32 = 5;
/// The shortest pause where a step is due.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Why the command ended.
#[derive(Debug, Error)]
pub enum Error {
    /// The durations do not go together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Headscale cannot be reached without either.
    #[error(
        "there is no way to Headscale: name --socket-path, or --headscale-url where it listens"
    )]
    NoAccess,
    /// The certificates that Headscale's own may be from.
    #[error("{}: {error}; --headscale-ca names a file of certificates in PEM", .file.display())]
    Certificates {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The address of Headscale.
    #[error(transparent)]
    Headscale(#[from] HeadscaleError),
    /// There is no way to the API server.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Health cannot be served.
    #[error("cannot listen at {address}: {error}; choose another --health-addr")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Signals cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(io::Error),
    /// Headscale did not answer in time.
    #[error("Headscale did not answer within {}s: {last}", .waited.as_secs())]
    NotReached {
        /// How long it was waited for.
        waited: Duration,
        /// Why not.
        last: HeadscaleError,
    },
    /// With `--once`: it did not come to a key that works.
    #[error(transparent)]
    Once(#[from] Failure),
}

impl Error {
    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::NoAccess => 2,
            Self::NotReached { .. } => 3,
            _ => 1,
        }
    }
}

/// Runs until a signal comes, or with `--once` until the Secret holds a key that works.
///
/// # Errors
///
/// See [`enum@Error`]. Once Headscale has answered, only `--once` makes a failure an end.
pub async fn run(args: Args) -> Result<(), Error> {
    // First of all: the first process of a container has no other way to be ended.
    let mut term = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut int = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    tokio::select! {
        done = keep(args) => done,
        _ = term.recv() => ended(),
        _ = int.recv() => ended(),
    }
}

async fn keep(args: Args) -> Result<(), Error> {
    let settings = args.settings()?;
    let address = args.address().map_err(|error| Error::Certificates {
        file: args.headscale_ca.clone().unwrap_or_default(),
        error,
    })?;
    if args.socket_path.as_os_str().is_empty() && address.is_none() {
        return Err(Error::NoAccess);
    }
    let headscale = Headscale::new(args.access(), address, CALL)?;
    let client = kubernetes::client(&args.connection).await?;
    let namespace = match args.namespace.as_str() {
        "" => client.default_namespace().to_owned(),
        namespace => namespace.to_owned(),
    };
    let name = format!("{namespace}/{}", args.secret_name);
    let store = SecretStore::new(client.clone(), &namespace, &args.secret_name);
    let status = Status::default();
    if let Some(address) = args.health_addr {
        let server = HttpServer::bind(address).await;
        let server = server.map_err(|error| Error::Listen { address, error })?;
        let address = server.address().unwrap_or(address);
        tracing::info!(%address, "serving /healthz, /readyz and /metrics");
        let status = status.clone();
        tokio::spawn(server.serve(move |path| status.page(path)));
    }
    let manager = Manager::new(
        store,
        headscale,
        SystemClock::default(),
        settings,
        args.limits(),
        &name,
        &pod_name(&args.pod_name),
    );
    let keeper = Keeper {
        manager,
        events: Events::new(client, &namespace),
        status,
        args,
        name,
        trouble: None,
        is_told: false,
        failures: 0,
        steps: 0,
    };
    keeper.run().await
}

fn ended() -> Result<(), Error> {
    // Whatever was begun stands in the record, and the next start goes on from there.
    tracing::info!("ended by a signal");
    Ok(())
}

struct Keeper {
    manager: Manager<SecretStore, SystemClock>,
    events: Events,
    status: Status,
    args: Args,
    name: String,
    /// What is wrong, and when that was said last.
    trouble: Option<(String, Instant)>,
    /// Whether an Event told of it.
    is_told: bool,
    /// Failures since the last turn that went well.
    failures: u32,
    /// Turns in a row that did something.
    steps: u32,
}

impl Keeper {
    async fn run(mut self) -> Result<(), Error> {
        self.wait_for_headscale().await?;
        loop {
            let turn = self.manager.turn().await;
            self.status.works_until(self.manager.works_until());
            self.status.metrics(|metrics| metrics.record(self.manager.record()));
            let pause = match turn {
                Ok(turn) => {
                    self.failures = 0;
                    let pause = self.went_well(&turn).await;
                    if self.args.once && is_done(&turn) {
                        return Ok(());
                    }
                    pause
                }
                Err(failure) if self.args.once && !is_passing(&failure) => {
                    return Err(failure.into());
                }
                Err(failure) => self.went_wrong(&failure).await,
            };
            self.status.alive(pause);
            self.manager.clock().sleep(pause).await;
        }
    }

    /// Waits until Headscale answers.
    async fn wait_for_headscale(&mut self) -> Result<(), Error> {
        let (began, mut said) = (Instant::now(), Instant::now());
        let mut failures = 0;
        loop {
            let Err(error) = self.manager.reach().await else {
                return Ok(());
            };
            let waited = began.elapsed();
            if waited >= self.args.wait {
                return Err(Error::NotReached { waited, last: error });
            }
            if failures == 0 || said.elapsed() >= SAY_AGAIN {
                said = Instant::now();
                tracing::info!(
                    waited_seconds = waited.as_secs(),
                    "waiting for Headscale to be ready: {error}"
                );
            }
            failures += 1;
            let pause = BACKOFF.after(failures).min(Duration::from_secs(1));
            self.status.alive(pause);
            self.manager.clock().sleep(pause.min(self.args.wait.saturating_sub(waited))).await;
        }
    }

    /// Tells what was done; gives the pause before the next turn.
    async fn went_well(&mut self, turn: &Turn) -> Duration {
        if let Turn::Idle(idle) = turn {
            self.steps = 0;
            return self.idle(idle);
        }
        if let Some((trouble, _)) = self.trouble.take() {
            tracing::info!(secret = %self.name, "going on after: {trouble}");
            self.is_told = false;
        }
        self.did(turn).await;
        // Steps come to an end, unless somebody undoes each of them.
        self.steps = self.steps.saturating_add(1);
        self.steps.checked_sub(MANY_STEPS).map_or(Duration::ZERO, |many| BACKOFF.after(many))
    }

    async fn did(&mut self, turn: &Turn) {
        match turn {
            Turn::Published { prefix, expiration, need, verified } => {
                self.status.metrics(|metrics| metrics.rotated(need.as_str()));
                let how = match verified {
                    Verified::Authenticated => "authenticated",
                    Verified::Listed => "listed",
                };
                tracing::info!(
                    secret = %self.name,
                    prefix = %prefix,
                    %expiration,
                    reason = need.as_str(),
                    verified = how,
                    "a new API key is in the Secret"
                );
                let reason = if *need == headscale_keys::Need::First {
                    "APIKeyCreated"
                } else {
                    "APIKeyRotated"
                };
                let note =
                    format!("API key {prefix} works until {expiration} ({}; {how})", need.as_str());
                self.post(Kind::Normal, reason, &note).await;
            }
            Turn::Wrote(why) => {
                tracing::info!(secret = %self.name, step = ?why, "the record is written");
            }
            Turn::Deleted { prefix, waste } => {
                self.status.metrics(|metrics| metrics.deleted(*waste));
                tracing::info!(secret = %self.name, %prefix, why = ?waste, "an API key is deleted");
            }
            Turn::Idle(_) => {}
        }
    }

    fn idle(&mut self, idle: &Idle) -> Duration {
        match idle.state {
            State::Healthy => {
                if let Some((trouble, _)) = self.trouble.take() {
                    tracing::info!(secret = %self.name, "all is well again after: {trouble}");
                    self.is_told = false;
                }
            }
            State::Gated(need) => self.say(&format!(
                "a new key is needed ({}) and waits until a former one can no longer come",
                need.as_str()
            )),
            State::BackingOff(need) => self.say(&format!(
                "a new key is needed ({}) and waits because {} attempts failed",
                need.as_str(),
                idle.record.attempts.count
            )),
        }
        let interval = jittered(self.args.check_interval);
        let floor = SHORTEST_PAUSE.min(self.args.check_interval);
        idle.pause.map_or(interval, |pause| pause.clamp(floor, interval.max(floor)))
    }

    /// Tells what failed; gives the pause before the next turn.
    async fn went_wrong(&mut self, failure: &Failure) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let reason = failure.reason();
        self.status.metrics(|metrics| metrics.failed(reason));
        // Somebody else being faster is how it goes, now and then.
        let is_usual = matches!(failure, Failure::Store(StoreError::Conflict(_)));
        if !is_usual || self.failures >= USUAL {
            let text = failure.to_string();
            self.say(&text);
            if !self.is_told {
                self.is_told = true;
                self.post(Kind::Warning, "APIKeyFailed", &text).await;
            }
        }
        BACKOFF.after(self.failures)
    }

    /// Logs trouble when it is new, and again from time to time.
    fn say(&mut self, text: &str) {
        let said = self.trouble.as_ref().filter(|(trouble, _)| trouble == text);
        if said.is_none_or(|(_, at)| at.elapsed() >= SAY_AGAIN) {
            tracing::warn!(secret = %self.name, "{text}");
            self.status.trouble(text);
            self.trouble = Some((text.to_owned(), Instant::now()));
        }
    }

    async fn post(&mut self, kind: Kind, reason: &str, note: &str) {
        let about = self.manager.store().subject(self.manager.version());
        self.events.post(about, kind, reason, note).await;
    }
}

/// Whether the key works, and nothing is left to do but to let replaced keys live out their grace.
fn is_done(turn: &Turn) -> bool {
    match turn {
        Turn::Idle(idle) => {
            idle.state == State::Healthy && idle.record.unresolved().next().is_none()
        }
        _ => false,
    }
}

/// Whether it may go well the next time, without anybody doing anything.
fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Store(StoreError::Conflict(_)) | Failure::TooLate { .. } => true,
        Failure::Headscale(HeadscaleError::Client(error)) => {
            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
        }
        _ => false,
    }
}
