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
use crate::prefix::KeyPrefix;
use crate::record::{Attempts, Current, Intent, Record, Retiring};
use crate::settings::Settings;
use crate::token::Token;

/// How far a time in the record may lie ahead of the clock before the clock was set back.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The pause after a first attempt that failed; it doubles with each.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause between attempts that fail: then at most six keys are asked for in an hour.
/// Those that succeed are bounded by [`Settings`].
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

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
    /// The name of this process; see [`Intent::by`].
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

/// Why the record is written without a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// A key of another maker, or another key than the recorded one, is taken over as it is.
    Adopt,
    /// The Secret did not say what it should.
    Repair,
    /// A key that was being made is given up; its token stays written down.
    Abort,
    /// Headscale made a key that was given up; it may be deleted now.
    Find,
    /// A key is gone, and nothing is left to do about it.
    Forget,
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
            let given_up = written.aborted.iter().any(|it| it.prefix.as_ref() == Some(prefix));
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
        record.retiring.extend(
            replaced.map(|old| Retiring { prefix: old.prefix, delete_after: end_of_grace }),
        );
        if let Some(current) = &record.current {
            record.retiring.retain(|retiring| retiring.prefix != current.prefix);
        }
    }
    // The clock was set back since: grace begins again, and does not last for years.
    for retiring in &mut record.retiring {
        if retiring.delete_after > later(end_of_grace, SKEW) {
            retiring.delete_after = end_of_grace;
        }
    }
    record
}

/// Settles what may have become of keys that were not published.
fn resolve(observed: &Observed<'_>, record: &Record) -> Option<Action> {
    let known = record.expirations();
    let lost = observed.unpublished.iter().find(|token| !known.contains(&token.expiration()));
    if let Some(token) = lost {
        return Some(Action::Commit { record: record.with_aborted(*token), why: Why::Abort });
    }
    if let Some(Intent { token, by }) = &record.pending {
        // Another one that is at work is left time for it, else two would give each other's keys up
        // for ever.
        let is_over = by == observed.me || observed.settled.contains(token);
        let abort = || Action::Commit { record: record.abort_pending(), why: Why::Abort };
        return is_over.then(abort);
    }
    // A key that was published after all is no orphan, whatever else the record says.
    let published = |prefix: &KeyPrefix| {
        record.current.as_ref().is_some_and(|current| current.prefix == *prefix)
            || record.retiring.iter().any(|retiring| retiring.prefix == *prefix)
    };
    let mut next = record.clone();
    let mut why = None;
    next.aborted.retain_mut(|aborted| {
        let made = observed.keys.iter().find(|key| {
            !published(&key.prefix)
                && match &aborted.prefix {
                    Some(prefix) => key.prefix == *prefix,
                    None => key.expiration == Some(aborted.token.expiration()),
                }
        });
        match made {
            Some(key) if aborted.prefix.is_none() => {
                aborted.prefix = Some(key.prefix.clone());
                why = Some(Why::Find);
                true
            }
            Some(_) => true,
            None if aborted.prefix.is_some() || observed.settled.contains(&aborted.token) => {
                why = why.or(Some(Why::Forget));
                false
            }
            None => true,
        }
    });
    if let Some(why) = why {
        return Some(Action::Commit { record: next, why });
    }
    let prefix = record.aborted.iter().find_map(|aborted| aborted.prefix.clone())?;
    Some(Action::Delete { prefix, waste: Waste::Orphan })
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

pub(crate) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Until when no attempt may be made after those that failed. A last attempt that lies in the
/// future says nothing: the clock was set back since.
pub(crate) fn backed_off(attempts: Attempts, now: Timestamp) -> Option<Timestamp> {
    let last = attempts.last.filter(|last| *last <= now)?;
    let doublings = attempts.count.checked_sub(1)?.min(16);
    let pause = FIRST_PAUSE.checked_mul(1 << doublings).unwrap_or(LONGEST_PAUSE);
    let until = later(last, pause.min(LONGEST_PAUSE));
    (now < until).then_some(until)
}

/// Whether a key may still come to be that was not published.
fn is_gated(record: &Record) -> bool {
    record.unresolved().next().is_some()
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
    if is_gated(record) || backed_off(record.attempts, now).is_some() {
        return None;
    }
    let mut taken = record.expirations();
    taken.extend(observed.keys.iter().filter_map(|key| key.expiration));
    let token = Token::choose(now, settings.lifetime(), nonce, &taken);
    let mut next = record.clone();
    next.pending = Some(Intent { token, by: observed.me.to_owned() });
    next.attempts = Attempts { count: record.attempts.count.saturating_add(1), last: Some(now) };
    Some(Action::Begin { record: next, token, need })
}

/// Drops replaced keys that are gone.
fn retire(observed: &Observed<'_>, record: &Record) -> Option<Action> {
    let current = record.current.as_ref().map(|current| &current.prefix);
    let mut next = record.clone();
    next.retiring.retain(|retiring| {
        Some(&retiring.prefix) != current && listed(observed.keys, &retiring.prefix).is_some()
    });
    (next.retiring.len() < record.retiring.len())
        .then_some(Action::Commit { record: next, why: Why::Forget })
}

/// Deletes a replaced key whose grace is over.
fn delete_retired(observed: &Observed<'_>, record: &Record, now: Timestamp) -> Option<Action> {
    record
        .retiring
        .iter()
        .find(|it| it.delete_after <= now && listed(observed.keys, &it.prefix).is_some())
        .map(|it| Action::Delete { prefix: it.prefix.clone(), waste: Waste::Retired })
}

fn wait(observed: &Observed<'_>, record: &Record, settings: &Settings, now: Timestamp) -> Action {
    let retires = record.retiring.iter().map(|retiring| retiring.delete_after);
    let (state, then) = match need(observed, record, settings, now) {
        Some(need) if is_gated(record) => (State::Gated(need), None),
        Some(need) => (State::BackingOff(need), backed_off(record.attempts, now)),
        None => {
            let key = record.current.as_ref().and_then(|it| listed(observed.keys, &it.prefix));
            let expiration = key.and_then(|key| key.expiration);
            (State::Healthy, expiration.map(|expiration| due(expiration, settings)))
        }
    };
    Action::Wait { until: retires.chain(then).min(), state }
}
