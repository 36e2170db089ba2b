//! Objects of which parts cannot be read.

#![expect(clippy::expect_used, reason = "a helper of a test fails by a panic, as the test does")]

use headscale_api::kinds::{
    Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey, HeadscaleUser,
};
use headscale_operator::stored::{
    Kind, Stored, is_unreadable, unreadable, unreadable_status, verdict,
};
use serde_json::{Value, json};

/// Reads an object with this spec and status.
fn read<K: Kind>(spec: &Value, status: &Value) -> K {
    let object = json!({
        "metadata": { "name": "it", "uid": "u" },
        "spec": spec,
        "status": status,
    });
    let Stored(object) = serde_json::from_value(object).expect("it is read");
    object
}

#[test]
fn what_of_an_object_can_be_read_is_read() {
    let read = |spec: Value| read::<Headscale>(&spec, &Value::Null);
    let good = read(json!({ "version": "0.29.2", "replicas": 1 }));
    assert_eq!((unreadable(&good), verdict(&good)), (None, None));
    let bad = read(json!({
        "version": "0.29.2",
        "replicas": 1,
        "tolerations": [{ "key": 5 }],
        "affinity": "none",
        "config": { "server_url": "https://headscale.example.com" },
    }));
    assert_eq!(bad.spec.version, "0.29.2");
    assert!(bad.spec.config.is_some());
    let says = unreadable(&bad).expect("something");
    assert!(says.contains("spec.tolerations cannot be read"), "{says}");
    assert!(says.contains("spec.affinity cannot be read"), "{says}");
    assert!(is_unreadable(&bad, "affinity") && !is_unreadable(&bad, "version"));
    let none = read(json!({ "version": 5, "replicas": "one" }));
    let says = unreadable(&none).expect("something");
    assert!(says.contains("spec.version") && says.contains("spec.replicas"), "{says}");
    assert_eq!(none.spec.version, "");
}

/// Checks what is said of a spec of this kind without any member, and of one that is none.
fn says_of_nothing<K: Kind>(missing: &[&str]) {
    let missing: Vec<String> =
        missing.iter().map(|member| format!("spec.{member} is missing")).collect();
    assert_eq!(unreadable(&read::<K>(&json!({}), &Value::Null)), Some(missing.join("; ")));
    let none = read::<K>(&json!("none"), &Value::Null);
    let says = unreadable(&none).expect("something");
    assert!(says.starts_with("spec cannot be read: expected an object"), "{says}");
    assert!(is_unreadable(&none, "anything"));
}

#[test]
fn what_is_not_there_is_told_of_each_kind() {
    says_of_nothing::<Headscale>(&["replicas", "version"]);
    says_of_nothing::<HeadscaleUser>(&["headscaleRef", "username"]);
    says_of_nothing::<HeadscalePreAuthKey>(&["headscaleRef"]);
    says_of_nothing::<HeadscaleAutoApprover>(&["headscaleRef"]);
    says_of_nothing::<HeadscalePolicy>(&["headscaleRef"]);
}

#[test]
fn of_a_status_stays_what_can_be_read_and_the_spec_is_as_good() {
    let spec = json!({ "headscaleRef": "hs", "username": "alice" });
    let status = json!({ "userId": "7", "createdAt": 5, "conditions": "none" });
    let user: HeadscaleUser = read(&spec, &status);
    assert_eq!(unreadable(&user), None);
    let wrong = unreadable_status(&user).expect("something");
    assert_eq!(wrong, ["conditions", "createdAt"]);
    let status = user.status.expect("a status");
    assert_eq!(status.user_id.as_deref(), Some("7"));
    let none: HeadscaleUser = read(&spec, &json!("none"));
    assert_eq!((unreadable_status(&none), unreadable(&none)), (Some(Vec::new()), None));
}

#[test]
fn what_was_made_in_a_headscale_stays_one_of_its_objects() {
    let read = |spec: Value| {
        let object = json!({
            "metadata": {
                "name": "it",
                "annotations": { "headscale.infrado.cloud/instance": "hs" },
            },
            "spec": spec,
        });
        let Stored::<HeadscalePolicy>(object) = serde_json::from_value(object).expect("read");
        object.spec.headscale_ref
    };
    assert_eq!(read(json!({ "headscaleRef": 5, "inline": "{}" })), "hs");
    assert_eq!(read(json!({ "inline": "{}" })), "hs");
    assert_eq!(read(json!({ "headscaleRef": "other", "inline": 5 })), "other");
}

#[test]
fn nobody_can_have_it_said_of_an_object_that_can_be_read() {
    let object = json!({
        "metadata": {
            "name": "it",
            "annotations": { "headscale.infrado.cloud/unreadable": "{\"spec.username\": \"no\"}" },
        },
        "spec": { "headscaleRef": "hs", "username": "alice" },
    });
    let Stored::<HeadscaleUser>(user) = serde_json::from_value(object).expect("it is read");
    assert_eq!(unreadable(&user), None);
}

#[test]
fn a_long_text_is_not_quoted_whole() {
    let spec = json!({ "headscaleRef": "hs", "plugins": "x".repeat(100_000) });
    let says = unreadable(&read::<HeadscalePolicy>(&spec, &Value::Null)).expect("something");
    assert!(says.len() < 400, "{}", says.len());
}
