//! A Headscale, a Secret and processes, small enough to try everything that can happen.
//!
//! Keys are numbers: the n-th that is asked for has the n-th token and the n-th prefix. A sidecar
//! reads the Secret, then the list, then decides by the real [`plan`]; what it decided is one
//! request, or the chain of commit, create and publish. Every request may go well, be dropped, be
//! carried out without a reply, or arrive at any later time; after each of the last three the
//! process starts anew and knows nothing.

use headscale_keys::{
    Aborted, Action, Current, Intent, KeyPrefix, ListedApiKey, Observed, Record, Retiring,
    Settings, Stored, Token, Verified, plan,
};
use jiff::{SignedDuration, Timestamp};

use crate::model::key_set::{FOREIGN, Keys};
use crate::model::processes::{self, Actors, Step};
use crate::protocol::Protocol;

/// How many keys are asked for at most.
pub(crate) const CREATES: u8 = 4;

const DEAD_KEY: &str = "the Secret holds no key that works (P1)";
const ORPHANS: &str = "more than one key is neither current nor retiring (P3)";
const UNNAMED: &str = "a key exists that the record does not name (P3)";
const TOUCHED: &str = "somebody else's key is gone (P5)";
pub(crate) const UNSETTLED: &str = "without faults it does not come to one key and no writes (P7)";

/// The record without times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Log {
    pub(crate) current: Option<u8>,
    pub(crate) pending: Option<u8>,
    /// Who makes the pending key.
    pub(crate) by: Option<u8>,
    pub(crate) aborted: Keys,
    /// Those of the aborted that Headscale listed.
    pub(crate) found: Keys,
    pub(crate) retiring: Keys,
}

/// The Secret: a record and how often it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Secret {
    pub(crate) version: u16,
    pub(crate) log: Log,
}

/// A request that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Request {
    Create(u8),
    Delete(u8),
    /// Replaces the Secret of this version; of any, where a broken sidecar asks so.
    Commit {
        expected: Option<u16>,
        log: Log,
    },
}

/// Where a process stands, with all that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Process {
    Read {
        unpublished: Option<u8>,
    },
    List {
        secret: Secret,
        unpublished: Option<u8>,
    },
    Decide {
        secret: Secret,
        keys: Keys,
        settled: Keys,
        unpublished: Option<u8>,
    },
    Create {
        key: u8,
        secret: Secret,
    },
    Publish {
        key: u8,
        secret: Secret,
    },
    /// Of the naive sidecar: the key is made, the Secret was read again.
    Overwrite {
        key: u8,
        secret: Secret,
    },
    /// Of the naive sidecar: the Secret is written.
    Expire {
        key: Option<u8>,
    },
}

impl Process {
    pub(crate) const START: Self = Self::Read { unpublished: None };
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) keys: Keys,
    pub(crate) secret: Secret,
    pub(crate) actors: Actors<Request, Process>,
    /// How often a key may still become due.
    pub(crate) rotations: u8,
    pub(crate) next: u8,
    /// Whether a key was ever published.
    pub(crate) published: bool,
}

impl World {
    pub(crate) fn new(processes: usize, faults: u8, rotations: u8) -> Self {
        Self {
            keys: Keys::default().with(FOREIGN),
            secret: Secret::default(),
            actors: Actors::new(processes, Process::START, faults),
            rotations,
            next: 1,
            published: false,
        }
    }

    /// Whether a request for this key may still arrive.
    pub(crate) fn may_be_made(&self, key: u8) -> bool {
        self.actors.late.contains(&Request::Create(key))
            || self
                .actors
                .processes
                .iter()
                .any(|it| matches!(it, Process::Create { key: other, .. } if *other == key))
    }

    fn orphan_keys(&self) -> Keys {
        let log = &self.secret.log;
        let mut owned = log.retiring.with(FOREIGN);
        if let Some(current) = log.current {
            owned = owned.with(current);
        }
        self.keys.minus(owned)
    }

    fn holds_a_dead_key(&self) -> bool {
        self.published && !self.secret.log.current.is_some_and(|current| self.keys.has(current))
    }

    /// Whether there is one key that works, and no other of ours.
    fn is_settled(&self) -> bool {
        let log = &self.secret.log;
        log.pending.is_none()
            && log.aborted.len() == 0
            && log.current.is_some_and(|it| self.keys.without(FOREIGN) == Keys::default().with(it))
    }
}

impl processes::World for World {
    type Protocol = Protocol;
    type Request = Request;
    type Process = Process;

    const START: Process = Process::START;

    fn actors(&self) -> &Actors<Request, Process> {
        &self.actors
    }

    fn actors_mut(&mut self) -> &mut Actors<Request, Process> {
        &mut self.actors
    }

    fn apply(&mut self, request: Request) -> bool {
        match request {
            Request::Create(key) => self.keys = self.keys.with(key),
            Request::Delete(key) => self.keys = self.keys.without(key),
            Request::Commit { expected, log } => {
                if expected.is_some_and(|expected| expected != self.secret.version) {
                    return false;
                }
                self.secret = Secret { version: self.secret.version + 1, log };
                self.published |= log.current.is_some();
            }
        }
        true
    }

    fn steps(&self, protocol: Protocol, index: usize) -> Vec<Step<Self>> {
        protocol.steps(self, index)
    }

    fn wishes(&self) -> Vec<Self> {
        Vec::new()
    }

    fn wrong(&self, quiet: bool) -> Vec<&'static str> {
        let rules = [
            (self.holds_a_dead_key(), DEAD_KEY),
            (self.orphans() > 1, ORPHANS),
            (self.unnamed() > 0, UNNAMED),
            (!self.keys.has(FOREIGN), TOUCHED),
            (quiet && self.next <= CREATES && !self.is_settled(), UNSETTLED),
        ];
        rules.into_iter().filter_map(|(holds, what)| holds.then_some(what)).collect()
    }

    fn orphans(&self) -> u32 {
        self.orphan_keys().len()
    }

    fn unnamed(&self) -> u32 {
        let log = &self.secret.log;
        let named = log.pending.map_or(log.aborted, |pending| log.aborted.with(pending));
        self.orphan_keys().minus(named).len()
    }
}

const LIFETIME: SignedDuration = SignedDuration::from_hours(1000);
const BUFFER: SignedDuration = SignedDuration::from_hours(500);

/// When no key is due.
fn early() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

/// When every key is due, and none has expired.
fn late() -> Timestamp {
    early() + SignedDuration::from_hours(600)
}

fn token(key: u8) -> Token {
    Token::of(early() + LIFETIME + SignedDuration::from_secs(key.into()))
}

fn prefix(key: u8) -> KeyPrefix {
    KeyPrefix::parse(&format!("prefix-of-{key:02}")).expect("12 characters")
}

fn key_of(prefix: &KeyPrefix) -> u8 {
    prefix.as_str().trim_start_matches("prefix-of-").parse().expect("made by `prefix`")
}

fn key_of_token(of: Token) -> u8 {
    (0..16).find(|key| token(*key) == of).expect("made by `token`")
}

fn name(process: u8) -> String {
    process.to_string()
}

fn record(log: &Log) -> Record {
    Record {
        current: log.current.map(current),
        pending: log
            .pending
            .map(|key| Intent { token: token(key), by: name(log.by.unwrap_or_default()) }),
        aborted: log
            .aborted
            .iter()
            .map(|key| Aborted { token: token(key), key: log.found.has(key).then(|| prefix(key)) })
            .collect(),
        retiring: log
            .retiring
            .iter()
            .map(|key| Retiring { key: prefix(key), until: early() })
            .collect(),
        ..Record::default()
    }
}

fn current(key: u8) -> Current {
    Current {
        prefix: prefix(key),
        token: token(key),
        created_at: None,
        verified: Some(Verified::Authenticated),
    }
}

fn log(record: &Record) -> Log {
    let mut log = Log {
        current: record.current.as_ref().map(|it| key_of(&it.prefix)),
        pending: record.pending.as_ref().map(|intent| key_of_token(intent.token)),
        by: record.pending.as_ref().and_then(|intent| intent.by.parse().ok()),
        ..Log::default()
    };
    for aborted in &record.aborted {
        let key = key_of_token(aborted.token);
        log.aborted = log.aborted.with(key);
        if aborted.key.is_some() {
            log.found = log.found.with(key);
        }
    }
    for retiring in &record.retiring {
        log.retiring = log.retiring.with(key_of(&retiring.key));
    }
    log
}

/// A decision in the terms of this world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Commit(Log),
    Delete(u8),
    /// A new key; the record as it is before, without the intent.
    Begin,
    Wait {
        gated: bool,
    },
}

/// What the real plan says of what a process has read.
pub(crate) fn decide(
    secret: &Secret,
    keys: Keys,
    settled: Keys,
    unpublished: Option<u8>,
    due: bool,
    me: u8,
) -> Decision {
    let record = record(&secret.log);
    let stored = Stored {
        prefix: record.current.as_ref().map(|current| current.prefix.clone()),
        record: Some(record),
        created_at: None,
        tidy: true,
    };
    let listed: Vec<ListedApiKey> = keys
        .iter()
        .map(|key| ListedApiKey {
            id: key.into(),
            prefix: prefix(key),
            expiration: Some(token(key).expiration()),
        })
        .collect();
    let settings = Settings::new(LIFETIME, BUFFER, Some(SignedDuration::ZERO)).expect("sound");
    let unpublished: Vec<Token> = unpublished.into_iter().map(token).collect();
    let observed = Observed {
        stored: &stored,
        keys: &listed,
        settled: &settled.iter().map(token).collect(),
        unpublished: &unpublished,
        rejected: false,
        me: &name(me),
    };
    let now = if due { late() } else { early() };
    match plan(&observed, &settings, now, 0) {
        Action::Commit { record, .. } => Decision::Commit(log(&record)),
        Action::Delete { prefix, .. } => Decision::Delete(key_of(&prefix)),
        Action::Begin { .. } => Decision::Begin,
        Action::Wait { state, .. } => {
            Decision::Wait { gated: matches!(state, headscale_keys::State::Gated(_)) }
        }
    }
}

/// The record with this key published.
pub(crate) fn published(of: &Log, key: u8) -> Log {
    log(&record(of).publish(current(key), early()))
}
