//! A Headscale, an object, its Secret and processes, small enough to try everything that can
//! happen.
//!
//! Keys are numbers: the n-th that is asked for has the n-th token, number and prefix. An operator
//! reads the object and the Secret, then the list, then decides by the real [`plan`]; what it
//! decided is one request, or the chain of commit, create and publish. Every request may go well, be
//! dropped, be carried out without a reply, or arrive at any later time.

use headscale_keys::pre_auth_key::{
    Aborted, Action, Current, KeyName, Listed, Observed, Record, Retiring, State, Stored, Wanted,
    plan,
};
use headscale_keys::{Intent, KeyPrefix, Token};
use jiff::{SignedDuration, Timestamp};

use crate::model::key_set::{FOREIGN, Keys};
use crate::model::processes::{self, Actors, Step};
use crate::protocol::Protocol;

/// How much happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) processes: usize,
    pub(crate) faults: u8,
    /// How often another key is wanted.
    pub(crate) changes: u8,
    /// How many keys are asked for at most.
    pub(crate) creates: u8,
    /// Whether the object is deleted.
    pub(crate) may_end: bool,
}

/// The record without times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Log {
    /// The key, and which wish it was made for.
    pub(crate) current: Option<(u8, u8)>,
    pub(crate) pending: Option<u8>,
    pub(crate) by: Option<u8>,
    pub(crate) aborted: Keys,
    /// Those of the aborted that Headscale listed.
    pub(crate) found: Keys,
    pub(crate) retiring: Keys,
}

impl Log {
    pub(crate) fn unresolved(&self) -> Keys {
        self.pending.map_or(self.aborted, |pending| self.aborted.with(pending))
    }
}

/// The Secret, where there is one, and how often it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Secret {
    pub(crate) version: u16,
    pub(crate) log: Option<Log>,
}

/// A request that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Request {
    Create(u8),
    Expire(u8),
    Delete(u8),
    /// Replaces or, without a log, deletes the Secret of this version; of any, where a broken
    /// operator asks so.
    Write {
        expected: Option<u16>,
        log: Option<Log>,
    },
    /// Takes the finalizer away.
    LetGo,
}

/// Where a process stands, with all that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Process {
    Read {
        unpublished: Option<u8>,
    },
    List {
        wish: Option<u8>,
        secret: Secret,
        unpublished: Option<u8>,
    },
    Decide {
        seen: Seen,
    },
    Create {
        key: u8,
        wish: u8,
        secret: Secret,
    },
    Publish {
        key: u8,
        wish: u8,
        secret: Secret,
    },
    /// Of the naive operator: expires what it replaced.
    Tidy {
        old: Option<u8>,
    },
    /// There is no such object any more.
    Gone,
}

/// What a process has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) wish: Option<u8>,
    pub(crate) secret: Secret,
    pub(crate) keys: Keys,
    pub(crate) valid: Keys,
    pub(crate) settled: Keys,
    pub(crate) unpublished: Option<u8>,
}

impl Process {
    pub(crate) const START: Self = Self::Read { unpublished: None };
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// What Headscale lists, and what of it works.
    pub(crate) keys: Keys,
    pub(crate) valid: Keys,
    pub(crate) secret: Secret,
    pub(crate) actors: Actors<Request, Process>,
    /// Which key the object asks for; `None` once it is deleted.
    pub(crate) wish: Option<u8>,
    pub(crate) changes: u8,
    pub(crate) may_end: bool,
    pub(crate) next: u8,
    pub(crate) creates: u8,
    /// Whether a key was ever published.
    pub(crate) published: bool,
    /// Whether the object is gone.
    pub(crate) gone: bool,
}

impl World {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            keys: Keys::default().with(FOREIGN),
            valid: Keys::default().with(FOREIGN),
            secret: Secret::default(),
            actors: Actors::new(bounds.processes, Process::START, bounds.faults),
            wish: Some(0),
            changes: bounds.changes,
            may_end: bounds.may_end,
            next: 1,
            creates: bounds.creates,
            published: false,
            gone: false,
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

    fn log(&self) -> Log {
        self.secret.log.unwrap_or_default()
    }

    fn orphan_keys(&self) -> Keys {
        let log = self.log();
        let mut owned = log.retiring.with(FOREIGN);
        if let Some((current, _)) = log.current {
            owned = owned.with(current);
        }
        self.valid.minus(owned)
    }

    /// While a key is wanted, the Secret has one that works, once it had one.
    fn holds_a_dead_key(&self) -> bool {
        let works = self.log().current.is_some_and(|(key, _)| self.valid.has(key));
        self.published && self.wish.is_some() && !works
    }

    /// The object is gone, and a key that was made for it works or may come.
    fn left_something(&self) -> bool {
        let works = self.valid.without(FOREIGN).len() > 0;
        self.gone && (works || (0..=self.creates).any(|key| self.may_be_made(key)))
    }

    /// Whether there is the one key that is wanted and no other of ours; or nothing at all.
    fn is_settled(&self) -> bool {
        let log = self.log();
        let ours = self.keys.without(FOREIGN);
        match self.wish {
            // A Secret that was made too late has no key, and goes with its owner.
            None => self.gone && ours == Keys::default() && log.current.is_none(),
            Some(wish) => {
                log.unresolved().len() == 0
                    && log.retiring.len() == 0
                    && log.current.is_some_and(|(key, made_for)| {
                        made_for == wish && ours == Keys::default().with(key)
                    })
            }
        }
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
            Request::Create(key) => {
                self.keys = self.keys.with(key);
                self.valid = self.valid.with(key);
            }
            Request::Expire(key) => self.valid = self.valid.without(key),
            Request::Delete(key) => {
                self.keys = self.keys.without(key);
                self.valid = self.valid.without(key);
            }
            Request::Write { expected, log } => {
                if expected.is_some_and(|expected| expected != self.secret.version) {
                    return false;
                }
                self.secret = Secret { version: self.secret.version + 1, log };
                self.published |= log.is_some_and(|log| log.current.is_some());
            }
            Request::LetGo => self.gone |= self.wish.is_none(),
        }
        true
    }

    fn steps(&self, protocol: Protocol, index: usize) -> Vec<Step<Self>> {
        protocol.steps(self, index)
    }

    fn wishes(&self) -> Vec<Self> {
        let mut wishes = Vec::new();
        if let (Some(wish), Some(changes)) = (self.wish, self.changes.checked_sub(1)) {
            wishes.push(Self { wish: Some(wish + 1), changes, ..self.clone() });
        }
        if self.wish.is_some() && self.may_end {
            wishes.push(Self { wish: None, may_end: false, ..self.clone() });
        }
        wishes
    }

    fn wrong(&self, quiet: bool) -> Vec<&'static str> {
        let rules = [
            (self.holds_a_dead_key(), "the Secret holds no key that works"),
            (self.orphans() > 1, "more than one key is neither current nor retiring"),
            (self.unnamed() > 0, "a key works that the record does not name"),
            (self.left_something(), "the object is gone, and a key of it works or may come"),
            (!self.valid.has(FOREIGN), "somebody else's key is gone"),
            (
                quiet && self.next <= self.creates && !self.is_settled(),
                "without faults it does not come to one key, or none, and no writes",
            ),
        ];
        rules.into_iter().filter_map(|(holds, what)| holds.then_some(what)).collect()
    }

    fn orphans(&self) -> u32 {
        self.orphan_keys().len()
    }

    fn unnamed(&self) -> u32 {
        self.orphan_keys().minus(self.log().unresolved()).len()
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

fn token(key: u8) -> Token {
    Token::of(now() + SignedDuration::from_hours(1000) + SignedDuration::from_secs(key.into()))
}

fn name(key: u8) -> KeyName {
    let prefix = KeyPrefix::parse(&format!("prefix-of-{key:02}")).expect("12 characters");
    KeyName { id: key.into(), prefix: Some(prefix) }
}

fn key_of(name: &KeyName) -> u8 {
    u8::try_from(name.id).expect("made by `name`")
}

fn key_of_token(of: Token) -> u8 {
    (0..16).find(|key| token(*key) == of).expect("made by `token`")
}

fn current((key, wish): (u8, u8)) -> Current {
    Current {
        key: name(key),
        token: token(key),
        made_for: Some(wish.to_string()),
        created_at: None,
    }
}

fn record(log: &Log) -> Record {
    Record {
        current: log.current.map(current),
        pending: log
            .pending
            .map(|key| Intent { token: token(key), by: log.by.unwrap_or_default().to_string() }),
        aborted: log
            .aborted
            .iter()
            .map(|key| Aborted { token: token(key), key: log.found.has(key).then(|| name(key)) })
            .collect(),
        retiring: log
            .retiring
            .iter()
            .map(|key| Retiring { key: name(key), until: now() })
            .collect(),
        ..Record::default()
    }
}

fn log(record: &Record) -> Log {
    let mut log = Log {
        current: record.current.as_ref().map(|it| {
            let wish = it.made_for.as_ref().and_then(|wish| wish.parse().ok());
            (key_of(&it.key), wish.expect("made by `current`"))
        }),
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
    Expire(u8),
    Delete(u8),
    Begin,
    Wait { gated: bool },
    Released,
}

/// What the real plan says of what a process has read.
pub(crate) fn decide(seen: &Seen, me: u8, alone: bool) -> Decision {
    let read = seen.secret.log.as_ref().map(record);
    let holds = read.as_ref().and_then(|record| record.current.as_ref());
    let stored =
        Stored { holds: holds.map(|current| current.key.prefix.clone()), record: read, tidy: true };
    let listed: Vec<Listed> = seen
        .keys
        .iter()
        .map(|key| Listed {
            key: name(key),
            // Headscale sets the expiration of a key that is expired by hand to that moment.
            expiration: Some(if seen.valid.has(key) { token(key).expiration() } else { now() }),
            used: false,
            reusable: false,
            fits: true,
        })
        .collect();
    let wanted = seen.wish.map(|wish| Wanted {
        made_for: wish.to_string(),
        lifetime: SignedDuration::from_hours(1000),
        rotation: None,
    });
    let unpublished: Vec<Token> = seen.unpublished.into_iter().map(token).collect();
    let observed = Observed {
        stored: &stored,
        keys: &listed,
        settled: &seen.settled.iter().map(token).collect(),
        unpublished: &unpublished,
        me: &me.to_string(),
        alone,
        claimed: None,
        ended: None,
        wanted: wanted.as_ref(),
    };
    match plan(&observed, now(), 0) {
        Action::Commit { record, .. } => Decision::Commit(log(&record)),
        Action::Expire { key, .. } => Decision::Expire(key_of(&key)),
        Action::Delete { key, .. } => Decision::Delete(key_of(&key)),
        Action::Begin { .. } => Decision::Begin,
        Action::Wait { state: State::Released, .. } => Decision::Released,
        Action::Wait { state, .. } => Decision::Wait { gated: matches!(state, State::Gated(_)) },
    }
}

/// The record with this key published, for this wish.
pub(crate) fn published(of: &Log, key: u8, wish: u8) -> Log {
    log(&record(of).publish(current((key, wish)), now()))
}
