//! What is pure in the reissue of auth keys.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by a panic, as the test does")]

use headscale_api::kinds::{HeadscalePreAuthKey, HeadscalePreAuthKeySpec};
use headscale_client::{Node, NodePreAuthKey, PreAuthKey};
use headscale_keys::pre_auth_key::KeyName;
use headscale_keys::reissue::{Intent, KeyId, KeyView, NodeId, NodeView, Occasion, Policy};
use headscale_keys::{AuthKey, Token};
use headscale_operator::names::{REISSUE_POLICY_ANNOTATION, REISSUE_TO_ANNOTATION};
use headscale_operator::reissue::document::{self, Defaults, DocumentError, FILE, Files};
use headscale_operator::reissue::limit::Bucket;
use headscale_operator::reissue::proof::{
    came_in_with, can_return, orphans, reason, view_key, view_node,
};
use headscale_operator::reissue::record::{Pending, Reason, Record};
use headscale_operator::reissue::request::{Request, may_be_like, policy};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

const DEFAULTS: Defaults<'static> = Defaults { server_url: "https://hs.example", hostname: "p" };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn key(number: u8) -> AuthKey {
    AuthKey::new(&format!("hskey-auth-{}-{}", prefix(number), "s".repeat(64)))
}

fn prefix(number: u8) -> String {
    format!("prefix{number:06}")
}

fn name(id: u64, number: u8) -> KeyName {
    KeyName { id, prefix: key(number).prefix().cloned() }
}

fn listed(id: u64, number: u8, used: bool, until: i64) -> PreAuthKey {
    PreAuthKey {
        id,
        prefix: key(number).prefix().cloned(),
        used,
        expiration: Some(at(until)),
        ..PreAuthKey::default()
    }
}

fn node(key: Option<(u64, Option<u8>)>) -> Node {
    let pre_auth_key = key.map(|(id, number)| NodePreAuthKey {
        id,
        prefix: number.and_then(|number| self::key(number).prefix().cloned()),
        acl_tags: Vec::new(),
    });
    Node { id: 7, pre_auth_key, ..Node::default() }
}

#[test]
fn a_bucket_gives_its_burst_and_then_one_at_a_time() {
    let every = SignedDuration::from_secs(30);
    let mut bucket = None;
    for _ in 0..5 {
        bucket = Some(Bucket::take(bucket, at(0), every, 5).expect("a token"));
    }
    assert_eq!(Bucket::take(bucket, at(0), every, 5), Err(every));
    assert_eq!(Bucket::take(bucket, at(20), every, 5), Err(SignedDuration::from_secs(10)));
    let next = Bucket::take(bucket, at(30), every, 5).expect("a token");
    assert_eq!(Bucket::take(Some(next), at(30), every, 5), Err(every));
    // What is stored comes back.
    assert_eq!(next.to_string().parse::<Bucket>().unwrap(), next);
    // After long it is full, and not more than that.
    let mut bucket = Some(next);
    for _ in 0..5 {
        bucket = Some(Bucket::take(bucket, at(100_000), every, 5).expect("a token"));
    }
    assert!(Bucket::take(bucket, at(100_000), every, 5).is_err());
}

#[test]
fn a_bucket_follows_the_number_of_nodes_and_survives_wrong_clocks() {
    let every = SignedDuration::from_secs(30);
    let empty_of = |burst: u32| {
        (0..burst).fold(None, |old, _| Some(Bucket::take(old, at(0), every, burst).unwrap()))
    };
    // Grown by one: one more.
    let grown = Bucket::take(empty_of(5), at(0), every, 6).expect("a token");
    assert!(Bucket::take(Some(grown), at(0), every, 6).is_err());
    // Shrunk from many: as empty as a small one can be, and no longer so.
    assert_eq!(Bucket::take(empty_of(100), at(0), every, 2), Err(every));
    assert!(Bucket::take(empty_of(100), at(30), every, 2).is_ok());
    // Written by a clock that is ahead, or by hand.
    let far = Bucket { at: at(1_000_000), full_at: at(9_000_000) };
    assert_eq!(Bucket::take(Some(far), at(0), every, 2), Err(every));
    let back = Bucket { at: at(10), full_at: at(0) };
    assert!(Bucket::take(Some(back), at(20), every, 1).is_ok());
    // No node that is counted yet is one.
    assert!(Bucket::take(None, at(0), every, 0).is_ok());
}

#[test]
fn a_node_is_proven_by_number_and_prefix_of_its_key() {
    let keys = [name(3, 3), name(4, 4)];
    let list = [listed(3, 3, true, 0), listed(4, 4, true, 0), listed(5, 5, true, 0)];
    for (has, expected) in [
        (Some((3, Some(3))), true),
        (Some((4, Some(4))), true),
        // Where a version does not show it, the list has it.
        (Some((3, None)), true),
        // Another's key, a number that is used again, a key by itself.
        (Some((5, Some(5))), false),
        (Some((3, Some(9))), false),
        (Some((9, Some(3))), false),
        (Some((9, None)), false),
        // By OIDC or by hand, or with a key that is deleted.
        (None, false),
    ] {
        assert_eq!(came_in_with(&node(has), &keys, &list), expected, "{has:?}");
    }
    let replaced = [listed(3, 8, true, 0)];
    assert!(!came_in_with(&node(Some((3, None))), &keys, &replaced));
    let nameless = [KeyName { id: 3, prefix: None }];
    assert!(!came_in_with(&node(Some((3, None))), &nameless, &replaced));
}

#[test]
fn a_node_is_well_that_was_seen_and_has_not_expired() {
    let seen = |ago: i64| Node { last_seen: Some(at(-ago)), ..Node::default() };
    let alive = |node: &Node| match view_node(Some(node), at(0)) {
        NodeView::Known { alive } => alive,
        NodeView::Missing => panic!("it is there"),
    };
    assert_eq!(view_node(None, at(0)), NodeView::Missing);
    assert!(alive(&Node { online: true, ..Node::default() }));
    assert!(alive(&seen(60)) && !alive(&seen(3600)) && !alive(&Node::default()));
    assert!(!alive(&Node { expiry: Some(at(-1)), ..seen(1) }));
    assert!(alive(&Node { expiry: Some(at(1)), ..seen(1) }));
    // The zero time of 0.28 is no expiry.
    let never = "0001-01-01T00:00:00Z".parse().ok();
    assert!(alive(&Node { expiry: never, ..seen(1) }));
}

#[test]
fn an_expired_node_with_tags_cannot_return() {
    let node = |tags: &[&str], expiry: Option<i64>| Node {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        expiry: expiry.map(at),
        ..Node::default()
    };
    assert!(!can_return(&node(&["tag:a"], Some(-1)), at(0)));
    assert!(can_return(&node(&["tag:a"], None), at(0)));
    assert!(can_return(&node(&["tag:a"], Some(1)), at(0)));
    assert!(can_return(&node(&[], Some(-1)), at(0)));
}

#[test]
fn a_key_is_judged_only_where_it_was_made_for_the_node() {
    let record = Record { keys: vec![name(3, 3)], ..Record::default() };
    let view = |number: u8, list: &[PreAuthKey]| view_key(Some(&key(number)), &record, list, at(0));
    assert_eq!(view(3, &[listed(3, 3, false, 10)]), KeyView::Usable(KeyId(3)));
    assert_eq!(view(3, &[listed(3, 3, true, 10)]), KeyView::Spent);
    assert_eq!(view(3, &[listed(3, 3, false, -1)]), KeyView::Spent);
    assert_eq!(view(3, &[listed(3, 8, false, 10)]), KeyView::Missing);
    assert_eq!(view(3, &[]), KeyView::Missing);
    // Somebody put it there: it is not ours to end.
    assert_eq!(view(4, &[listed(4, 4, false, 10)]), KeyView::Missing);
    assert_eq!(view_key(Some(&AuthKey::new("k")), &record, &[], at(0)), KeyView::Missing);
    assert_eq!(view_key(None, &record, &[listed(3, 3, false, 10)], at(0)), KeyView::Missing);
}

#[test]
fn why_a_key_is_made_is_read_from_headscale() {
    let record = Record { keys: vec![name(3, 3)], ..Record::default() };
    let (gone, dead) = (NodeView::Missing, NodeView::Known { alive: false });
    let alive = NodeView::Known { alive: true };
    let of = |key: Option<&AuthKey>, list: &[PreAuthKey], device| {
        reason(key, &record, list, device, at(0))
    };
    let k3 = key(3);
    assert_eq!(of(Some(&k3), &[listed(3, 3, true, 9)], dead), Reason::Used);
    assert_eq!(of(Some(&k3), &[listed(3, 3, true, -9)], dead), Reason::Used);
    assert_eq!(of(Some(&k3), &[listed(3, 3, false, -9)], gone), Reason::Expired);
    assert_eq!(of(Some(&k3), &[listed(3, 3, false, 9)], gone), Reason::FalseAlarm);
    assert_eq!(of(Some(&k3), &[listed(3, 3, true, 9)], alive), Reason::FalseAlarm);
    assert_eq!(of(Some(&k3), &[], dead), Reason::Unknown);
    assert_eq!(of(None, &[], gone), Reason::NodeGone);
    assert_eq!(of(None, &[], dead), Reason::LoginLost);
}

#[test]
fn orphans_have_the_expiration_that_was_written_down() {
    let intent = Intent { occasion: Occasion::First, delete: None, expire: None, keep: None };
    let pending = Pending::new(intent, Token::of(at(100)), at(0), Reason::First);
    let record = Record { pending: Some(pending), ..Record::default() };
    let list = [listed(1, 1, false, 100), listed(2, 2, true, 100), listed(3, 3, false, 101)];
    assert_eq!(orphans(&record, &list, at(0)), [KeyId(1)]);
    assert_eq!(orphans(&record, &list, at(100)), []);
    assert_eq!(orphans(&Record::default(), &list, at(0)), []);
}

#[test]
fn a_record_comes_back_and_remembers_the_last_keys() {
    let intent = Intent {
        occasion: Occasion::Reissue,
        delete: Some(NodeId(4)),
        expire: Some(KeyId(5)),
        keep: Some(NodeId(6)),
    };
    let pending = Pending::new(intent, Token::of(at(9)), at(1), Reason::Expired);
    assert_eq!(pending.intent(), intent);
    let mut record = Record { pending: Some(pending), ..Record::default() };
    assert_eq!(Record::from_json(&record.to_json()).unwrap(), record);
    record = record.made(name(1, 1));
    assert_eq!((record.pending.clone(), record.kept), (None, Some(6)));
    for number in 2..20 {
        record = record.made(name(u64::from(number), number));
    }
    assert_eq!(record.kept, Some(6), "until it is retired");
    let ids: Vec<u64> = record.keys.iter().map(|key| key.id).collect();
    assert_eq!(ids, (12..20).collect::<Vec<_>>());
    assert!(Record::from_json("{\"later\": 1}").is_ok() && Record::from_json("x").is_err());
}

fn files(of: &[(&str, &str)]) -> Files {
    let file =
        |(name, text): &(&str, &str)| ((*name).to_owned(), ByteString(text.as_bytes().to_vec()));
    of.iter().map(file).collect()
}

fn text<'f>(files: &'f Files, name: &str) -> &'f str {
    std::str::from_utf8(&files[name].0).unwrap()
}

#[test]
fn a_file_is_made_where_there_is_none_for_the_node() {
    let made = document::with_key(&files(&[]), None, Some(&key(1)), DEFAULTS).unwrap();
    let json: Value = serde_json::from_str(text(&made, FILE)).unwrap();
    assert_eq!(json["AuthKey"], key(1).expose());
    assert_eq!(
        (&json["Version"], &json["ServerURL"]),
        (&json!("alpha0"), &json!("https://hs.example"))
    );
    for field in json.as_object().unwrap().keys() {
        let known = headscale_keys::reissue::CONFIG_FIELDS.iter().any(|it| it == field);
        assert!(known, "{field} would have tailscaled refuse the file");
    }
    // All there are are for newer ones: one more.
    let newer = files(&[("cap-140.hujson", "{}"), ("readme", "x")]);
    let made = document::with_key(&newer, Some(110), Some(&key(1)), DEFAULTS).unwrap();
    assert_eq!(made.keys().collect::<Vec<_>>(), ["cap-106.hujson", "cap-140.hujson", "readme"]);
    assert_eq!(text(&made, "readme"), "x");
}

#[test]
fn the_key_alone_is_written_and_comments_stay() {
    let by_hand = "{\n\t// ours\n\t\"version\": \"alpha0\",\n\t\"authkey\": \"old\", // secret\n\t\"ShieldsUp\": true,\n}\n";
    let both = files(&[("cap-106.hujson", by_hand), ("cap-95.hujson", "{\"Version\":\"alpha0\"}")]);
    assert_eq!(document::key(&both, None).unwrap().unwrap().expose(), "old");
    assert!(document::key(&both, Some(100)).unwrap().is_none());
    let written = document::with_key(&both, None, Some(&key(1)), DEFAULTS).unwrap();
    let expected = by_hand.replace("\"old\"", &format!("\"{}\"", key(1).expose()));
    assert_eq!(text(&written, "cap-106.hujson"), expected);
    for own in [None, Some(100)] {
        let read = document::key(&written, own).unwrap().expect("a key");
        assert!(read.is_same(&key(1)), "each node takes the one that it can read");
    }
    let dropped = document::with_key(&written, None, None, DEFAULTS).unwrap();
    for own in [None, Some(100)] {
        assert!(document::key(&dropped, own).unwrap().is_none());
    }
    let left = text(&dropped, "cap-106.hujson");
    assert!(left.contains("// ours") && left.contains("\"ShieldsUp\": true"), "{left}");
    // Without one there is none to take out.
    assert_eq!(document::with_key(&dropped, None, None, DEFAULTS).unwrap(), dropped);
}

#[test]
fn the_file_of_an_api_server_proxy_is_one_too() {
    let proxy = files(&[("config.hujson", "{\"version\": \"v1alpha1\", \"authKey\": \"old\"}")]);
    assert_eq!(document::key(&proxy, None).unwrap().unwrap().expose(), "old");
    let without = document::with_key(&proxy, None, None, DEFAULTS).unwrap();
    assert!(document::key(&without, None).unwrap().is_none());
    let written = document::with_key(&without, None, Some(&key(1)), DEFAULTS).unwrap();
    assert_eq!(written.len(), 1);
    let json: Value = serde_json::from_str(text(&written, "config.hujson")).unwrap();
    assert_eq!(json, json!({ "version": "v1alpha1", "authKey": key(1).expose() }));
}

#[test]
fn what_cannot_be_read_is_told_by_its_place_and_never_quoted() {
    let cases = [
        ("{\n  \"AuthKey\": precious }", "cap-106.hujson:2:14 is not HuJSON"),
        ("[]", "cap-106.hujson:1:1 is not HuJSON"),
        ("", "cap-106.hujson:1:1 is not HuJSON"),
        ("{\"AuthKey\": 5}", "cap-106.hujson: AuthKey must be a string"),
        ("{\"AuthKey\": \"a\", \"authKey\": \"b\"}", "cap-106.hujson has the field AuthKey twice"),
    ];
    for (file, expected) in cases {
        let files = files(&[(FILE, file)]);
        let error: DocumentError = document::key(&files, None).expect_err("refused");
        assert_eq!(error.to_string(), expected);
        if !expected.contains("string") {
            assert_eq!(document::with_key(&files, None, Some(&key(1)), DEFAULTS), Err(error));
        }
    }
    assert!(document::key(&files(&[(FILE, "{\"AuthKey\": null}")]), None).unwrap().is_none());
    assert!(document::key(&files(&[(FILE, "{\"AuthKey\": \"\"}")]), None).unwrap().is_none());
}

#[test]
fn a_state_secret_is_read_with_suspicion() {
    let state: Secret = serde_json::from_value(json!({
        "metadata": {
            "managedFields": [
                { "manager": "a", "time": "2026-01-01T00:00:00Z",
                  "fieldsV1": { "f:data": { "f:device_id": {} } } },
                { "manager": "b", "time": "2026-01-02T00:00:00Z",
                  "fieldsV1": { "f:data": { "f:reissue_authkey": {} } } },
            ],
        },
        "data": {
            "reissue_authkey": ByteString(b"no-authkey".to_vec()),
            "device_id": ByteString(b"12".to_vec()),
            "tailscale_capver": ByteString(b"131".to_vec()),
        },
    }))
    .unwrap();
    let read = Request::read(&state);
    assert!(read.marker.expect("a marker").is_empty());
    assert_eq!((read.device, read.capability), (Some(NodeId(12)), Some(131)));
    assert_eq!(read.since, "2026-01-02T00:00:00Z".parse().ok());
    for wrong in [&b"-1"[..], b"", b"1.5", b"\xff", b"99999999999999999999"] {
        let mut state = state.clone();
        state.data.as_mut().unwrap().insert("device_id".to_owned(), ByteString(wrong.to_vec()));
        assert_eq!(Request::read(&state).device, None);
    }
    let read = Request::read(&Secret::default());
    assert!(read.marker.is_none() && read.since.is_none());
}

#[test]
fn the_policy_is_one_of_two_words() {
    let with = |value: &str| {
        let mut state = Secret::default();
        let annotations = [(REISSUE_POLICY_ANNOTATION.to_owned(), value.to_owned())];
        state.metadata.annotations = Some(annotations.into());
        policy(&state)
    };
    assert_eq!(policy(&Secret::default()), Ok(Policy::Recreate));
    assert_eq!((with("Recreate"), with("KeepOld")), (Ok(Policy::Recreate), Ok(Policy::KeepOld)));
    assert!(with("recreate").is_err_and(|why| why.contains("Recreate or KeepOld")));
}

#[test]
fn an_object_says_whose_keys_may_be_like_it() {
    let with = |allowed: Option<&str>| {
        let mut key = HeadscalePreAuthKey::new("k", HeadscalePreAuthKeySpec::default());
        let annotation = allowed.map(|it| (REISSUE_TO_ANNOTATION.to_owned(), it.to_owned()));
        key.metadata.annotations = Some(annotation.into_iter().collect());
        key
    };
    assert!(may_be_like(&with(None), "proxy-0").is_ok());
    for allowed in ["proxy-0", "a, proxy-*", "*", "proxy-1,proxy-0"] {
        assert!(may_be_like(&with(Some(allowed)), "proxy-0").is_ok(), "{allowed}");
    }
    for allowed in ["", ",", "proxy", "proxy-1*", "*-0", "Proxy-0"] {
        assert!(may_be_like(&with(Some(allowed)), "proxy-0").is_err(), "{allowed}");
    }
}
