//! What to do next, from what is written down and what Headscale lists.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::record::{Current, KeyName, Record, Retiring};
use crate::attempts::later;
use crate::orphans::{self, Requests, Step, Why};
use crate::prefix::KeyPrefix;
use crate::token::Token;

/// How long a key is left to be before it is replaced because it was used up or has expired:
/// consumers that use up each key at once get no more than twelve in a minute.
const REST: SignedDuration = SignedDuration::from_secs(5);

/// What the Secret holds, without the key's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// What is written down; `None` where nothing is, or nothing that can be read.
    pub record: Option<Record>,
    /// Whether there is a key, and what names it; a key from before 0.28 has no such name.
    pub holds: Option<Option<KeyPrefix>>,
    /// Whether the rest of the Secret says what the record says.
    pub tidy: bool,
}

/// A key as Headscale lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What names it.
    pub key: KeyName,
    /// When it expires, or expired; `None` where it never worked.
    pub expiration: Option<Timestamp>,
    /// Whether a node has used it up.
    pub used: bool,
    /// Whether more than one node may use it.
    pub reusable: bool,
    /// Whether user, tags and kind are those of the key that is wanted.
    pub fits: bool,
}

impl Listed {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.expiration.is_some_and(|expiration| expiration > now)
    }

    /// A node that joined with it would be known by it.
    fn may_have_nodes(&self) -> bool {
        self.used || self.reusable
    }
}

/// The key that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What is to be known of it: a text that changes when another key is wanted.
    pub made_for: String,
    /// How long it lives.
    pub lifetime: SignedDuration,
    /// How long before its expiration it is replaced, and that it is when it was used up; `None`
    /// where it is left as it is.
    pub rotation: Option<SignedDuration>,
}

/// What is known of a key beside what is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Headscale's number of it.
    pub id: u64,
    /// When it expires. Without it, it may be another key of that number.
    pub expiration: Option<Timestamp>,
}

/// Everything that a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// What the Secret holds.
    pub stored: &'a Stored,
    /// What Headscale lists, asked for after the Secret was read.
    pub keys: &'a [Listed],
    /// Tokens of which that list shows all that ever will be.
    pub settled: &'a BTreeSet<Token>,
    /// Tokens of keys that this process asked for and could not publish.
    pub unpublished: &'a [Token],
    /// The name of this process; see [`Intent::by`](crate::Intent::by).
    pub me: &'a str,
    /// Whether no other process may be at work: then an intent of another is of one that is gone.
    pub alone: bool,
    /// What is known of the last key from elsewhere. It counts where nothing is written down.
    pub claimed: Option<Claim>,
    /// How the last key ended, as was seen before: [`Need::Used`] or [`Need::Expired`].
    pub ended: Option<Need>,
    /// The key that there shall be; `None` where there shall be none.
    pub wanted: Option<&'a Wanted>,
}

/// Why a new key is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// There is none yet.
    First,
    /// The Secret does not hold the key any more.
    Lost,
    /// Another one is wanted than the one that there is.
    Changed,
    /// Headscale does not know the key: it was deleted there, or its database was replaced.
    Gone,
    /// The key has expired, by its time or by somebody's hand.
    Expired,
    /// A node has used the key up.
    Used,
    /// The time before its expiration has come.
    Due,
}

impl Need {
    /// One word, for metrics and Events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Expired => "expired",
            Self::Used => "used",
            Self::Due => "due",
        }
    }

    /// From when on the key that is replaced must not work: nodes may still come with one that was
    /// replaced because of its age.
    fn old_until(self, old: &Current, now: Timestamp) -> Timestamp {
        match self {
            Self::Due | Self::Expired | Self::Used => old.token.expiration(),
            Self::First | Self::Lost | Self::Changed | Self::Gone => now,
        }
    }
}

/// Why a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waste {
    /// It was made and never published.
    Orphan,
    /// It was replaced.
    Retired,
    /// The object that it was made for goes.
    Released,
}

/// How things stand when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The Secret holds a key that Headscale lets nodes in with.
    Works,
    /// The key has ended and is not replaced, because that is not asked for.
    Ended(Need),
    /// A new key is needed, or the last must go, and one that was given up may still come to be,
    /// or another process is making one.
    Gated(Need),
    /// A new key is needed, and the last attempts failed.
    BackingOff(Need),
    /// No key shall be, and none is.
    Released,
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
    /// Write this record, ask Headscale for a key that expires at `token`, publish it.
    Begin {
        /// What shall be written down before; the token is pending in it.
        record: Record,
        /// The expiration to ask for.
        token: Token,
        /// What for.
        need: Need,
        /// From when on the key that it replaces must not work.
        old_until: Timestamp,
    },
    /// End this key's life, and look again.
    Expire {
        /// Which.
        key: KeyName,
        /// What for.
        waste: Waste,
    },
    /// Delete this key, which no node has joined with, and look again.
    Delete {
        /// Which.
        key: KeyName,
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
pub fn plan(observed: &Observed<'_>, now: Timestamp, nonce: u32) -> Action {
    let record = taken_over(observed, now);
    let Some(wanted) = observed.wanted else {
        return resolve(observed, &record).unwrap_or_else(|| release(observed, &record, now));
    };
    if let Some(action) = tidy_up(observed, &record) {
        return action;
    }
    let need = need(observed, wanted, &record, now);
    resolve(observed, &record)
        .or_else(|| begin(observed, wanted, &record, need?, now, nonce))
        .or_else(|| retire(observed, &record, now))
        .unwrap_or_else(|| wait(observed, wanted, &record, need, now))
}

fn listed<'a>(keys: &'a [Listed], name: &KeyName) -> Option<&'a Listed> {
    keys.iter().find(|it| it.key == *name)
}

/// What is written down or, where nothing is, what can be known.
fn taken_over(observed: &Observed<'_>, now: Timestamp) -> Record {
    if let Some(record) = &observed.stored.record {
        return record.clone();
    }
    let mut record = Record::default();
    // The number of a key from before 0.28 is all that tells it from others.
    let is_held = |listed: &Listed| match &observed.stored.holds {
        None => false,
        Some(Some(prefix)) => listed.key.prefix.as_ref() == Some(prefix),
        Some(None) => {
            listed.key.prefix.is_none()
                && observed.claimed.is_some_and(|claim| claim.id == listed.key.id)
        }
    };
    let held = observed.keys.iter().find(|it| is_held(it));
    if let Some((listed, expiration)) = held.and_then(|it| Some((it, it.expiration?))) {
        let made_for = observed.wanted.map(|wanted| wanted.made_for.clone());
        record.current = Some(Current {
            key: listed.key.clone(),
            token: Token::of(expiration),
            made_for: made_for.filter(|_| listed.fits),
            created_at: None,
        });
    } else if let Some(Claim { id, expiration: Some(expiration) }) = observed.claimed {
        // Nobody can read it any more. Its expiration is unique, so the number is not another's.
        let is_claimed = |it: &&Listed| it.key.id == id && it.expiration == Some(expiration);
        record.retiring.extend(
            observed
                .keys
                .iter()
                .find(is_claimed)
                .map(|it| Retiring { key: it.key.clone(), until: now }),
        );
    }
    record
}

/// Writes what was taken over, and what the Secret should say.
fn tidy_up(observed: &Observed<'_>, record: &Record) -> Option<Action> {
    let is_written = match &observed.stored.record {
        Some(written) => written == record,
        // What nothing is known of is written with the first intent.
        None => *record == Record::default(),
    };
    let why = if !is_written && record.current.is_some() { Why::Adopt } else { Why::Repair };
    let is_tidy = observed.stored.tidy || observed.stored.record.is_none();
    (!is_written || !is_tidy).then(|| Action::Commit { record: record.clone(), why })
}

/// Settles what may have become of keys that were not published.
fn resolve(observed: &Observed<'_>, record: &Record) -> Option<Action> {
    let requests = Requests {
        settled: observed.settled,
        unpublished: observed.unpublished,
        me: observed.me,
        alone: observed.alone,
    };
    let listed: Vec<_> =
        observed.keys.iter().map(|listed| (&listed.key, listed.expiration)).collect();
    orphans::resolve(record, &listed, requests).map(|step| match step {
        Step::Commit(record, why) => Action::Commit { record, why },
        Step::Delete(key) => Action::Delete { key, waste: Waste::Orphan },
    })
}

/// Why the current key does not do, if so.
fn need(observed: &Observed<'_>, wanted: &Wanted, record: &Record, now: Timestamp) -> Option<Need> {
    let Some(current) = &record.current else {
        return Some(Need::First);
    };
    if observed.stored.holds.as_ref() != Some(&current.key.prefix) {
        return Some(Need::Lost);
    }
    if current.made_for.as_ref() != Some(&wanted.made_for) {
        return Some(Need::Changed);
    }
    let Some(key) = listed(observed.keys, &current.key) else {
        let has_expired = current.token.expiration() <= now;
        return Some(if has_expired {
            Need::Expired
        } else {
            observed.ended.unwrap_or(Need::Gone)
        });
    };
    if !key.is_valid(now) {
        Some(Need::Expired)
    } else if key.used && !key.reusable {
        Some(Need::Used)
    } else if due(wanted, current).is_some_and(|due| due <= now) {
        Some(Need::Due)
    } else {
        None
    }
}

fn due(wanted: &Wanted, current: &Current) -> Option<Timestamp> {
    let buffer = wanted.rotation?;
    Some(current.token.expiration().checked_sub(buffer).unwrap_or(Timestamp::MIN))
}

/// Whether a key that has ended is left as it is.
fn stays_ended(wanted: &Wanted, need: Need) -> bool {
    matches!(need, Need::Expired | Need::Used) && wanted.rotation.is_none()
}

/// Until when no key is begun.
fn paused(record: &Record, need: Need, now: Timestamp) -> Option<Timestamp> {
    let created_at = record.current.as_ref().and_then(|current| current.created_at);
    let rest = created_at
        .filter(|created_at| matches!(need, Need::Expired | Need::Used) && *created_at <= now)
        .map(|created_at| later(created_at, REST))
        .filter(|until| now < *until);
    record.attempts.wait_until(now).max(rest)
}

/// Starts on a new key where one is needed and may be made.
fn begin(
    observed: &Observed<'_>,
    wanted: &Wanted,
    record: &Record,
    need: Need,
    now: Timestamp,
    nonce: u32,
) -> Option<Action> {
    if stays_ended(wanted, need) || record.is_gated() || paused(record, need, now).is_some() {
        return None;
    }
    let old_until = record.current.as_ref().map_or(now, |old| need.old_until(old, now));
    let listed = observed.keys.iter().filter_map(|key| key.expiration);
    let (record, token) = record.begin(observed.me, wanted.lifetime, listed, now, nonce);
    Some(Action::Begin { record, token, need, old_until })
}

/// What is left to do about a key that must not work any more; `None` where nothing is.
fn end(observed: &Observed<'_>, key: &KeyName, waste: Waste, now: Timestamp) -> Option<Action> {
    let listed = listed(observed.keys, key)?;
    if listed.is_valid(now) {
        Some(Action::Expire { key: key.clone(), waste })
    } else if !listed.may_have_nodes() {
        Some(Action::Delete { key: key.clone(), waste })
    } else {
        None
    }
}

/// Ends replaced keys, and drops those that have ended.
fn retire(observed: &Observed<'_>, record: &Record, now: Timestamp) -> Option<Action> {
    let is_current =
        |key: &KeyName| record.current.as_ref().is_some_and(|current| current.key == *key);
    let is_left = |retiring: &Retiring| {
        let works = listed(observed.keys, &retiring.key).is_some_and(|it| it.is_valid(now));
        let is_over = !works || retiring.until <= now;
        !is_current(&retiring.key)
            && (!is_over || end(observed, &retiring.key, Waste::Retired, now).is_some())
    };
    let mut next = record.clone();
    next.retiring.retain(is_left);
    if next.retiring.len() < record.retiring.len() {
        return Some(Action::Commit { record: next, why: Why::Forget });
    }
    let mut over = record.retiring.iter().filter(|retiring| {
        let works = listed(observed.keys, &retiring.key).is_some_and(|it| it.is_valid(now));
        !works || retiring.until <= now
    });
    over.find_map(|retiring| end(observed, &retiring.key, Waste::Retired, now))
}

/// Ends all keys.
fn release(observed: &Observed<'_>, record: &Record, now: Timestamp) -> Action {
    let current = record.current.iter().map(|current| &current.key);
    let mut published = current.chain(record.retiring.iter().map(|retiring| &retiring.key));
    let action = published.find_map(|key| end(observed, key, Waste::Released, now));
    let state = if record.is_gated() { State::Gated(Need::Gone) } else { State::Released };
    action.unwrap_or(Action::Wait { until: None, state })
}

fn wait(
    observed: &Observed<'_>,
    wanted: &Wanted,
    record: &Record,
    need: Option<Need>,
    now: Timestamp,
) -> Action {
    let retires = record.retiring.iter().map(|retiring| retiring.until);
    let (state, then) = match need {
        Some(need) if stays_ended(wanted, need) => (State::Ended(need), None),
        Some(need) if record.is_gated() => (State::Gated(need), None),
        Some(need) => (State::BackingOff(need), paused(record, need, now)),
        None => {
            let current = record.current.as_ref();
            let key = current.and_then(|current| listed(observed.keys, &current.key));
            let due = current.and_then(|current| due(wanted, current));
            (State::Works, due.or_else(|| key.and_then(|key| key.expiration)))
        }
    };
    Action::Wait { until: retires.chain(then).min(), state }
}
