//! Headscale, the Secret and sidecars with real times, records and contents.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headscale_keys::{
    Action, ApiKey, Contents, Current, KeyPrefix, ListedApiKey, Observed, Record, Settings, State,
    Token, Verified, Witness, plan,
};
use jiff::{SignedDuration, Timestamp};

pub(crate) const SEND_DEADLINE: Duration = Duration::from_secs(10);
pub(crate) const IN_FLIGHT: Duration = Duration::from_secs(30);
pub(crate) const LIFETIME: SignedDuration = SignedDuration::from_hours(2160);
pub(crate) const BUFFER: SignedDuration = SignedDuration::from_hours(240);
pub(crate) const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    Dropped,
    /// Carried out; the answer is lost.
    Unanswered,
    /// Carried out within the time in flight, by `land`; the answer is lost.
    Late,
    /// Carried out; the answer is an error, and the sidecar goes on.
    Failed,
}

/// A request that changes something.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Create(Token),
    Delete(KeyPrefix),
    Replace { expected: Option<u64>, contents: Contents },
}

/// Where a sidecar stands.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    Look,
    Create { token: Token, began: Duration, record: Record, contents: Contents, version: u64 },
    Publish { key: ApiKey, token: Token, record: Record, contents: Contents, version: u64 },
}

#[derive(Clone, Debug)]
pub(crate) struct Sidecar {
    pub(crate) stage: Stage,
    witness: Witness,
    unpublished: Vec<Token>,
}

impl Sidecar {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Look,
            witness: Witness::new(SEND_DEADLINE, IN_FLIGHT),
            unpublished: Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Duration,
    pub(crate) keys: BTreeMap<KeyPrefix, Option<Timestamp>>,
    pub(crate) secret: Option<(Contents, u64)>,
    pub(crate) sidecars: Vec<Sidecar>,
    /// Requests on their way, with when they are lost at the latest.
    late: Vec<(Request, Duration)>,
    made: u32,
    versions: u64,
    /// Requests that changed something, since it was last asked.
    pub(crate) writes: u32,
    /// When each key was replaced, by the clock that only runs forward.
    replaced: BTreeMap<KeyPrefix, (Duration, Timestamp)>,
    /// Whether the wall clock was set: then grace, which it measures, means nothing.
    pub(crate) clock_was_set: bool,
    pub(crate) wrong: Vec<String>,
}

/// The end of the text of a key that Headscale did not make so.
pub(crate) const MISTYPED: &str = "typo";

/// A key of somebody else.
pub(crate) fn foreign() -> KeyPrefix {
    KeyPrefix::parse("somebodyelse").expect("12 characters")
}

impl World {
    pub(crate) fn new(sidecars: usize) -> Self {
        let wall: Timestamp = "2027-01-01T00:00:00Z".parse().expect("a time");
        Self {
            wall,
            monotonic: Duration::ZERO,
            keys: BTreeMap::from([(foreign(), Some(wall + LIFETIME * 100))]),
            secret: None,
            sidecars: vec![Sidecar::new(); sidecars],
            late: Vec::new(),
            made: 0,
            versions: 0,
            writes: 0,
            replaced: BTreeMap::new(),
            clock_was_set: false,
            wrong: Vec::new(),
        }
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.monotonic += by;
        let by = SignedDuration::try_from(by).expect("some days");
        self.wall = self.wall.checked_add(by).unwrap_or(self.wall);
        let (now, lost) = (self.monotonic, self.late.len());
        self.late.retain(|(_, until)| now < *until);
        assert!(self.late.len() <= lost);
    }

    /// One of the requests on their way arrives.
    pub(crate) fn land(&mut self, index: usize) {
        if !self.late.is_empty() {
            let (request, _) = self.late.remove(index % self.late.len());
            self.apply(&request);
        }
    }

    /// All that are on their way are lost.
    pub(crate) fn lose_late_requests(&mut self) {
        self.late.clear();
    }

    /// Gives the version that was written, or what was refused.
    fn apply(&mut self, request: &Request) -> Option<u64> {
        match request {
            Request::Create(token) => {
                self.made += 1;
                let prefix = KeyPrefix::parse(&format!("-_key{:07}", self.made)).expect("a prefix");
                self.keys.insert(prefix, Some(token.expiration()));
            }
            Request::Delete(prefix) => {
                if let Some((at, wall)) = self.replaced.get(prefix)
                    && !self.clock_was_set
                    && self.wall.duration_since(*wall) < GRACE
                {
                    self.wrong.push(format!("{prefix} was replaced at {at:?} and is deleted (P4)"));
                }
                self.keys.remove(prefix);
            }
            Request::Replace { expected, contents } => {
                if self.secret.as_ref().map(|(_, version)| *version) != *expected {
                    return None;
                }
                let before = self.current_prefix();
                self.versions += 1;
                self.secret = Some((contents.clone(), self.versions));
                let after = self.current_prefix();
                if let Some(before) = before.filter(|before| Some(before) != after.as_ref()) {
                    self.replaced.insert(before, (self.monotonic, self.wall));
                }
            }
        }
        self.writes += 1;
        Some(self.versions)
    }

    pub(crate) fn record(&self) -> Record {
        let loaded = self.secret.as_ref().and_then(|(contents, _)| contents.load().ok());
        loaded.and_then(|loaded| loaded.stored.record).unwrap_or_default()
    }

    /// What names the key that a consumer reads.
    pub(crate) fn current_prefix(&self) -> Option<KeyPrefix> {
        let (contents, _) = self.secret.as_ref()?;
        Some(contents.load().ok()?.key?.prefix().clone())
    }

    /// Whether a consumer's key works.
    pub(crate) fn works(&self) -> bool {
        let key = self.secret.as_ref().and_then(|(contents, _)| contents.load().ok()?.key);
        let is_mistyped = key.is_some_and(|key| key.expose().ends_with(MISTYPED));
        !is_mistyped
            && self.current_prefix().is_some_and(|prefix| {
                self.keys.get(&prefix).is_some_and(|until| until.is_some_and(|it| self.wall < it))
            })
    }

    /// Keys that are neither current nor retiring nor somebody else's, and those of them that the
    /// record does not name.
    pub(crate) fn orphans(&self) -> (usize, usize) {
        let record = self.record();
        let owned = |prefix: &KeyPrefix| {
            *prefix == foreign()
                || record.current.as_ref().is_some_and(|current| current.prefix == *prefix)
                || record.retiring.iter().any(|retiring| retiring.key == *prefix)
        };
        let tokens: BTreeSet<Timestamp> = record.unresolved().map(Token::expiration).collect();
        let orphans = self.keys.iter().filter(|(prefix, _)| !owned(prefix));
        let unnamed =
            orphans.clone().filter(|(_, until)| !until.is_some_and(|it| tokens.contains(&it)));
        (orphans.count(), unnamed.count())
    }

    fn listed(&self) -> Vec<ListedApiKey> {
        let keys = self.keys.iter();
        keys.map(|(prefix, expiration)| ListedApiKey {
            id: 1,
            prefix: prefix.clone(),
            expiration: *expiration,
        })
        .collect()
    }

    /// Sends a request; `None` where the sidecar dies of it, else whether it was taken.
    fn send(&mut self, request: Request, fate: Fate) -> Option<Option<u64>> {
        match fate {
            Fate::Answered => Some(self.apply(&request)),
            Fate::Dropped => None,
            Fate::Unanswered => {
                self.apply(&request);
                None
            }
            Fate::Failed => {
                self.apply(&request);
                Some(None)
            }
            Fate::Late => {
                self.late.push((request, self.monotonic + IN_FLIGHT));
                None
            }
        }
    }

    /// One sidecar takes one step. Gives whether it has nothing to do.
    pub(crate) fn step(&mut self, index: usize, fate: Fate, nonce: u32) -> bool {
        let mut sidecar = self.sidecars[index].clone();
        let stage = std::mem::replace(&mut sidecar.stage, Stage::Look);
        let (alive, idle) = match stage {
            Stage::Look => self.look(index, &mut sidecar, fate, nonce),
            Stage::Create { token, began, record, contents, version } => {
                if self.monotonic - began >= SEND_DEADLINE {
                    (true, false)
                } else {
                    let made = self.made + 1;
                    sidecar.unpublished.push(token);
                    let sent = self.send(Request::Create(token), fate);
                    if sent.is_some() && fate != Fate::Failed {
                        let text = format!("hskey-api--_key{made:07}-{}", "s".repeat(64));
                        let key = ApiKey::parse(&text).expect("a key");
                        sidecar.stage = Stage::Publish { key, token, record, contents, version };
                    }
                    (sent.is_some(), false)
                }
            }
            Stage::Publish { key, token, record, mut contents, version } => {
                // It is tried before: one that is gone is not published.
                if !self.keys.contains_key(key.prefix()) {
                    self.sidecars[index] = sidecar;
                    return false;
                }
                let current = Current {
                    prefix: key.prefix().clone(),
                    token,
                    created_at: Some(self.wall),
                    verified: Some(Verified::Authenticated),
                };
                let record = record.publish(current, self.wall + GRACE);
                contents.write(&record, Some(&key));
                let request = Request::Replace { expected: Some(version), contents };
                (self.send(request, fate).is_some(), false)
            }
        };
        self.sidecars[index] = if alive { sidecar } else { Sidecar::new() };
        idle
    }

    fn look(
        &mut self,
        index: usize,
        sidecar: &mut Sidecar,
        fate: Fate,
        nonce: u32,
    ) -> (bool, bool) {
        let me = format!("headscale-{index}");
        let (mut contents, version) = match &self.secret {
            Some((contents, version)) => (contents.clone(), Some(*version)),
            None => (Contents::ours(), None),
        };
        let loaded = contents.load().expect("ours");
        let record = loaded.stored.record.clone().unwrap_or_default();
        sidecar.witness.read(&record, self.monotonic);
        let known: BTreeSet<Token> =
            record.unresolved().chain(record.current.as_ref().map(|it| it.token)).collect();
        sidecar.unpublished.retain(|token| !known.contains(token));
        let observed = Observed {
            stored: &loaded.stored,
            keys: &self.listed(),
            settled: &sidecar.witness.settled(self.monotonic),
            unpublished: &sidecar.unpublished,
            rejected: loaded.key.is_some_and(|key| key.expose().ends_with(MISTYPED)),
            me: &me,
        };
        let settings = Settings::new(LIFETIME, BUFFER, Some(GRACE)).expect("sound");
        match plan(&observed, &settings, self.wall, nonce) {
            Action::Commit { record, .. } => {
                contents.write(&record, None);
                let named: BTreeSet<Token> = record.unresolved().collect();
                let sent = self.send(Request::Replace { expected: version, contents }, fate);
                if matches!(sent, Some(Some(_))) {
                    sidecar.unpublished.retain(|token| !named.contains(token));
                }
                (sent.is_some(), false)
            }
            Action::Begin { record, token, .. } => {
                contents.write(&record, None);
                let request = Request::Replace { expected: version, contents: contents.clone() };
                let began = self.monotonic;
                match self.send(request, fate) {
                    Some(Some(version)) => {
                        sidecar.stage = Stage::Create { token, began, record, contents, version };
                        (true, false)
                    }
                    Some(None) => (true, false),
                    None => (false, false),
                }
            }
            Action::Delete { prefix, .. } => {
                (self.send(Request::Delete(prefix), fate).is_some(), false)
            }
            Action::Wait { state, .. } => (true, state == State::Healthy),
        }
    }
}
