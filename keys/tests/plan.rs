//! What the plan says in each situation, one by one; `exhaustive` and `lifecycle` put them together.

#![expect(clippy::expect_used, reason = "a helper of a test fails by a panic, as the test does")]

use std::collections::BTreeSet;
use std::time::Duration;

use headscale_keys::{
    Aborted, Action, Attempts, Contents, Current, Foreign, Intent, KeyPrefix, ListedApiKey, Need,
    Observed, Record, Retiring, Settings, SettingsError, State, Stored, Token, Waste, Why, Witness,
    plan,
};
use jiff::{SignedDuration, Timestamp};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn now() -> Timestamp {
    "2027-06-01T12:00:00Z".parse().expect("a time")
}

fn prefix(name: &str) -> KeyPrefix {
    KeyPrefix::parse(&format!("{name:_>12}")).expect("a prefix")
}

fn current(name: &str, lives: SignedDuration) -> Current {
    let token = Token::of(now() + lives);
    Current { prefix: prefix(name), token, created_at: None, verified: None }
}

fn listed(name: &str, lives: SignedDuration) -> ListedApiKey {
    ListedApiKey { id: 1, prefix: prefix(name), expiration: Some(now() + lives) }
}

/// A situation: what is written down, and what Headscale has.
struct Situation {
    stored: Stored,
    keys: Vec<ListedApiKey>,
    settled: BTreeSet<Token>,
    unpublished: Vec<Token>,
    rejected: bool,
}

impl Situation {
    fn of(record: Record, keys: Vec<ListedApiKey>) -> Self {
        let prefix = record.current.as_ref().map(|current| current.prefix.clone());
        let stored = Stored { record: Some(record), prefix, created_at: None, tidy: true };
        Self { stored, keys, settled: BTreeSet::new(), unpublished: Vec::new(), rejected: false }
    }

    /// 2160 hours, of which the last 240 are for rotation, and an hour of grace.
    fn plan(&self) -> Action {
        let settings = Settings::new(HOUR * 2160, HOUR * 240, None).expect("sound");
        let observed = Observed {
            stored: &self.stored,
            keys: &self.keys,
            settled: &self.settled,
            unpublished: &self.unpublished,
            rejected: self.rejected,
            me: "headscale-0",
        };
        plan(&observed, &settings, now(), 7)
    }

    fn need(&self) -> Option<Need> {
        match self.plan() {
            Action::Begin { need, .. } => Some(need),
            _ => None,
        }
    }
}

fn with_current(lives: SignedDuration) -> Record {
    Record { current: Some(current("now", lives)), ..Record::default() }
}

#[test]
fn a_key_is_needed_when_and_only_when_the_one_that_there_is_does_not_do() {
    let empty = Situation::of(Record::default(), Vec::new());
    assert_eq!(empty.need(), Some(Need::First));

    let at = |lives: SignedDuration, keys| Situation::of(with_current(lives), keys);
    assert_eq!(at(HOUR * 2000, vec![listed("now", HOUR * 2000)]).need(), None);
    assert_eq!(at(HOUR * 2000, Vec::new()).need(), Some(Need::Gone));
    // Somebody expired it by hand.
    assert_eq!(at(HOUR * 2000, vec![listed("now", -HOUR)]).need(), Some(Need::Expired));
    assert_eq!(at(HOUR * 240, vec![listed("now", HOUR * 240)]).need(), Some(Need::Due));
    let second = SignedDuration::from_secs(1);
    let almost = HOUR * 240 + second;
    assert_eq!(at(almost, vec![listed("now", almost)]).need(), None);
    let mut refused = at(HOUR * 2000, vec![listed("now", HOUR * 2000)]);
    refused.rejected = true;
    assert_eq!(refused.need(), Some(Need::Rejected));
    // A key that was born expired.
    let mut born_expired = listed("now", HOUR);
    born_expired.expiration = None;
    assert_eq!(at(HOUR * 2000, vec![born_expired]).need(), Some(Need::Expired));
}

#[test]
fn an_intent_names_its_maker_and_a_token_that_nobody_has() {
    let taken = now() + HOUR * 2160 + SignedDuration::from_micros(7);
    let mut key = listed("other", HOUR);
    key.expiration = Some(taken);
    let action = Situation::of(Record::default(), vec![key]).plan();
    let Action::Begin { record, token, need: Need::First } = action else {
        panic!("it begins, not {action:?}");
    };
    assert_eq!(record.pending, Some(Intent { token, by: "headscale-0".to_owned() }));
    assert_eq!(token.expiration(), taken + SignedDuration::from_micros(1));
    assert_eq!(record.attempts, Attempts { count: 1, last: Some(now()) });
}

#[test]
fn attempts_that_failed_are_followed_by_longer_and_longer_pauses() {
    let pause = |count, since: SignedDuration| {
        let record =
            Record { attempts: Attempts { count, last: Some(now() - since) }, ..Record::default() };
        match Situation::of(record, Vec::new()).plan() {
            Action::Wait { until, state: State::BackingOff(Need::First) } => {
                Some(until.expect("an end").duration_since(now()).as_secs())
            }
            Action::Begin { .. } => None,
            other => panic!("{other:?}"),
        }
    };
    let none = SignedDuration::ZERO;
    assert_eq!(
        [1, 2, 3, 10, 11, 4000].map(|count| pause(count, none)),
        [Some(1), Some(2), Some(4), Some(512), Some(600), Some(600)]
    );
    assert_eq!(pause(3, SignedDuration::from_secs(3)), Some(1));
    assert_eq!(pause(3, SignedDuration::from_secs(4)), None);
    // The clock was set back: the last attempt lies ahead and says nothing.
    assert_eq!(pause(3, -HOUR * 87_600), None);
}

#[test]
fn a_pending_key_of_this_process_is_given_up_at_once_and_anothers_when_it_is_settled() {
    let token = Token::of(now() + HOUR * 2160);
    let pending = |by: &str| Record {
        pending: Some(Intent { token, by: by.to_owned() }),
        ..with_current(HOUR * 100)
    };
    let keys = vec![listed("now", HOUR * 100)];
    let gives_up = |situation: &Situation| match situation.plan() {
        Action::Commit { record, why: Why::Abort } => {
            assert_eq!(record.pending, None);
            assert_eq!(record.aborted, [Aborted { token, key: None }]);
            true
        }
        Action::Wait { state: State::Gated(Need::Due), .. } => false,
        other => panic!("{other:?}"),
    };
    assert!(gives_up(&Situation::of(pending("headscale-0"), keys.clone())));
    let mut another = Situation::of(pending("headscale-1"), keys);
    assert!(!gives_up(&another));
    another.settled.insert(token);
    assert!(gives_up(&another));
}

#[test]
fn a_key_that_was_given_up_is_named_then_deleted_then_forgotten() {
    let token = Token::of(now() + HOUR * 2160);
    let orphan = listed("orphan", HOUR * 2160);
    let mine = listed("now", HOUR * 2000);
    let record =
        Record { aborted: vec![Aborted { token, key: None }], ..with_current(HOUR * 2000) };
    let at = |record: &Record, keys: &[&ListedApiKey]| {
        Situation::of(record.clone(), keys.iter().map(|key| (*key).clone()).collect()).plan()
    };
    // Not listed, and it may still come: nothing is forgotten.
    assert!(matches!(at(&record, &[&mine]), Action::Wait { state: State::Healthy, .. }));
    let Action::Commit { record: named, why: Why::Find } = at(&record, &[&mine, &orphan]) else {
        panic!("it is named");
    };
    assert_eq!(named.aborted, [Aborted { token, key: Some(prefix("orphan")) }]);
    let delete = Action::Delete { prefix: prefix("orphan"), waste: Waste::Orphan };
    assert_eq!(at(&named, &[&mine, &orphan]), delete);
    // It came, so it cannot come again.
    let Action::Commit { record: clean, why: Why::Forget } = at(&named, &[&mine]) else {
        panic!("it is forgotten");
    };
    assert_eq!(clean, with_current(HOUR * 2000));
}

#[test]
fn a_key_that_was_published_and_replaced_is_no_orphan_whatever_a_process_remembers() {
    // Its maker never heard that it was published, and gives it up after it was replaced.
    let token = Token::of(now() + HOUR * 100);
    let record = Record {
        aborted: vec![Aborted { token, key: None }],
        retiring: vec![Retiring { key: prefix("old"), until: now() + HOUR }],
        ..with_current(HOUR * 2000)
    };
    let keys = vec![listed("now", HOUR * 2000), listed("old", HOUR * 100)];
    let action = Situation::of(record, keys).plan();
    assert!(matches!(action, Action::Wait { state: State::Healthy, .. }), "{action:?}");
}

#[test]
fn a_key_that_this_process_could_not_publish_is_written_down_unless_it_is_known() {
    let token = Token::of(now() + HOUR * 2161);
    let mut lost = Situation::of(with_current(HOUR * 2000), vec![listed("now", HOUR * 2000)]);
    lost.unpublished.push(token);
    let Action::Commit { record, why: Why::Abort } = lost.plan() else {
        panic!("it is written down");
    };
    assert_eq!(record.aborted, [Aborted { token, key: None }]);
    lost.unpublished = vec![Token::of(now() + HOUR * 2000)];
    assert!(matches!(lost.plan(), Action::Wait { .. }), "it was published after all");
}

#[test]
fn replaced_keys_live_out_their_grace_and_no_longer_than_the_clock_can_tell() {
    let keys = vec![listed("now", HOUR * 2000), listed("old", HOUR * 100)];
    let retiring = |until| {
        let record = Record {
            retiring: vec![Retiring { key: prefix("old"), until }],
            ..with_current(HOUR * 2000)
        };
        Situation::of(record, keys.clone()).plan()
    };
    let half = now() + HOUR / 2;
    assert_eq!(retiring(half), Action::Wait { until: Some(half), state: State::Healthy });
    let delete = Action::Delete { prefix: prefix("old"), waste: Waste::Retired };
    assert_eq!(retiring(now()), delete);
    // Written while the clock was ten years ahead.
    let Action::Commit { record, why: Why::Repair } = retiring(now() + HOUR * 87_600) else {
        panic!("grace begins again");
    };
    assert_eq!(record.retiring, [Retiring { key: prefix("old"), until: now() + HOUR }]);
}

#[test]
fn a_key_that_is_needed_is_made_before_old_ones_are_cleared_away() {
    let record = Record {
        retiring: vec![Retiring { key: prefix("old"), until: now() }],
        ..with_current(HOUR)
    };
    let keys = vec![listed("now", HOUR), listed("old", HOUR)];
    assert_eq!(Situation::of(record, keys).need(), Some(Need::Due));
}

#[test]
fn another_key_in_the_secret_is_adopted_if_it_works_and_replaced_if_not() {
    let mut swapped = Situation::of(
        with_current(HOUR * 2000),
        vec![listed("now", HOUR * 2000), listed("theirs", HOUR * 500)],
    );
    swapped.stored.prefix = Some(prefix("theirs"));
    let Action::Commit { record, why: Why::Adopt } = swapped.plan() else {
        panic!("it is adopted");
    };
    assert_eq!(record.current, Some(current("theirs", HOUR * 500)));
    assert_eq!(record.retiring, [Retiring { key: prefix("now"), until: now() + HOUR }]);

    // Mistyped: Headscale has a key of that name, and refuses this one.
    swapped.rejected = true;
    let Action::Commit { record, why: Why::Repair } = swapped.plan() else {
        panic!("it is not adopted");
    };
    assert_eq!(record.current, None);

    swapped.keys.pop();
    let Action::Commit { record, why: Why::Repair } = swapped.plan() else {
        panic!("it is not adopted");
    };
    assert_eq!(record.current, None);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let new = |lifetime, buffer, grace| Settings::new(HOUR * lifetime, HOUR * buffer, grace);
    assert_eq!(new(2160, 1920, None).expect("the defaults").grace(), HOUR);
    assert_eq!(new(2, 0, None).expect("sound").grace(), SignedDuration::ZERO);
    assert!(matches!(new(0, 0, None), Err(SettingsError::Lifetime(_))));
    assert!(matches!(new(2, -1, None), Err(SettingsError::Buffer(_))));
    assert!(matches!(new(2, 2, None), Err(SettingsError::BufferTooLong { .. })));
    assert!(matches!(new(2, 1, Some(-HOUR)), Err(SettingsError::Grace(_))));
    assert!(matches!(new(3, 1, Some(HOUR * 2)), Err(SettingsError::GraceTooLong { .. })));
    // Every minute, with an hour of grace: 60 keys would work at a time.
    let often = |grace| Settings::new(HOUR * 2, HOUR * 2 - HOUR / 60, grace);
    assert!(matches!(often(Some(HOUR)), Err(SettingsError::TooOften { .. })));
    assert_eq!(often(None).expect("sound").grace(), SignedDuration::from_mins(16));
}

#[test]
fn a_token_settles_when_its_request_can_no_longer_arrive() {
    let seconds = Duration::from_secs;
    let mut witness = Witness::new(seconds(10), seconds(30));
    let token = Token::of(now());
    let record = Record { aborted: vec![Aborted { token, key: None }], ..Record::default() };
    witness.read(&record, seconds(5));
    witness.read(&record, seconds(20));
    assert_eq!(witness.next(), Some(seconds(45)));
    assert!(witness.settled(seconds(44)).is_empty());
    assert_eq!(witness.settled(seconds(45)), BTreeSet::from([token]));
    // What is forgotten and comes again is new.
    witness.read(&Record::default(), seconds(50));
    witness.read(&record, seconds(60));
    assert!(witness.settled(seconds(99)).is_empty());
}

#[test]
fn tokens_end_with_the_calendar() {
    let last = Token::choose(Timestamp::MAX, HOUR * 2160, 0, &BTreeSet::new());
    assert!(last.expiration() <= Timestamp::MAX);
    assert_eq!(last.expiration().as_nanosecond() % 1000, 0, "whole microseconds");
}

#[test]
fn only_a_secret_with_both_labels_and_the_right_type_is_ours() {
    let ours = Contents::ours();
    assert!(ours.load().is_ok());
    for label in ["app.kubernetes.io/managed-by", "app.kubernetes.io/component"] {
        let mut other = ours.clone();
        other.labels.remove(label);
        assert!(matches!(other.load(), Err(Foreign::Label { label: named, .. }) if named == label));
    }
    let immutable = Contents { immutable: true, ..Contents::ours() };
    assert_eq!(immutable.load().err(), Some(Foreign::Immutable));
    let tls = Contents { kind: Some("kubernetes.io/tls".to_owned()), ..ours };
    assert_eq!(tls.load().err(), Some(Foreign::Type("kubernetes.io/tls".to_owned())));
}

#[test]
fn a_record_of_sidecars_before_the_operator_is_read_whole() {
    let token = Token::of(now() + HOUR * 2160);
    let written = Record {
        aborted: vec![Aborted { token, key: Some(prefix("orphan")) }],
        retiring: vec![Retiring { key: prefix("old"), until: now() + HOUR }],
        ..with_current(HOUR * 2000)
    };
    let theirs = written.to_json();
    let (before, retiring) = theirs.split_once("\"retiring\"").expect("it has both lists");
    let (aborted, retiring) = (
        before.replace("\"key\"", "\"prefix\""),
        retiring.replace("\"key\"", "\"prefix\"").replace("\"until\"", "\"deleteAfter\""),
    );
    let theirs = format!("{aborted}\"retiring\"{retiring}");
    assert!(theirs.contains(r#""retiring":[{"prefix":"#), "{theirs}");
    assert_eq!(Record::from_json(&theirs).expect("it is read"), written);
}
