//! Both sides of the reissue protocol, case by case.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use headscale_keys::AuthKey;
use headscale_keys::reissue::{
    Action, Answer, Cause, Clearing, Config, Control, DaemonState, Intent, KeyId, KeyView, NodeId,
    NodeView, Occasion, OnNewKey, Policy, Refusal, Replica, SecretPatch, Signal, Watch,
    choose_config, clear, config_capability, decide, is_answer, marker, publish, request,
    reset_at_boot,
};

fn key(text: &str) -> AuthKey {
    AuthKey::new(text)
}

fn data(patch: &SecretPatch) -> Vec<(&str, Option<&str>)> {
    patch.data().collect()
}

fn names(patch: &SecretPatch) -> Vec<&str> {
    patch.data().map(|(name, _)| name).collect()
}

#[test]
fn a_request_is_the_key_that_failed_and_empty_without_one() {
    assert_eq!(data(&request(&key("k1"))), [("reissue_authkey", Some("k1"))]);
    assert_eq!(data(&request(&key(""))), [("reissue_authkey", Some(""))]);
}

#[test]
fn clearing_a_login_removes_the_seven_fields_and_the_current_profile() {
    let fixed = [
        "_current-profile",
        "_machinekey",
        "_profiles",
        "device_fqdn",
        "device_id",
        "device_ips",
        "reissue_authkey",
    ];
    assert_eq!(names(&clear(Clearing::Login, None)), fixed);
    assert_eq!(names(&clear(Clearing::Login, Some(""))), fixed);
    let with_profile = clear(Clearing::Login, Some("profile-abc1"));
    assert_eq!(with_profile.data().count(), 8);
    assert!(names(&with_profile).contains(&"profile-abc1"));
    assert!(with_profile.data().all(|(_, value)| value.is_none()));
}

#[test]
fn clearing_a_device_leaves_what_tailscaled_logs_in_with() {
    let patch = clear(Clearing::Device, Some("profile-abc1"));
    assert_eq!(names(&patch), ["device_fqdn", "device_id", "device_ips", "reissue_authkey"]);
}

#[test]
fn a_patch_never_shows_what_it_sets() {
    let secret = format!("hskey-auth-{}-{}", "abcdefghijkl", "s".repeat(64));
    let shown = format!("{:?}", request(&key(&secret)));
    assert!(!shown.contains("ssss"), "{shown}");
    assert!(shown.contains("abcdefghijkl"), "{shown}");
    assert!(!format!("{:?}", request(&key("of another make"))).contains("make"));
}

#[test]
fn a_marker_is_absent_or_empty_or_a_key() {
    assert!(marker(None).is_none());
    assert!(marker(Some(b"")).is_some_and(|marker| marker.is_empty()));
    assert!(marker(Some(b"no-authkey")).is_some_and(|marker| marker.is_empty()));
    assert!(marker(Some(b"k1")).is_some_and(|marker| marker.is_same(&key("k1"))));
    assert!(marker(Some(b"\xff")).is_some_and(|marker| !marker.is_empty()));
}

#[test]
fn an_answer_is_another_key() {
    for (failed, config, expected) in [
        ("k1", None, false),
        ("k1", Some(""), false),
        ("k1", Some("k1"), false),
        ("k1", Some("k2"), true),
        ("", Some(""), false),
        ("", Some("k1"), true),
    ] {
        let config = config.map(key);
        assert_eq!(is_answer(&key(failed), config.as_ref()), expected, "{failed:?} {config:?}");
    }
}

#[test]
fn a_boot_drops_the_marker_only_where_the_operator_answered_meanwhile() {
    for (marker, config, expected) in [
        (None, None, false),
        (None, Some("k1"), false),
        (Some("k1"), None, false),
        (Some("k1"), Some(""), false),
        (Some("k1"), Some("k1"), false),
        (Some("k1"), Some("k2"), true),
        (Some(""), Some("k1"), true),
    ] {
        let (marker, config) = (marker.map(key), config.map(key));
        let patch = reset_at_boot(marker.as_ref(), config.as_ref());
        assert_eq!(patch.is_some(), expected, "{marker:?} {config:?}");
        if let Some(patch) = patch {
            assert_eq!(data(&patch), [("reissue_authkey", None)]);
        }
    }
}

#[test]
fn a_device_is_published_as_stock_nodes_do_and_its_request_withdrawn() {
    let ips = ["100.64.0.7".to_owned(), "fd7a::7".to_owned()];
    assert_eq!(
        data(&publish("7", "proxy-0.tail.example.", &ips)),
        [
            ("device_fqdn", Some("proxy-0.tail.example.")),
            ("device_id", Some("7")),
            ("device_ips", Some(r#"["100.64.0.7","fd7a::7"]"#)),
            ("reissue_authkey", None),
        ]
    );
}

#[test]
fn a_node_takes_the_highest_file_that_it_can_read() {
    let names = ["cap-95.hujson", "cap-107.hujson", "cap-130.hujson", "tailscaled", "cap-x.hujson"];
    assert_eq!(choose_config(names, 145), Some("cap-130.hujson"));
    assert_eq!(choose_config(names, 107), Some("cap-107.hujson"));
    assert_eq!(choose_config(names, 106), Some("cap-95.hujson"));
    assert_eq!(choose_config(names, 94), None);
    for name in ["cap-.hujson", "cap-+1.hujson", "cap-1.json", "cap-99999999999.hujson", "..data"] {
        assert_eq!(config_capability(name), None, "{name}");
    }
}

#[test]
fn only_what_is_about_the_key_asks_for_another() {
    let refused = |refusal| Some(Cause::Refused(refusal));
    for (text, expected) in [
        ("authkey already used", refused(Refusal::Used)),
        ("authkey expired", refused(Refusal::Expired)),
        ("authkey revoked", refused(Refusal::Revoked)),
        ("authkey of a kind to come", refused(Refusal::Other)),
        ("invalid pre auth key", refused(Refusal::Unknown)),
        ("auth-key not found", refused(Refusal::Unknown)),
        ("auth-key not found: record not found", refused(Refusal::Unknown)),
        ("handling register with auth key: auth-key not found", refused(Refusal::Unknown)),
        ("handling register with auth key: authkey already used", refused(Refusal::Used)),
        ("", None),
        ("fetch control key: Get \"http://127.0.0.1:1/key?v=131\": connection refused", None),
        ("register request: http 500: authkey expired", None),
        ("register request: Post \"https://x/machine/register\": deadline exceeded", None),
        ("getNoiseClient: EOF", None),
    ] {
        assert_eq!(Signal::LoginWarning(Some(text)).cause(), expected, "{text}");
        assert_eq!(Signal::Refused(text).cause(), expected, "{text}");
    }
    assert_eq!(Signal::LoginWarning(None).cause(), None);
    let needs_login = Some(Cause::NeedsLogin);
    for (number, expected) in
        [(0, None), (1, None), (2, needs_login), (3, None), (4, None), (5, None), (6, None)]
    {
        assert_eq!(Signal::State(DaemonState::from_number(number)).cause(), expected, "{number}");
    }
}

const USED: Signal<'_> = Signal::Refused("authkey already used");
const NEEDS_LOGIN: Signal<'_> = Signal::State(DaemonState::NeedsLogin);

fn asks(action: &Action, expected: &str) {
    let Action::Ask { failed, .. } = action else { panic!("{action:?} instead of a request") };
    assert!(failed.is_same(&key(expected)), "{failed:?} instead of {expected}");
}

#[test]
fn a_stock_round_asks_waits_clears_the_login_and_ends() {
    let (k1, k2) = (key("k1"), key("k2"));
    let mut watch = Watch::new(OnNewKey::Exit, Some(&k1));
    let outage = Signal::LoginWarning(Some("fetch control key: connection refused"));
    assert!(matches!(watch.heard(outage, Some(&k1)), Action::None));
    asks(&watch.heard(USED, Some(&k1)), "k1");
    assert!(watch.is_waiting());
    // Asked once is enough.
    assert!(matches!(watch.heard(NEEDS_LOGIN, Some(&k1)), Action::None));
    assert!(matches!(watch.looked(Some(&k1)), Action::None));
    assert!(matches!(watch.looked(None), Action::None));
    let action = watch.looked(Some(&k2));
    assert!(
        matches!(action, Action::Accept { clearing: Clearing::Login, restart: OnNewKey::Exit }),
        "{action:?}"
    );
    assert!(!watch.is_waiting());
}

#[test]
fn a_key_that_came_before_the_failure_was_seen_is_an_answer_at_once() {
    let (k1, k2) = (key("k1"), key("k2"));
    let mut watch = Watch::new(OnNewKey::Exit, Some(&k1));
    asks(&watch.heard(USED, Some(&k2)), "k1");
    assert!(matches!(watch.looked(Some(&k2)), Action::Accept { .. }));
}

#[test]
fn a_tailscaled_that_runs_on_tries_the_key_at_hand_before_it_asks() {
    let k1 = key("k1");
    let mut watch = Watch::new(OnNewKey::Login, Some(&k1));
    let warning = Signal::LoginWarning(Some("authkey already used"));
    assert!(matches!(watch.heard(warning, Some(&k1)), Action::TryLogin));
    // tailscaled keeps the warning from before until the login has ended.
    assert!(matches!(watch.heard(warning, Some(&k1)), Action::None));
    asks(&watch.heard(USED, Some(&k1)), "k1");
}

#[test]
fn a_tailscaled_that_is_older_than_the_key_is_restarted_before_another_is_asked_for() {
    let k2 = key("k2");
    let mut watch = Watch::new(OnNewKey::Exit, Some(&k2));
    assert!(matches!(watch.heard(NEEDS_LOGIN, Some(&k2)), Action::Accept { .. }));
    // Its server refused it: it has tried.
    let mut watch = Watch::new(OnNewKey::Exit, Some(&k2));
    asks(&watch.heard(USED, Some(&k2)), "k2");
    // It was in.
    let mut watch = Watch::new(OnNewKey::Exit, Some(&k2));
    assert!(matches!(watch.heard(Signal::State(DaemonState::Running), Some(&k2)), Action::Publish));
    asks(&watch.heard(NEEDS_LOGIN, Some(&k2)), "k2");
}

#[test]
fn without_a_key_there_is_none_to_try() {
    let mut watch = Watch::new(OnNewKey::Login, None);
    asks(&watch.heard(NEEDS_LOGIN, None), "");
    let action = watch.looked(Some(&key("k1")));
    assert!(
        matches!(action, Action::Accept { clearing: Clearing::Device, restart: OnNewKey::Login }),
        "{action:?}"
    );
}

#[test]
fn a_warning_that_went_away_and_came_back_is_a_new_one() {
    let (k1, k2) = (key("k1"), key("k2"));
    let mut watch = Watch::new(OnNewKey::Login, Some(&k1));
    let warning = Signal::LoginWarning(Some("authkey already used"));
    assert!(matches!(watch.heard(warning, Some(&k1)), Action::TryLogin));
    assert!(matches!(watch.heard(Signal::LoginWarning(None), Some(&k1)), Action::None));
    asks(&watch.heard(warning, Some(&k1)), "k1");
    assert!(matches!(watch.looked(Some(&k2)), Action::Accept { .. }));
    assert!(matches!(watch.heard(Signal::State(DaemonState::Running), Some(&k2)), Action::Publish));
    // The operator dropped the key; much later the node is deleted.
    asks(&watch.heard(NEEDS_LOGIN, None), "k2");
}

#[test]
fn a_login_that_expired_says_so_until_the_next_one_has_ended() {
    let (k1, k2, k3) = (key("k1"), key("k2"), key("k3"));
    let mut watch = Watch::new(OnNewKey::Login, Some(&k1));
    assert!(matches!(watch.heard(Signal::State(DaemonState::Running), Some(&k1)), Action::Publish));
    asks(&watch.heard(NEEDS_LOGIN, Some(&k1)), "k1");
    assert!(matches!(watch.looked(Some(&k2)), Action::Accept { .. }));
    assert!(matches!(watch.heard(NEEDS_LOGIN, Some(&k2)), Action::None));
    // The server's word counts all the same.
    asks(&watch.heard(USED, Some(&k2)), "k2");
    assert!(matches!(watch.looked(Some(&k3)), Action::Accept { .. }));
    assert!(matches!(watch.heard(NEEDS_LOGIN, Some(&k3)), Action::None));
    let starting = Signal::State(DaemonState::Starting);
    assert!(matches!(watch.heard(starting, Some(&k3)), Action::None));
    asks(&watch.heard(NEEDS_LOGIN, Some(&k3)), "k3");
}

const NO_INTENT: Intent =
    Intent { occasion: Occasion::Reissue, delete: None, expire: None, keep: None };

fn replica<'a>(
    config: Option<&'a Option<AuthKey>>,
    marker: Option<&'a AuthKey>,
    device: bool,
    key: KeyView,
) -> Replica<'a> {
    Replica {
        marker,
        config: match config {
            None => Config::Missing,
            Some(None) => Config::NoKey,
            Some(Some(key)) => Config::Key(key),
        },
        intent: None,
        kept: None,
        device_id: device.then_some(NodeId(1)),
        control: Control::Available {
            device: if device { NodeView::Known { alive: false } } else { NodeView::Missing },
            key,
            orphans: &[],
        },
        token: true,
        policy: Policy::Recreate,
    }
}

/// Who gets which key while Headscale is well: what the config holds, the marker, whether there is
/// a device, what Headscale says of the config's key.
#[test]
fn the_operator_answers_as_the_table_says() {
    let new = Answer::Begin(NO_INTENT);
    let recreate = Answer::Begin(Intent { delete: Some(NodeId(1)), ..NO_INTENT });
    let first = Answer::Begin(Intent { occasion: Occasion::First, ..NO_INTENT });
    let (missing, spent) = (KeyView::Missing, KeyView::Spent);
    let usable = KeyView::Usable(KeyId(2));
    let rows: [(&str, _, _, _, _, _); 12] = [
        ("no secrets", None, None, false, missing, first),
        ("no config, marker", None, Some(""), false, missing, first),
        ("the config's key failed", Some(Some("k1")), Some("k1"), true, spent, recreate),
        ("it failed, no device", Some(Some("k1")), Some("k1"), false, spent, new),
        ("answered", Some(Some("k2")), Some("k1"), true, usable, Answer::Answered),
        ("answered the empty marker", Some(Some("k2")), Some(""), false, usable, Answer::Answered),
        ("no key, marker", Some(None), Some("k1"), true, missing, recreate),
        ("no key, empty marker", Some(None), Some(""), false, missing, new),
        ("key, no device yet", Some(Some("k1")), None, false, usable, Answer::Idle),
        ("key, device", Some(Some("k1")), None, true, spent, Answer::DropKey),
        ("nothing at all", Some(None), None, false, missing, Answer::Idle),
        ("no key, device", Some(None), None, true, missing, Answer::Idle),
    ];
    for (name, config, marker, device, view, expected) in rows {
        let (config, marker) = (config.map(|config| config.map(key)), marker.map(key));
        let replica = replica(config.as_ref(), marker.as_ref(), device, view);
        assert_eq!(decide(&replica), expected, "{name}");
    }
}

#[test]
fn an_outage_of_headscale_or_an_empty_bucket_changes_nothing() {
    let (k1, config) = (key("k1"), Some(key("k1")));
    let asked = replica(Some(&config), Some(&k1), true, KeyView::Spent);
    let down = Replica { control: Control::Unavailable, ..asked };
    assert_eq!(decide(&down), Answer::ControlUnavailable);
    assert_eq!(decide(&Replica { token: false, ..asked }), Answer::RateLimited);
    // What was begun goes on without a token, and not without Headscale.
    let Answer::Begin(intent) = decide(&asked) else { panic!("begins") };
    let begun = Replica { intent: Some(intent), token: false, ..asked };
    assert_eq!(decide(&begun), Answer::DeleteNode(NodeId(1)));
    let begun = Replica { control: Control::Unavailable, ..begun };
    assert_eq!(decide(&begun), Answer::ControlUnavailable);
}

#[test]
fn a_false_alarm_keeps_the_node_and_replaces_the_key() {
    let (k1, config) = (key("k1"), Some(key("k1")));
    let asked = replica(Some(&config), Some(&k1), true, KeyView::Usable(KeyId(1)));
    let intent = Intent { expire: Some(KeyId(1)), keep: Some(NodeId(1)), ..NO_INTENT };
    assert_eq!(decide(&asked), Answer::Begin(intent));
    let begun = Replica { intent: Some(intent), ..asked };
    assert_eq!(decide(&begun), Answer::Expire(KeyId(1)));
    let seen = |alive| Control::Available {
        device: NodeView::Known { alive },
        key: KeyView::Spent,
        orphans: &[],
    };
    assert_eq!(decide(&Replica { control: seen(false), ..begun }), Answer::Mint);
    // A node that was online just now is no reason to delete it either.
    let alive = Replica { control: seen(true), ..asked };
    let kept = Intent { keep: Some(NodeId(1)), ..NO_INTENT };
    assert_eq!(decide(&alive), Answer::Begin(kept));
    let keep_old = Replica { policy: Policy::KeepOld, ..alive };
    assert_eq!(decide(&keep_old), Answer::Begin(NO_INTENT));
}

#[test]
fn a_kept_node_goes_once_its_replica_is_in_as_another() {
    let none = None;
    let mut is_in = replica(Some(&none), None, true, KeyView::Missing);
    is_in.kept = Some(NodeId(9));
    assert_eq!(decide(&is_in), Answer::Retire { delete: Some(NodeId(9)) });
    is_in.kept = Some(NodeId(1));
    assert_eq!(decide(&is_in), Answer::Retire { delete: None });
}

#[test]
fn keys_of_lost_attempts_are_expired_before_another_is_made() {
    let (k1, config) = (key("k1"), Some(key("k1")));
    let asked = replica(Some(&config), Some(&k1), false, KeyView::Spent);
    let begun = Replica { intent: Some(NO_INTENT), ..asked };
    let orphans = [KeyId(4)];
    let control =
        Control::Available { device: NodeView::Missing, key: KeyView::Spent, orphans: &orphans };
    assert_eq!(decide(&Replica { control, ..begun }), Answer::Expire(KeyId(4)));
    assert_eq!(decide(&begun), Answer::Mint);
    // The request was withdrawn: what was made for it is expired all the same.
    let withdrawn = Replica { marker: None, ..begun };
    assert_eq!(decide(&Replica { control, ..withdrawn }), Answer::Expire(KeyId(4)));
    assert_eq!(decide(&withdrawn), Answer::Abandon);
}
