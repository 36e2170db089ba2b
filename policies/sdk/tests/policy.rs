//! A policy is read as Headscale reads it, with the place of everything in it.

use headscale_policy_sdk::Policy;
use serde_json::json;

#[test]
fn every_section_is_read_with_its_place() {
    let policy = json!({
        "Groups": {"group:dev": ["alice@"]},
        "tagOwners": {"tag:a/b~c": ["group:dev"]},
        "hosts": {"pods": "10.0.0.0/8"},
        "acls": [{"action": "accept", "proto": "tcp", "src": ["*"], "dst": ["pods:22,80"]}],
        "grants": [{"src": ["a@"], "dst": ["*"], "ip": ["tcp:443"], "app": {"cap": [{}]}, "via": ["tag:r"]}],
        "ssh": [{"action": "check", "src": ["a@"], "dst": ["tag:x"], "users": ["root"], "checkPeriod": "12h"}],
        "autoApprovers": {"Routes": {"10.0.0.0/8": ["tag:r"]}, "exitNode": ["tag:e"]},
        "nodeAttrs": [{"target": ["*"], "attr": ["magicdns-aaaa"]}],
        "tests": [{"src": "a@", "accept": ["tag:x:22"], "deny": ["tag:x:23"]}],
        "sshTests": [{"src": "a@", "dst": ["tag:x"], "accept": ["root"], "check": [], "deny": ["x"]}],
        "randomizeClientPort": true,
        "unknown": 1,
    });
    let policy = Policy::parse(&policy.to_string()).unwrap();
    assert_eq!(policy.group("group:dev").unwrap().pointer, "/Groups/group:dev");
    assert_eq!(policy.tag_owners[0].pointer, "/tagOwners/tag:a~1b~0c");
    assert_eq!(policy.hosts[0].address, "10.0.0.0/8");
    assert_eq!(
        (policy.acls[0].proto.as_deref(), &*policy.acls[0].dst[0]),
        (Some("tcp"), "pods:22,80")
    );
    assert_eq!((&*policy.grants[0].app[0], &*policy.grants[0].via[0]), ("cap", "tag:r"));
    assert_eq!(policy.ssh[0].check_period.as_deref(), Some("12h"));
    assert_eq!(policy.auto_approvers.routes[0].pointer, "/autoApprovers/Routes/10.0.0.0~18");
    assert_eq!(policy.auto_approvers.exit_node, ["tag:e"]);
    assert_eq!(policy.node_attrs[0].attr, ["magicdns-aaaa"]);
    assert_eq!((&*policy.tests[0].src, policy.tests[0].deny.len()), ("a@", 1));
    assert_eq!(policy.ssh_tests[0].pointer, "/sshTests/0");
    assert!(policy.randomize_client_port && !policy.allows_everything);
}

#[test]
fn what_is_missing_or_of_another_type_is_empty() {
    for text in ["", " ", "{}", "null", r#"{"acls": null}"#] {
        let policy = Policy::parse(text).unwrap();
        assert!(policy.allows_everything && policy.acls.is_empty(), "{text:?}");
    }
    let policy = Policy::parse(r#"{"acls": {}, "groups": [1], "ssh": [{"users": 5}]}"#).unwrap();
    assert!(!policy.allows_everything && policy.acls.is_empty() && policy.groups.is_empty());
    assert!(policy.ssh[0].users.is_empty());
    assert!(Policy::parse("{").is_err());
}
