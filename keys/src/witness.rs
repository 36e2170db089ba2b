//! When a request for a key can no longer arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::record::{Published, Record};
use crate::token::Token;

/// Knows since when this process has seen each unresolved token, and with that from when on no
/// request that was sent for it can still make a key.
///
/// Whoever writes a token down sends its request within the *send deadline* or not at all, and what
/// was sent arrives within the time *in flight* or not at all. The token was read here after it was
/// written, so once both have passed since that reading, a list of keys that is asked for then
/// shows the key if it was ever made. Times are those of a clock that only runs forward: setting
/// the wall clock changes nothing.
#[derive(Clone, Debug)]
pub struct Witness {
    settles_after: Duration,
    first_read: BTreeMap<Token, Duration>,
}

impl Witness {
    /// For requests that are sent within `send_deadline` and arrive within `in_flight`.
    #[must_use]
    pub fn new(send_deadline: Duration, in_flight: Duration) -> Self {
        Self { settles_after: send_deadline.saturating_add(in_flight), first_read: BTreeMap::new() }
    }

    /// Notes what the record has; `at` is when its reading was over. Tokens that it no longer has
    /// are forgotten.
    pub fn read<K: Published>(&mut self, record: &Record<K>, at: Duration) {
        let tokens: BTreeSet<Token> = record.unresolved().collect();
        self.first_read.retain(|token, _| tokens.contains(token));
        for token in tokens {
            self.first_read.entry(token).or_insert(at);
        }
    }

    /// The tokens of which a list of keys, asked for at `list_at`, shows all that ever will be.
    /// `list_at` must be taken before the list is asked for: one that is taken after it may promise
    /// what the list does not show.
    #[must_use]
    pub fn settled(&self, list_at: Duration) -> BTreeSet<Token> {
        self.first_read
            .iter()
            .filter(|(_, read)| read.saturating_add(self.settles_after) <= list_at)
            .map(|(token, _)| *token)
            .collect()
    }

    /// When the next token settles, if there is one; never before all have been read.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.first_read.values().min().map(|read| read.saturating_add(self.settles_after))
    }
}
