//! What is done about a pre-auth key, case by case.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails by a panic, as the test does"
)]

use std::collections::BTreeSet;

use headscale_keys::pre_auth_key::{
    self, Action, Claim, Current, KeyName, Listed, Need, Observed, Record, Retiring, State, Stored,
    Wanted, Waste, Why, plan,
};
use headscale_keys::{AuthKey, KeyPrefix, Token};
use jiff::{SignedDuration, Timestamp};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn name(id: u64) -> KeyName {
    KeyName { id, prefix: Some(KeyPrefix::parse(&format!("prefix-of-{id:02}")).unwrap()) }
}

fn listed(id: u64, expiration: Timestamp) -> Listed {
    Listed { key: name(id), expiration: Some(expiration), used: false, reusable: false, fits: true }
}

fn current(id: u64, expiration: Timestamp) -> Current {
    Current {
        key: name(id),
        token: Token::of(expiration),
        made_for: Some("this".to_owned()),
        created_at: Some(now() - HOUR),
    }
}

/// A Secret that holds what its record says.
fn stored(record: Record) -> Stored {
    let holds = record.current.as_ref().map(|current| current.key.prefix.clone());
    Stored { record: Some(record), holds, tidy: true }
}

/// One case: everything is well in it, until something is changed.
struct Case {
    stored: Stored,
    keys: Vec<Listed>,
    wanted: Option<Wanted>,
    claimed: Option<Claim>,
    ended: Option<Need>,
}

impl Case {
    fn well() -> Self {
        let expiration = now() + HOUR;
        let record = Record { current: Some(current(1, expiration)), ..Record::default() };
        let wanted =
            Wanted { made_for: "this".to_owned(), lifetime: HOUR * 3, rotation: Some(HOUR / 2) };
        Self {
            stored: stored(record),
            keys: vec![listed(1, expiration)],
            wanted: Some(wanted),
            claimed: None,
            ended: None,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::well();
        change(&mut case);
        case
    }

    fn without_rotation(mut self) -> Self {
        self.wanted.as_mut().unwrap().rotation = None;
        self
    }

    fn record(&mut self) -> &mut Record {
        self.stored.record.as_mut().unwrap()
    }

    fn plan(&self) -> Action {
        let observed = Observed {
            stored: &self.stored,
            keys: &self.keys,
            settled: &BTreeSet::new(),
            unpublished: &[],
            me: "me",
            alone: true,
            claimed: self.claimed,
            ended: self.ended,
            wanted: self.wanted.as_ref(),
        };
        plan(&observed, now(), 7)
    }

    /// Why a key is begun, and until when the old one works.
    fn begins(&self) -> (Need, Timestamp) {
        match self.plan() {
            Action::Begin { need, old_until, token, record } => {
                assert_eq!(record.pending.unwrap().token, token);
                (need, old_until)
            }
            action => panic!("{action:?}"),
        }
    }

    fn rests(&self) -> State {
        match self.plan() {
            Action::Wait { state, .. } => state,
            action => panic!("{action:?}"),
        }
    }
}

#[test]
fn a_key_that_is_as_it_should_be_is_left_until_it_is_due() {
    let due = now() + HOUR / 2;
    assert_eq!(Case::well().plan(), Action::Wait { until: Some(due), state: State::Works });
    assert_eq!(
        Case::well().without_rotation().plan(),
        Action::Wait { until: Some(now() + HOUR), state: State::Works }
    );
}

#[test]
fn each_need_begins_a_key_and_says_how_long_the_old_one_works() {
    let natural = now() + HOUR;
    let cases = [
        (Case::with(|case| case.stored = Stored::default()), Need::First, now()),
        (Case::with(|case| case.stored.holds = None), Need::Lost, now()),
        (Case::with(|case| case.stored.holds = Some(None)), Need::Lost, now()),
        (Case::with(|case| case.keys.clear()), Need::Gone, now()),
        (Case::with(|case| case.keys[0].used = true), Need::Used, natural),
        (Case::with(|case| case.keys[0].expiration = Some(now())), Need::Expired, natural),
        (
            Case::with(|case| case.wanted.as_mut().unwrap().made_for = "that".to_owned()),
            Need::Changed,
            now(),
        ),
        (
            Case::with(|case| case.wanted.as_mut().unwrap().rotation = Some(HOUR * 2)),
            Need::Due,
            natural,
        ),
    ];
    for (case, need, until) in cases {
        assert_eq!(case.begins(), (need, until));
    }
}

#[test]
fn a_key_that_has_ended_is_left_where_no_other_is_asked_for() {
    let used = Case::with(|case| case.keys[0].used = true).without_rotation();
    assert_eq!(used.rests(), State::Ended(Need::Used));
    let expired = Case::with(|case| case.keys[0].expiration = Some(now())).without_rotation();
    assert_eq!(expired.rests(), State::Ended(Need::Expired));
    // Headscale has forgotten it, and it was seen to end before.
    for ended in [Need::Used, Need::Expired] {
        let case = Case::with(|case| {
            case.keys.clear();
            case.ended = Some(ended);
        });
        assert_eq!(case.without_rotation().rests(), State::Ended(ended));
    }
    // Many nodes may use it.
    let reusable = Case::with(|case| {
        case.keys[0].used = true;
        case.keys[0].reusable = true;
    });
    assert_eq!(reusable.rests(), State::Works);
}

#[test]
fn keys_that_are_used_up_at_once_are_replaced_with_a_rest() {
    let case = Case::with(|case| {
        case.keys[0].used = true;
        case.record().current.as_mut().unwrap().created_at = Some(now());
    });
    assert_eq!(case.rests(), State::BackingOff(Need::Used));
}

#[test]
fn a_replaced_key_is_expired_in_time_and_deleted_only_where_no_node_can_know_it() {
    let retiring = |until, change: fn(&mut Listed)| {
        Case::with(|case| {
            case.record().retiring.push(Retiring { key: name(2), until });
            let mut old = listed(2, now() + HOUR / 3);
            change(&mut old);
            case.keys.push(old);
        })
    };
    let (key, waste) = (name(2), Waste::Retired);
    assert_eq!(retiring(now() + HOUR, |_| {}).rests(), State::Works);
    let expire = Action::Expire { key: key.clone(), waste };
    assert_eq!(retiring(now(), |_| {}).plan(), expire);
    let delete = Action::Delete { key, waste };
    assert_eq!(retiring(now() + HOUR, |old| old.expiration = Some(now())).plan(), delete);
    let known: [fn(&mut Listed); 2] = [
        |old| (old.expiration, old.used) = (Some(now()), true),
        |old| (old.expiration, old.reusable) = (Some(now()), true),
    ];
    for known in known {
        let action = retiring(now(), known).plan();
        let Action::Commit { record, why: Why::Forget } = action else { panic!("{action:?}") };
        assert_eq!(record.retiring, []);
    }
}

#[test]
fn a_number_that_is_another_keys_after_the_database_was_replaced_is_not_touched() {
    let case = Case::with(|case| {
        case.record().retiring.push(Retiring { key: name(2), until: now() });
        case.keys.push(Listed { key: KeyName { id: 2, ..name(9) }, ..listed(2, now() + HOUR) });
    });
    let action = case.plan();
    assert!(matches!(action, Action::Commit { why: Why::Forget, .. }), "{action:?}");
    let theirs = KeyName { id: 1, ..name(9) };
    let replaced = Case::with(|case| case.keys[0].key = theirs);
    assert_eq!(replaced.begins().0, Need::Gone);
}

#[test]
fn what_the_go_operator_left_is_taken_over() {
    let go = |fits| {
        Case::with(|case| {
            case.stored = Stored { holds: Some(name(1).prefix), ..Stored::default() };
            case.keys[0].fits = fits;
        })
    };
    for (fits, made_for) in [(true, Some("this".to_owned())), (false, None)] {
        let action = go(fits).plan();
        let Action::Commit { record, why: Why::Adopt } = action else { panic!("{action:?}") };
        let current = record.current.unwrap();
        assert_eq!((current.key, current.made_for), (name(1), made_for));
    }
    // Of a key from before 0.28 only the number is known.
    let legacy = KeyName { id: 1, prefix: None };
    let case = Case::with(|case| {
        case.stored = Stored { holds: Some(None), ..Stored::default() };
        case.keys[0].key = legacy.clone();
        case.claimed = Some(Claim { id: 1, expiration: None });
    });
    let action = case.plan();
    let Action::Commit { record, why: Why::Adopt } = action else { panic!("{action:?}") };
    assert_eq!(record.current.unwrap().key, legacy);
}

#[test]
fn the_key_of_a_secret_that_was_deleted_is_ended_where_it_is_surely_that_one() {
    let lost = |expiration| {
        Case::with(|case| {
            case.stored = Stored::default();
            case.claimed = Some(Claim { id: 1, expiration });
        })
    };
    let action = lost(Some(now() + HOUR)).plan();
    let Action::Commit { record, .. } = action else { panic!("{action:?}") };
    assert_eq!(record.retiring, [Retiring { key: name(1), until: now() }]);
    // Another key has the number now.
    assert_eq!(lost(Some(now() + HOUR * 2)).begins().0, Need::First);
    assert_eq!(lost(None).begins().0, Need::First);
}

#[test]
fn when_the_object_goes_so_do_its_keys() {
    let going = |change: fn(&mut Case)| {
        Case::with(|case| {
            case.wanted = None;
            change(case);
        })
    };
    let (key, waste) = (name(1), Waste::Released);
    let expire = Action::Expire { key: key.clone(), waste };
    assert_eq!(going(|_| {}).plan(), expire);
    let delete = Action::Delete { key, waste };
    assert_eq!(going(|case| case.keys[0].expiration = Some(now())).plan(), delete);
    let used: fn(&mut Case) = |case| {
        (case.keys[0].expiration, case.keys[0].used) = (Some(now()), true);
    };
    assert_eq!(going(used).rests(), State::Released);
    assert_eq!(going(|case| case.keys.clear()).rests(), State::Released);
    assert_eq!(going(|case| case.stored = Stored::default()).rests(), State::Released);
}

#[test]
fn a_record_takes_over_another_ones_keys() {
    let old = Record {
        current: Some(current(1, now() + HOUR)),
        retiring: vec![Retiring { key: name(2), until: now() }],
        ..Record::default()
    }
    .with_aborted(Token::of(now()));
    let empty = Record::default().absorb(&old, now());
    assert_eq!(empty, old);
    assert_eq!(empty.absorb(&old, now()), empty, "once is enough");
    let other = Record { current: Some(current(3, now() + HOUR)), ..Record::default() };
    let merged = other.absorb(&old, now());
    assert_eq!(merged.current, other.current);
    let ending: Vec<u64> = merged.retiring.iter().map(|retiring| retiring.key.id).collect();
    assert_eq!(ending, [2, 1], "both of the other's must end");
    assert_eq!(merged.unresolved().count(), 1);
}

#[test]
fn key_and_record_are_read_as_they_were_written_and_what_is_not_ours_stays() {
    let text = format!("hskey-auth-prefix-of-01-{}", "s".repeat(64));
    let record = Record { current: Some(current(1, now() + HOUR)), ..Record::default() };
    let mut contents = pre_auth_key::ours();
    contents.annotations.insert("theirs".to_owned(), "stays".to_owned());
    pre_auth_key::write(&mut contents, &record, Some(&AuthKey::new(&text)));
    let loaded = pre_auth_key::load(&contents).unwrap();
    assert_eq!(loaded.stored, stored(record.clone()));
    assert_eq!(loaded.key.unwrap().expose(), text);
    assert_eq!(contents.annotations["theirs"], "stays");
    assert!(!record.to_json().contains("sss"));
    // Nonsense is told without being repeated, and written anew.
    let record_annotation = pre_auth_key::RECORD_ANNOTATION.to_owned();
    contents.annotations.insert(record_annotation, "{".to_owned());
    contents.data.insert(pre_auth_key::KEY.to_owned(), vec![0xff; 4]);
    let loaded = pre_auth_key::load(&contents).unwrap();
    assert_eq!(loaded.defects.len(), 2, "{:?}", loaded.defects);
    assert_eq!(loaded.stored, Stored::default());
    contents.immutable = true;
    assert!(pre_auth_key::load(&contents).is_err());
}
