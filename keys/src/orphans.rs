//! What becomes of keys that were asked for and not published: the same for API keys and pre-auth
//! keys.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::record::{Published, Record};
use crate::token::Token;

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

/// What is known of requests for keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests<'a> {
    /// Tokens of which the list shows all that ever will be.
    pub(crate) settled: &'a BTreeSet<Token>,
    /// Tokens of keys that this process asked for and could not publish.
    pub(crate) unpublished: &'a [Token],
    /// The name of this process.
    pub(crate) me: &'a str,
    /// Whether no other process may be at work.
    pub(crate) alone: bool,
}

/// What to do about an orphan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<K: Published> {
    /// Write this record, and look again.
    Commit(Record<K>, Why),
    /// Delete this key, and look again.
    Delete(K::Name),
}

/// The next step towards a record without orphans; `None` where there are none, or none that
/// something can be done about now. `listed` has name and expiration of each key that Headscale
/// lists, asked for after the record was read.
pub(crate) fn resolve<K: Published>(
    record: &Record<K>,
    listed: &[(&K::Name, Option<Timestamp>)],
    requests: Requests<'_>,
) -> Option<Step<K>> {
    let known = record.expirations();
    let lost = requests.unpublished.iter().find(|token| !known.contains(&token.expiration()));
    if let Some(token) = lost {
        return Some(Step::Commit(record.with_aborted(*token), Why::Abort));
    }
    if let Some(pending) = &record.pending {
        // Another one that is at work is left time for it, else two would give each other's keys up
        // for ever.
        let is_over = requests.alone
            || pending.by == requests.me
            || requests.settled.contains(&pending.token);
        return is_over.then(|| Step::Commit(record.abort_pending(), Why::Abort));
    }
    let mut next = record.clone();
    let mut why = None;
    next.aborted.retain_mut(|aborted| {
        let made = listed.iter().copied().find(|(name, expiration)| {
            // A key that was published after all is no orphan, whatever else the record says.
            !record.has_published(name)
                && match &aborted.key {
                    Some(key) => *name == key,
                    None => *expiration == Some(aborted.token.expiration()),
                }
        });
        match made {
            Some((name, _)) if aborted.key.is_none() => {
                aborted.key = Some(name.clone());
                why = Some(Why::Find);
                true
            }
            Some(_) => true,
            None if aborted.key.is_some() || requests.settled.contains(&aborted.token) => {
                why = why.or(Some(Why::Forget));
                false
            }
            None => true,
        }
    });
    if let Some(why) = why {
        return Some(Step::Commit(next, why));
    }
    record.aborted.iter().find_map(|aborted| aborted.key.clone()).map(Step::Delete)
}
