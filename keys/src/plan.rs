//! What to do next, from what is written down and what Headscale lists.
//!
//! The protocol, which `tests/exhaustive` explores:
//!
//! 1. *Intent first.* The token of a new key is committed to the record before Headscale is asked
//!    for it. The key is tried, and then published in one update.
//! 2. *Fence.* A pending key whose maker is gone, or silent for too long, is moved to the aborted ones by a commit, and only
//!    then deleted: a late publication by the old maker fails on that commit.
//! 3. *Forget late.* An aborted token is dropped once its key was seen and deleted, or when a list
//!    that was asked for after the last moment at which the key could have been made does not show
//!    it ([`Witness`](crate::Witness)).
//! 4. *Gate.* No new intent while an aborted token is unresolved, so that there is never more than
//!    one key that is neither current nor retiring.
//!
//! Every commit replaces exactly what was read, or fails. The order of reading is the record, then
//! the list.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::api_key::ListedApiKey;
use crate::attempts::later;
use crate::current::{Current, Record, Retiring};
use crate::orphans::{self, Requests, Step, Why};
use crate::prefix::KeyPrefix;
use crate::settings::Settings;
use crate::token::Token;

/// How far a time in the record may lie ahead of the clock before the clock was set back.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// What the Secret holds, without the key's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// What is written down; `None` where nothing is, or nothing that can be read.
    pub record: Option<Record>,
    /// What names the key in the Secret; `None` where there is none, or no whole one.
    pub prefix: Option<KeyPrefix>,
    /// When that key was made, as the Secret says.
    pub created_at: Option<Timestamp>,
    /// Whether the rest of the Secret says what the record says.
    pub tidy: bool,
}

/// Everything that a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// What the Secret holds.
    pub stored: &'a Stored,
    /// What Headscale lists, asked for after the Secret was read.
    pub keys: &'a [ListedApiKey],
    /// Tokens of which that list shows all that ever will be.
    pub settled: &'a BTreeSet<Token>,
    /// Tokens of keys that this process asked for and could not publish.
    pub unpublished: &'a [Token],
    /// Whether Headscale refused the key in the Secret when it was tried.
    pub rejected: bool,
    /// The name of this process; see [`Intent::by`](crate::Intent::by).
    pub me: &'a str,
}

/// Why a new key is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// There is none yet.
    First,
    /// Headscale does not know the key: it was deleted there, or its database was replaced.
    Gone,
    /// The key has expired, by its time or by somebody's hand.
    Expired,
    /// Headscale refuses the key, so its text is not what Headscale made.
    Rejected,
    /// The time before its expiration has come.
    Due,
}

impl Need {
    /// One word, for metrics and Events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Gone => "gone",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Due => "due",
        }
    }
}

/// Why a key is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waste {
    /// It was made and never published.
    Orphan,
    /// It was replaced, and its grace is over.
    Retired,
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The Secret holds a key that Headscale lists as valid, and it is not due.
    Healthy,
    /// A new key is needed, and one that was given up may still come to be, or another process is
    /// making one.
    Gated(Need),
    /// A new key is needed, and the last attempts failed.
    BackingOff(Need),
}

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this record, and look again.
    Commit {
        /// All of what shall be written down.
        record: Record,
        /// What for.
        why: Why,
    },
    /// Write this record, ask Headscale for a key that expires at `token`, try it, publish it.
    Begin {
        /// What shall be written down before; the token is pending in it.
        record: Record,
        /// The expiration to ask for.
        token: Token,
        /// What for.
        need: Need,
    },
    /// Delete this key, and look again.
    Delete {
        /// Which.
        prefix: KeyPrefix,
        /// What for.
        waste: Waste,
    },
    /// Nothing, until then or until something changes.
    Wait {
        /// When a step is due by the wall clock, if one is.
        until: Option<Timestamp>,
        /// What for.
        state: State,
    },
}

/// What to do next. `nonce` is any number; see [`Token::choose`].
///
/// Decides from its arguments alone, in time linear in the listed keys and the record.
#[must_use]
pub fn plan(observed: &Observed<'_>, settings: &Settings, now: Timestamp, nonce: u32) -> Action {
    let written = observed.stored.record.clone().unwrap_or_default();
    let record = taken_over(observed, &written, settings, now);
    if record != written {
        let adopts = record.current.is_some() && record.current != written.current;
        let why = if adopts { Why::Adopt } else { Why::Repair };
        return Action::Commit { record, why };
    }
    if record.current.is_some() && !observed.stored.tidy {
        return Action::Commit { record, why: Why::Repair };
    }
    resolve(observed, &record)
        .or_else(|| begin(observed, &record, settings, now, nonce))
        .or_else(|| retire(observed, &record))
        .or_else(|| delete_retired(observed, &record, now))
        .unwrap_or_else(|| wait(observed, &record, settings, now))
}

fn listed<'a>(keys: &'a [ListedApiKey], prefix: &KeyPrefix) -> Option<&'a ListedApiKey> {
    keys.iter().find(|key| key.prefix == *prefix)
}

/// The record as it should be beside the key that the Secret holds, and with times that the clock
/// can reach.
fn taken_over(
    observed: &Observed<'_>,
    written: &Record,
    settings: &Settings,
    now: Timestamp,
) -> Record {
    let mut record = written.clone();
    let end_of_grace = later(now, settings.grace());
    let recorded = written.current.as_ref().map(|current| &current.prefix);
    if recorded != observed.stored.prefix.as_ref() {
        let adopted = observed.stored.prefix.as_ref().and_then(|prefix| {
            let given_up = written.aborted.iter().any(|it| it.key.as_ref() == Some(prefix));
            // One that Headscale refuses has another text than the key of that name: nobody's.
            let adoptable = !given_up && !observed.rejected;
            let key = listed(observed.keys, prefix).filter(|it| adoptable && it.is_valid(now))?;
            Some(Current {
                prefix: prefix.clone(),
                token: Token::of(key.expiration?),
                created_at: observed.stored.created_at,
                verified: None,
            })
        });
        let replaced = std::mem::replace(&mut record.current, adopted);
        record
            .retiring
            .extend(replaced.map(|old| Retiring { key: old.prefix, until: end_of_grace }));
        if let Some(current) = &record.current {
            record.retiring.retain(|retiring| retiring.key != current.prefix);
        }
    }
    // The clock was set back since: grace begins again, and does not last for years.
    for retiring in &mut record.retiring {
        if retiring.until > later(end_of_grace, SKEW) {
            retiring.until = end_of_grace;
        }
    }
    record
}

/// Settles what may have become of keys that were not published.
fn resolve(observed: &Observed<'_>, record: &Record) -> Option<Action> {
    let requests = Requests {
        settled: observed.settled,
        unpublished: observed.unpublished,
        me: observed.me,
        alone: false,
    };
    let listed: Vec<_> = observed.keys.iter().map(|key| (&key.prefix, key.expiration)).collect();
    orphans::resolve(record, &listed, requests).map(|step| match step {
        Step::Commit(record, why) => Action::Commit { record, why },
        Step::Delete(prefix) => Action::Delete { prefix, waste: Waste::Orphan },
    })
}

/// Why the current key does not do, if so.
fn need(
    observed: &Observed<'_>,
    record: &Record,
    settings: &Settings,
    now: Timestamp,
) -> Option<Need> {
    let Some(current) = &record.current else {
        return Some(Need::First);
    };
    let Some(key) = listed(observed.keys, &current.prefix) else {
        return Some(Need::Gone);
    };
    if !key.is_valid(now) {
        Some(Need::Expired)
    } else if observed.rejected {
        Some(Need::Rejected)
    } else if key.expiration.is_some_and(|expiration| due(expiration, settings) <= now) {
        Some(Need::Due)
    } else {
        None
    }
}

fn due(expiration: Timestamp, settings: &Settings) -> Timestamp {
    expiration.checked_sub(settings.rotation_buffer()).unwrap_or(Timestamp::MIN)
}

/// Starts on a new key where one is needed and may be made.
fn begin(
    observed: &Observed<'_>,
    record: &Record,
    settings: &Settings,
    now: Timestamp,
    nonce: u32,
) -> Option<Action> {
    let need = need(observed, record, settings, now)?;
    if record.is_gated() || record.attempts.wait_until(now).is_some() {
        return None;
    }
    let listed = observed.keys.iter().filter_map(|key| key.expiration);
    let (record, token) = record.begin(observed.me, settings.lifetime(), listed, now, nonce);
    Some(Action::Begin { record, token, need })
}

/// Drops replaced keys that are gone.
fn retire(observed: &Observed<'_>, record: &Record) -> Option<Action> {
    let current = record.current.as_ref().map(|current| &current.prefix);
    let mut next = record.clone();
    next.retiring.retain(|retiring| {
        Some(&retiring.key) != current && listed(observed.keys, &retiring.key).is_some()
    });
    (next.retiring.len() < record.retiring.len())
        .then_some(Action::Commit { record: next, why: Why::Forget })
}

/// Deletes a replaced key whose grace is over.
fn delete_retired(observed: &Observed<'_>, record: &Record, now: Timestamp) -> Option<Action> {
    record
        .retiring
        .iter()
        .find(|it| it.until <= now && listed(observed.keys, &it.key).is_some())
        .map(|it| Action::Delete { prefix: it.key.clone(), waste: Waste::Retired })
}

fn wait(observed: &Observed<'_>, record: &Record, settings: &Settings, now: Timestamp) -> Action {
    let retires = record.retiring.iter().map(|retiring| retiring.until);
    let (state, then) = match need(observed, record, settings, now) {
        Some(need) if record.is_gated() => (State::Gated(need), None),
        Some(need) => (State::BackingOff(need), record.attempts.wait_until(now)),
        None => {
            let key = record.current.as_ref().and_then(|it| listed(observed.keys, &it.prefix));
            let expiration = key.and_then(|key| key.expiration);
            (State::Healthy, expiration.map(|expiration| due(expiration, settings)))
        }
    };
    Action::Wait { until: retires.chain(then).min(), state }
}
