//! Which policy an instance has.

use std::collections::BTreeMap;

use headscale_acl::Severity;
use headscale_api::desired::{Inputs, compose_policy, desired_state, findings};
use serde_json::{Value, json};

use crate::cases::named;

/// The ConfigMap's data of `policy-file` with these in its spec, and whether an error is told.
fn made(path: &str, mounts: Value, acl_policy: Value) -> (Value, bool) {
    let mut headscale = named("policy-file").headscale;
    let spec = &mut headscale.spec;
    let config = spec.config.get_or_insert_default();
    config.insert("policy".to_owned(), json!({ "path": path }));
    spec.extra_volume_mounts = serde_json::from_value(mounts).expect("mounts");
    spec.acl_policy = serde_json::from_value(acl_policy).expect("a policy");
    let is_told = findings(&headscale, &Inputs::default())
        .iter()
        .any(|note| note.pointer == "/policy/path" && note.finding.severity == Severity::Error);
    let objects = desired_state(&headscale, &Inputs::default());
    let map = objects.iter().find(|object| object.kind() == "ConfigMap").expect("a ConfigMap");
    (map.to_value()["data"].clone(), is_told)
}

#[test]
fn the_file_of_a_user_stays_the_policy_and_what_it_misses_is_told() {
    let path = "/srv/policy/policy.hujson";
    let mounts = json!([{ "name": "mine", "mountPath": "/srv/policy" }]);
    let inline = json!({ "inline": "{}" });
    let owners = json!({ "tag_owners": { "tag:web": ["alice@"] } });
    for (mounts, policy) in [(&mounts, &inline), (&mounts, &owners), (&json!([]), &owners)] {
        let (data, is_told) = made(path, mounts.clone(), policy.clone());
        assert_eq!(data["policy.hujson"], Value::Null, "{mounts} {policy}");
        assert!(data["config.yaml"].as_str().expect("a text").contains(path), "{mounts} {policy}");
        assert!(is_told, "{mounts} {policy}");
    }
}

#[test]
fn a_whole_policy_takes_the_place_of_a_file_that_nothing_can_hold() {
    let (data, is_told) = made("/srv/x.hujson", json!([]), json!({ "inline": "{\"acls\": []}" }));
    assert!(data["policy.hujson"].as_str().expect("a policy").contains("acls"), "{data}");
    assert!(!data["config.yaml"].as_str().expect("a text").contains("/srv"), "{data}");
    assert!(!is_told);
}

#[test]
fn a_policy_keeps_its_comments_where_its_tag_owners_are_replaced() {
    let owners = BTreeMap::from([("tag:web".to_owned(), vec!["alice@".to_owned()])]);
    let base = "{\n\t// Why.\n\t\"tagOwners\": {\"tag:old\": []},\n\t\"acls\": [], // None.\n}\n";
    insta::assert_snapshot!(compose_policy(Some(base), &owners, true).expect("a policy"));
}

#[test]
fn a_policy_is_made_only_where_there_is_something_to_say() {
    let none = BTreeMap::new();
    assert_eq!(compose_policy(None, &none, false), None);
    let made = compose_policy(None, &none, true);
    insta::assert_snapshot!(made.expect("a policy"), @r#"{"randomizeClientPort": true}"#);
    let said = "{\"randomizeClientPort\": false}";
    assert_eq!(compose_policy(Some(said), &none, true).as_deref(), Some(said));
    assert_eq!(compose_policy(Some("[nonsense"), &none, true).as_deref(), Some("[nonsense"));
}
