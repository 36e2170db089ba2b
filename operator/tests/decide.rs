//! What is decided, without a cluster.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails by a panic, as the test does"
)]

use std::sync::Arc;
use std::time::Duration;

use headscale_api::kinds::{
    HeadscalePreAuthKeySpec, HeadscaleUser, HeadscaleUserSpec, HeadscaleUserStatus,
};
use headscale_client::{PreAuthKey, User};
use headscale_operator::conditions::{self, Holds, Verdict};
use headscale_operator::instance::{AddressError, AskError};
use headscale_operator::lease::{Held, may_take};
use headscale_operator::names::{FORCE_DELETE_ANNOTATION, INSTANCE_ANNOTATION};
use headscale_operator::pre_auth_key::decide::{Owner, check, secret_name, shape};
use headscale_operator::stored::Stored;
use headscale_operator::user::{Decision, Done, InstanceView, Observed, Users, decide};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn is(id: u64, name: &str, made: i64) -> User {
    let created_at = Timestamp::from_second(made).ok();
    User { id, name: name.to_owned(), created_at, ..User::default() }
}

fn no_key() -> AskError {
    AskError::Address(Arc::new(AddressError::NoSecret("hs-api-key".to_owned())))
}

/// An object that is held, and stands for user 7, made at 1000.
fn user() -> HeadscaleUser {
    let spec = HeadscaleUserSpec {
        headscale_ref: "hs".to_owned(),
        username: "alice".to_owned(),
        ..HeadscaleUserSpec::default()
    };
    let mut user = HeadscaleUser::new("alice", spec);
    user.metadata.namespace = Some("ns".to_owned());
    user.metadata.generation = Some(1);
    user.metadata.finalizers = Some(vec!["headscale.infrado.cloud/user-finalizer".to_owned()]);
    annotate(&mut user, INSTANCE_ANNOTATION, "hs");
    user.status = Some(HeadscaleUserStatus {
        user_id: Some("7".to_owned()),
        created_at: Some("1970-01-01T00:16:40Z".to_owned()),
        observed_generation: Some(1),
        ..HeadscaleUserStatus::default()
    });
    user
}

fn annotate(user: &mut HeadscaleUser, name: &str, value: &str) {
    let annotations = user.metadata.annotations.get_or_insert_default();
    annotations.insert(name.to_owned(), value.to_owned());
}

fn new_user() -> HeadscaleUser {
    HeadscaleUser { status: None, ..user() }
}

fn deleted(mut user: HeadscaleUser, ago: i64) -> HeadscaleUser {
    user.metadata.deletion_timestamp = Some(Time(now() - SignedDuration::from_secs(ago)));
    user
}

fn observed<'a>(user: &'a HeadscaleUser, users: Users<'a>) -> Observed<'a> {
    Observed {
        user,
        instance: InstanceView::There,
        elder: None,
        heir: None,
        users,
        done: Done::Nothing,
        patience: Duration::from_secs(300),
        now: now(),
    }
}

fn fresh(users: &[User]) -> Users<'_> {
    Users::Known { users, fresh: true }
}

/// The reason of `Ready`, and the number that is written down.
fn said(decision: &Decision) -> (&str, Option<u64>) {
    match decision {
        Decision::Say { ready: Some(ready), user, .. } => {
            (ready.reason, user.as_ref().map(|user| user.id))
        }
        decision => panic!("{decision:?}"),
    }
}

/// The same user, as it is read where its spec has this.
fn spoilt(user: &HeadscaleUser, spec: &serde_json::Value) -> HeadscaleUser {
    let mut object = json!(user);
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    let Stored(user) = serde_json::from_value(object).unwrap();
    user
}

#[test]
fn nothing_is_done_for_a_user_that_cannot_be_read_and_it_goes_all_the_same() {
    let alice = [is(7, "alice", 1000)];
    for wrong in [json!({ "username": 5 }), json!({ "email": [] }), json!({ "headscaleRef": {} })] {
        for user in [user(), new_user()] {
            let user = spoilt(&user, &wrong);
            for users in [Users::NotAsked, fresh(&[]), fresh(&alice)] {
                assert_eq!(said(&decide(&observed(&user, users))), ("InvalidSpec", None));
            }
        }
        let gone = deleted(spoilt(&user(), &wrong), 1);
        let decision = decide(&observed(&gone, fresh(&alice)));
        if wrong.get("username").is_some() {
            let told = matches!(&decision, Decision::LetGo(Some(("UserLeft", _))));
            assert!(told, "whether it was renamed is not known: {decision:?}");
        } else {
            assert_eq!(decision, Decision::Delete(7));
        }
    }
}

#[test]
fn a_user_is_found_by_number_and_time_of_its_making() {
    let old = user();
    let cases: [(&[User], &str, Option<u64>); 4] = [
        (&[is(7, "alice", 1000)], "UserReady", Some(7)),
        (&[is(7, "alicia", 1000)], "UserRenamed", None),
        // Made anew by hand.
        (&[is(9, "alice", 2000)], "UserReady", Some(9)),
        // The database was replaced: 7 is somebody else.
        (&[is(7, "bob", 3000), is(8, "alice", 3001)], "UserReady", Some(8)),
    ];
    for (users, reason, id) in cases {
        assert_eq!(said(&decide(&observed(&old, fresh(users)))), (reason, id), "{users:?}");
    }
    let strangers = [is(7, "bob", 3000)];
    let decision = decide(&observed(&old, fresh(&strangers)));
    assert!(matches!(decision, Decision::Create(_)), "{decision:?}");
}

#[test]
fn nothing_is_made_on_the_word_of_an_old_answer() {
    let (new, old) = (new_user(), user());
    for user in [&new, &old] {
        let none = Users::Known { users: &[], fresh: false };
        assert_eq!(decide(&observed(user, none)), Decision::Ask { fresh: true });
        assert!(matches!(decide(&observed(user, fresh(&[]))), Decision::Create(_)));
    }
    let renamed = [is(7, "alicia", 1000)];
    let seen = Users::Known { users: &renamed, fresh: false };
    assert_eq!(decide(&observed(&old, seen)), Decision::Ask { fresh: true });
}

#[test]
fn an_object_is_held_before_anything_is_made_for_it() {
    let mut bare = new_user();
    bare.metadata.finalizers = None;
    assert_eq!(decide(&observed(&bare, Users::NotAsked)), Decision::Hold);
    let mut unmarked = new_user();
    unmarked.metadata.annotations = None;
    assert_eq!(decide(&observed(&unmarked, Users::NotAsked)), Decision::Hold);
    assert_eq!(decide(&observed(&new_user(), Users::NotAsked)), Decision::Ask { fresh: false });
}

#[test]
fn what_is_in_the_way_is_told() {
    let new = new_user();
    let missing = Observed { instance: InstanceView::Missing, ..observed(&new, Users::NotAsked) };
    assert_eq!(said(&decide(&missing)).0, "HeadscaleNotFound");
    let ending = Observed { instance: InstanceView::Ending, ..observed(&new, Users::NotAsked) };
    assert_eq!(said(&decide(&ending)).0, "HeadscaleNotFound");
    let claimed = Observed { elder: Some("older"), ..observed(&new, Users::NotAsked) };
    assert_eq!(said(&decide(&claimed)).0, "UserClaimed");
    let mut moved = user();
    moved.spec.headscale_ref = "other".to_owned();
    assert_eq!(said(&decide(&observed(&moved, Users::NotAsked))).0, "HeadscaleRefChanged");
    let error = no_key();
    assert_eq!(said(&decide(&observed(&new, Users::Failed(&error)))).0, "UserCreationFailed");
    let old = user();
    assert_eq!(said(&decide(&observed(&old, Users::Failed(&error)))).0, "UserVerificationFailed");
    let failed = Observed { done: Done::Failed(&error), ..observed(&new, fresh(&[])) };
    assert_eq!(said(&decide(&failed)).0, "UserCreationFailed");
}

#[test]
fn a_deleted_user_goes_with_its_object_and_no_other_does() {
    let old = deleted(user(), 1);
    let mine = [is(7, "alice", 1000)];
    assert_eq!(decide(&observed(&old, fresh(&mine))), Decision::Delete(7));
    let renamed = [is(7, "alicia", 1000)];
    let decision = decide(&observed(&old, fresh(&renamed)));
    assert!(matches!(decision, Decision::LetGo(Some(("UserLeft", _)))), "{decision:?}");
    // 7 and alice are others after the database was replaced.
    let others = [is(7, "bob", 3000), is(8, "alice", 3001)];
    assert_eq!(decide(&observed(&old, fresh(&others))), Decision::LetGo(None));
    // It was made, and nobody wrote that down.
    let unsaid = deleted(new_user(), 1);
    assert_eq!(decide(&observed(&unsaid, fresh(&mine))), Decision::Delete(7));
    let done = Observed { done: Done::Deleted, ..observed(&old, fresh(&mine)) };
    assert_eq!(decide(&done), Decision::LetGo(None));
}

#[test]
fn a_deleted_object_is_not_kept_for_ever() {
    let error = no_key();
    let waiting = deleted(user(), 299);
    let decision = decide(&observed(&waiting, Users::Failed(&error)));
    assert_eq!(said(&decision).0, "UserDeletionFailed");
    let tired = deleted(user(), 300);
    let decision = decide(&observed(&tired, Users::Failed(&error)));
    assert!(matches!(decision, Decision::LetGo(Some(("UserOrphaned", _)))), "{decision:?}");
    let mut forced = deleted(user(), 1);
    annotate(&mut forced, FORCE_DELETE_ANNOTATION, "true");
    let decision = decide(&observed(&forced, Users::NotAsked));
    assert!(matches!(decision, Decision::LetGo(Some(("UserOrphaned", _)))), "{decision:?}");
    for instance in [InstanceView::Missing, InstanceView::Ending] {
        let gone = Observed { instance, ..observed(&waiting, Users::NotAsked) };
        assert_eq!(decide(&gone), Decision::LetGo(None));
    }
    let inherited = Observed { heir: Some("younger"), ..observed(&waiting, Users::NotAsked) };
    assert_eq!(decide(&inherited), Decision::LetGo(None));
    let mut foreign = deleted(user(), 1);
    foreign.metadata.finalizers = None;
    assert_eq!(decide(&observed(&foreign, Users::NotAsked)), Decision::Nothing);
}

fn spec(fields: &serde_json::Value) -> HeadscalePreAuthKeySpec {
    let mut spec = json!({ "headscaleRef": "hs" });
    for (name, value) in fields.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

#[test]
fn what_no_key_can_be_is_told_with_its_field() {
    let cases = [
        (json!({}), "must be given"),
        (json!({ "headscaleUserRef": "", "userId": 0 }), "must be given"),
        (json!({ "headscaleUserRef": "a", "userId": 1 }), "spec.userId"),
        (json!({ "tags": ["tag:a"], "expiration": "0s" }), "spec.expiration"),
        (json!({ "tags": ["tag:a"], "expiration": "0.5s" }), "spec.expiration"),
        (json!({ "tags": ["tag:a"], "expiration": "soon" }), "spec.expiration"),
        (json!({ "tags": ["tag:A"] }), "write tag:a"),
        (json!({ "tags": ["a"] }), "spec.tags"),
        (json!({ "tags": ["tag:a"], "secretName": "-" }), "spec.secretName"),
    ];
    for (fields, hint) in cases {
        let verdict = check("k", &spec(&fields)).unwrap_err();
        assert_eq!((verdict.holds, verdict.reason), (Holds::False, "InvalidSpec"));
        assert!(verdict.message.contains(hint), "{}", verdict.message);
    }
    assert_eq!(secret_name("k", &spec(&json!({ "secretName": "" }))), "k");
}

#[test]
fn whose_key_it_is_is_found_out() {
    let users = [is(7, "alice", 1000)];
    let by_ref = spec(&json!({ "headscaleUserRef": "alice" }));
    let alice = user();
    let found = shape("k", &by_ref, Owner::Reference(Some(&alice)), &users).unwrap();
    assert_eq!(found.user, Some(7));
    let reason =
        |owner: Owner<'_>, users: &[User]| shape("k", &by_ref, owner, users).unwrap_err().reason;
    assert_eq!(reason(Owner::Reference(None), &users), "UserNotFound");
    assert_eq!(reason(Owner::Reference(Some(&new_user())), &users), "UserNotReady");
    assert_eq!(reason(Owner::Reference(Some(&deleted(user(), 1))), &users), "UserNotReady");
    assert_eq!(reason(Owner::Reference(Some(&alice)), &[]), "UserNotReady");
    let mut theirs = user();
    theirs.spec.headscale_ref = "other".to_owned();
    assert_eq!(reason(Owner::Reference(Some(&theirs)), &users), "InvalidSpec");
    let by_id = spec(&json!({ "userId": 7 }));
    assert_eq!(shape("k", &by_id, Owner::Number(7), &users).unwrap().user, Some(7));
    assert_eq!(shape("k", &by_id, Owner::Number(7), &[]).unwrap_err().reason, "UserNotFound");
}

#[test]
fn another_key_is_wanted_where_anything_of_it_changes() {
    let users = [is(7, "alice", 1000)];
    let of = |fields| {
        let spec = spec(&fields);
        let owner = if spec.user_id.is_some() { Owner::Number(7) } else { Owner::Nobody };
        shape("k", &spec, owner, &users).unwrap()
    };
    let one = of(json!({ "userId": 7, "tags": ["tag:b", "tag:a"] }));
    let same = of(json!({ "userId": 7, "tags": ["tag:a", "tag:b", "tag:a"], "expiration": "60m" }));
    assert_eq!(one.wanted(false).made_for, same.wanted(false).made_for);
    for other in [
        json!({ "tags": ["tag:b", "tag:a"] }),
        json!({ "userId": 7, "tags": ["tag:a"] }),
        json!({ "userId": 7, "tags": ["tag:b", "tag:a"], "reusable": true }),
        json!({ "userId": 7, "tags": ["tag:b", "tag:a"], "ephemeral": true }),
        json!({ "userId": 7, "tags": ["tag:b", "tag:a"], "expiration": "61m" }),
    ] {
        assert_ne!(one.wanted(false).made_for, of(other).wanted(false).made_for);
    }
    assert_eq!(one.wanted(true).rotation, Some(SignedDuration::from_mins(20)));
    let listed = PreAuthKey {
        user: Some(users[0].clone()),
        acl_tags: vec!["tag:a".to_owned(), "tag:b".to_owned()],
        ..PreAuthKey::default()
    };
    assert!(one.fits(&listed));
    assert!(!one.fits(&PreAuthKey { reusable: true, ..listed }));
}

#[test]
fn a_condition_keeps_the_time_of_its_last_transition() {
    let mut all = Vec::new();
    let later = now() + SignedDuration::from_secs(5);
    conditions::set(&mut all, "Theirs", Some(&Verdict::good("A", "")), None, now());
    conditions::set(&mut all, "Ready", Some(&Verdict::bad("B", "why")), Some(1), now());
    conditions::set(&mut all, "Ready", Some(&Verdict::bad("C", "why else")), Some(2), later);
    let ready = conditions::find(&all, "Ready").unwrap();
    assert_eq!((ready.last_transition_time.0, &*ready.reason), (now(), "C"));
    conditions::set(&mut all, "Ready", Some(&Verdict::good("D", "")), Some(2), later);
    assert_eq!(conditions::find(&all, "Ready").unwrap().last_transition_time.0, later);
    assert!(conditions::holds(&all, "Ready") && conditions::holds(&all, "Theirs"));
    conditions::set(&mut all, "Ready", None, Some(2), later);
    assert_eq!(all.len(), 1);
}

#[test]
fn a_lease_is_taken_when_it_is_free_ours_or_over() {
    let lasts = Duration::from_secs(15);
    let held = |by: &str| Held { by: by.to_owned(), renewed: Some(now()), lasts };
    assert!(may_take(&held(""), "me", Duration::ZERO));
    assert!(may_take(&held("me"), "me", Duration::ZERO));
    assert!(!may_take(&held("other"), "me", Duration::from_secs(14)));
    assert!(may_take(&held("other"), "me", lasts));
}
