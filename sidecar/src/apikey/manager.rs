//! One key in one Secret: reads both sides, has [`plan`] decide, and does it.
//!
//! Nothing that matters is kept in memory, so a call that is dropped anywhere, or a process that is
//! killed anywhere, leaves what the next one goes on from.

use std::time::Duration;

use headscale_keys::{
    Action, ApiKey, Contents, Current, Foreign, KeyPrefix, Loaded, Need, Observed, Record,
    Settings, State, Token, Verified, Waste, Why, Witness, plan,
};
use jiff::Timestamp;
use thiserror::Error;

use super::clock::Clock;
use super::headscale::{Headscale, HeadscaleError, Listed, Tried};
use super::store::{KeyRecordStore, StoreError};

/// How often the key itself is tried, where Headscale lists keys without it.
const TRY_EVERY: Duration = Duration::from_secs(60 * 60);
/// How soon it is tried again where nothing that asks for a key could be reached.
const TRY_AGAIN: Duration = Duration::from_secs(5 * 60);

/// How long requests may take, which is what makes it safe to forget one.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// After this a key that was written down is not asked for any more.
    pub send_deadline: Duration,
    /// After this a request that was sent does not arrive any more.
    pub in_flight: Duration,
}

/// What a turn did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A new key is in the Secret.
    Published {
        /// Which.
        prefix: KeyPrefix,
        /// Until when it works.
        expiration: Timestamp,
        /// Why there had to be one.
        need: Need,
        /// How it was shown to work.
        verified: Verified,
    },
    /// The record was written.
    Wrote(Why),
    /// A key is gone from Headscale.
    Deleted {
        /// Which.
        prefix: KeyPrefix,
        /// Why.
        waste: Waste,
    },
    /// There was nothing to do.
    Idle(Idle),
}

/// How things stand when there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Why there is nothing to do.
    pub state: State,
    /// For how long, at most.
    pub pause: Option<Duration>,
    /// What is written down.
    pub record: Record,
}

/// Why a turn failed. The next one goes on from whatever became of it.
#[derive(Debug, Error)]
pub enum Failure {
    /// The Secret.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Headscale.
    #[error(transparent)]
    Headscale(#[from] HeadscaleError),
    /// The Secret is not ours.
    #[error("Secret {name}: {foreign}")]
    Foreign {
        /// The Secret.
        name: String,
        /// Why not.
        foreign: Foreign,
    },
    /// So much time passed since the intent was written that asking for the key is not safe.
    #[error(
        "a key was not asked for or did not come within --send-deadline ({}s since the Secret was \
         written); trying again", .took.as_secs()
    )]
    TooLate {
        /// How long.
        took: Duration,
    },
    /// There is no randomness to be had.
    #[error("no random number to be had from the system: {0}")]
    Random(String),
}

impl Failure {
    /// One word, for metrics and Events.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Headscale(error) => error.reason(),
            Self::Foreign { .. } => "foreign_secret",
            Self::TooLate { .. } => "too_late",
            Self::Random(_) => "random",
        }
    }
}

/// The manager of one key.
pub struct Manager<S: KeyRecordStore, C: Clock> {
    store: S,
    headscale: Headscale,
    clock: C,
    settings: Settings,
    limits: Limits,
    name: String,
    me: String,
    witness: Witness,
    /// Tokens of keys that were made here and that the record does not name.
    unpublished: Vec<Token>,
    /// The key that was tried last, and until when that will do.
    tried: Option<(ApiKey, Duration)>,
    /// What was read or written last.
    record: Record,
    /// Until when the key in the Secret works, as was seen last.
    works_until: Option<Timestamp>,
    /// What the last turn read of the Secret: its version, for what else is said about it.
    version: Option<S::Version>,
    /// What is wrong with the Secret, as it was last told.
    defects: Vec<String>,
}

impl<S: KeyRecordStore, C: Clock> Manager<S, C> {
    /// The manager of the key in `store`, which people know as `name`; `me` is the name that this
    /// process keeps when it starts anew.
    pub fn new(
        store: S,
        headscale: Headscale,
        clock: C,
        settings: Settings,
        limits: Limits,
        name: &str,
        me: &str,
    ) -> Self {
        Self {
            store,
            headscale,
            clock,
            settings,
            limits,
            name: name.to_owned(),
            me: me.to_owned(),
            witness: Witness::new(limits.send_deadline, limits.in_flight),
            unpublished: Vec::new(),
            tried: None,
            record: Record::default(),
            works_until: None,
            version: None,
            defects: Vec::new(),
        }
    }

    /// The version of the Secret that was read last.
    pub fn version(&self) -> Option<&S::Version> {
        self.version.as_ref()
    }

    /// What was read of the record last, or written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Until when the key in the Secret works, as Headscale said when it was asked last; `None` where
    /// there is none that does.
    pub fn works_until(&self) -> Option<Timestamp> {
        self.works_until
    }

    /// The clock.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Whether Headscale answers.
    ///
    /// # Errors
    ///
    /// When it does not, with why.
    pub async fn reach(&self) -> Result<(), HeadscaleError> {
        self.headscale.reach().await
    }

    /// Takes one step, or finds that there is none to take.
    ///
    /// # Errors
    ///
    /// When a side cannot be read or written; nothing is lost by it.
    pub async fn turn(&mut self) -> Result<Turn, Failure> {
        let read = self.store.load().await?;
        let read_at = self.clock.elapsed();
        let (contents, version) = match read {
            Some((contents, version)) => (contents, Some(version)),
            None => (Contents::ours(), None),
        };
        self.version = version;
        let loaded = contents.load().map_err(|foreign| {
            self.works_until = None;
            Failure::Foreign { name: self.name.clone(), foreign }
        })?;
        self.tell_defects(&loaded);
        let record = loaded.stored.record.clone().unwrap_or_default();
        self.witness.read(&record, read_at);
        self.remember(&record);

        let list_at = self.clock.elapsed();
        let Listed { keys, tried } = self.headscale.list(self.key_to_try(&loaded)).await?;
        match tried {
            Tried::No => {}
            Tried::Works => self.has_tried(loaded.key.as_ref(), TRY_EVERY),
            Tried::Unreachable => self.has_tried(loaded.key.as_ref(), TRY_AGAIN),
            // One that is refused is tried each time: else it would pass for one that works.
            Tried::Refused => self.tried = None,
        }
        let held = keys.iter().find(|key| loaded.stored.prefix.as_ref() == Some(&key.prefix));
        self.works_until = held.filter(|_| tried != Tried::Refused).and_then(|key| key.expiration);
        let settled = self.witness.settled(list_at);
        let observed = Observed {
            stored: &loaded.stored,
            keys: &keys,
            settled: &settled,
            unpublished: &self.unpublished,
            rejected: tried == Tried::Refused,
            me: &self.me,
        };
        let nonce = getrandom::u32().map_err(|error| Failure::Random(error.to_string()))?;
        match plan(&observed, &self.settings, self.clock.now(), nonce) {
            Action::Commit { record, why } => {
                self.write(contents, &record).await?;
                self.remember(&record);
                Ok(Turn::Wrote(why))
            }
            Action::Begin { record, token, need } => {
                self.renew(contents, &record, token, need).await
            }
            Action::Delete { prefix, waste } => {
                self.headscale.delete(&prefix).await?;
                Ok(Turn::Deleted { prefix, waste })
            }
            Action::Wait { until, state } => Ok(Turn::Idle(self.idle(record, until, state))),
        }
    }

    /// The key of the Secret, where it shall be tried: always where there is no other way, at first
    /// and each hour otherwise.
    fn key_to_try<'a>(&self, loaded: &'a Loaded) -> Option<&'a ApiKey> {
        let key = loaded.key.as_ref()?;
        let is_fresh = self.tried.as_ref().is_some_and(|(tried, until)| {
            tried.expose() == key.expose() && self.clock.elapsed() < *until
        });
        (self.headscale.needs_key() || !is_fresh).then_some(key)
    }

    fn has_tried(&mut self, key: Option<&ApiKey>, for_as_long_as: Duration) {
        let until = self.clock.elapsed().saturating_add(for_as_long_as);
        self.tried = key.map(|key| (key.clone(), until));
    }

    /// What the record names needs no remembering here.
    fn remember(&mut self, record: &Record) {
        self.record.clone_from(record);
        let current = record.current.as_ref().map(|current| current.token);
        self.unpublished.retain(|token| {
            current != Some(*token) && !record.unresolved().any(|other| other == *token)
        });
    }

    fn tell_defects(&mut self, loaded: &Loaded) {
        if loaded.defects != self.defects {
            for defect in &loaded.defects {
                tracing::warn!(secret = %self.name, "{defect}; it will be written anew");
            }
            self.defects.clone_from(&loaded.defects);
        }
    }

    async fn write(&mut self, mut contents: Contents, record: &Record) -> Result<(), StoreError> {
        contents.write(record, None);
        self.version = Some(self.store.replace(self.version.as_ref(), &contents).await?);
        Ok(())
    }

    /// Makes a key: written down, asked for, tried, published.
    async fn renew(
        &mut self,
        mut contents: Contents,
        record: &Record,
        token: Token,
        need: Need,
    ) -> Result<Turn, Failure> {
        let began = self.clock.elapsed();
        contents.write(record, None);
        let version = self.store.replace(self.version.as_ref(), &contents).await?;
        let took = self.clock.elapsed().saturating_sub(began);
        if took >= self.limits.send_deadline {
            return Err(Failure::TooLate { took });
        }
        // Whatever comes of it, this process knows of it until the record does not name it in vain.
        self.unpublished.push(token);
        let left = self.limits.send_deadline - took;
        let asked = tokio::time::timeout(left, self.headscale.create(token.expiration())).await;
        let key = match asked {
            Ok(key) => key?,
            // A call that is given up sends nothing any more.
            Err(_) => return Err(Failure::TooLate { took: self.limits.send_deadline }),
        };
        let verified = self.headscale.prove(&key, self.clock.now()).await?;
        let now = self.clock.now();
        let current = Current {
            prefix: key.prefix().clone(),
            token,
            created_at: Some(now),
            verified: Some(verified),
        };
        let end_of_grace = now.checked_add(self.settings.grace()).unwrap_or(Timestamp::MAX);
        let record = record.publish(current, end_of_grace);
        contents.write(&record, Some(&key));
        self.version = Some(self.store.replace(Some(&version), &contents).await?);
        self.remember(&record);
        self.works_until = Some(token.expiration());
        let is_tried = verified == Verified::Authenticated;
        self.has_tried(Some(&key), if is_tried { TRY_EVERY } else { TRY_AGAIN });
        let (prefix, expiration) = (key.prefix().clone(), token.expiration());
        Ok(Turn::Published { prefix, expiration, need, verified })
    }

    fn idle(&self, record: Record, until: Option<Timestamp>, state: State) -> Idle {
        let now = self.clock.now();
        let by_the_wall =
            until.map(|until| Duration::try_from(until.duration_since(now)).unwrap_or_default());
        let settles = self.witness.next().map(|at| at.saturating_sub(self.clock.elapsed()));
        let pause = by_the_wall.into_iter().chain(settles).min();
        Idle { state, pause, record }
    }
}
