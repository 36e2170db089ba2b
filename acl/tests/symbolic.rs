//! Tailnets made up from policies.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use headscale_acl::{Version, engine};
use insta::assert_snapshot;

/// The nodes made up for `text`, one on each line.
fn nodes(text: &str) -> String {
    let ask =
        || engine::ask(text.as_bytes(), None, Version::V0_29, |network| network.tailnet().clone());
    let tailnet = ask().unwrap();
    assert_eq!(tailnet, ask().unwrap());
    let mut out = String::new();
    for node in &tailnet.nodes {
        let user = tailnet.users.iter().find(|user| Some(user.id) == node.user);
        let user = user.map_or_else(String::new, |user| format!(" {}@", user.name));
        let addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
        write!(out, "{}:{user}", node.name).unwrap();
        for word in node.tags.iter().chain(&addresses) {
            write!(out, " {word}").unwrap();
        }
        assert_eq!(node.available_routes, node.approved_routes);
        if !node.approved_routes.is_empty() {
            write!(out, " routes {}", node.approved_routes.join(" ")).unwrap();
        }
        out.push('\n');
    }
    out
}

#[test]
fn users_tags_and_outsiders_are_nodes() {
    assert_snapshot!(nodes(r#"{
        "groups": {"group:a": ["alice@", "bob@example.com"]},
        "tagOwners": {"tag:web": ["carol@"]},
        "acls": [{"action": "accept", "src": ["group:a"], "dst": ["tag:web:443"]}],
    }"#), @"
    alice: alice@ 100.64.0.1 fd7a:115c:a1e0::1
    bob: bob@example.com@ 100.64.0.2 fd7a:115c:a1e0::2
    carol: carol@ 100.64.0.3 fd7a:115c:a1e0::3
    tag-web: tag:web 100.64.0.4 fd7a:115c:a1e0::4
    outsider: outsider@ 100.64.0.5 fd7a:115c:a1e0::5
    tag-unnamed: tag:unnamed 100.64.0.6 fd7a:115c:a1e0::6
    ");
}

#[test]
fn names_that_would_be_the_same_are_told_apart() {
    assert_snapshot!(nodes(r#"{
        "groups": {"group:a": ["ann@a.example", "ann@b.example", "outsider@", "tag-web@"]},
        "tagOwners": {"tag:web": [], "tag:unnamed": []},
        "acls": [],
    }"#), @"
    ann-a-example: ann@a.example@ 100.64.0.1 fd7a:115c:a1e0::1
    ann-b-example: ann@b.example@ 100.64.0.2 fd7a:115c:a1e0::2
    outsider: outsider@ 100.64.0.3 fd7a:115c:a1e0::3
    tag-web: tag-web@ 100.64.0.4 fd7a:115c:a1e0::4
    tag-unnamed: tag:unnamed 100.64.0.5 fd7a:115c:a1e0::5
    tag-web-2: tag:web 100.64.0.6 fd7a:115c:a1e0::6
    outsider-2: outsider-2@ 100.64.0.7 fd7a:115c:a1e0::7
    tag-unnamed-2: tag:unnamed-2 100.64.0.8 fd7a:115c:a1e0::8
    ");
}

#[test]
fn own_devices_are_two_and_addresses_are_nodes_or_routes() {
    assert_snapshot!(nodes(r#"{
        "hosts": {"nas": "100.64.0.1", "lab": "100.64.0.0/30", "office": "10.1.2.3/8"},
        "acls": [
            {"action": "accept", "src": ["alice@"], "dst": ["autogroup:self:*"]},
            {"action": "accept", "src": ["*"], "dst": ["office:22", "nas:80", "fd00::/8:1"]},
        ],
    }"#), @"
    alice: alice@ 100.64.0.4 fd7a:115c:a1e0::1
    alice-2: alice@ 100.64.0.5 fd7a:115c:a1e0::2
    outsider: outsider@ 100.64.0.6 fd7a:115c:a1e0::3
    outsider-2: outsider@ 100.64.0.7 fd7a:115c:a1e0::4
    tag-unnamed: tag:unnamed 100.64.0.8 fd7a:115c:a1e0::5
    nas: tag:unnamed 100.64.0.1 fd7a:115c:a1e0::6
    lab: tag:unnamed 100.64.0.2 fd7a:115c:a1e0::7
    router: tag:unnamed 100.64.0.9 fd7a:115c:a1e0::8 routes 10.0.0.0/8 fd00::/8
    ");
}

#[test]
fn routes_lie_behind_those_who_may_announce_them() {
    assert_snapshot!(nodes(r#"{
        "tagOwners": {"tag:gw": [], "tag:exit": [], "tag:pod": []},
        "autoApprovers": {"routes": {"10.244.0.0/16": ["tag:pod"]}},
        "grants": [
            {"src": ["alice@"], "dst": ["10.0.0.0/24"], "ip": ["*"], "via": ["tag:gw"]},
            {"src": ["alice@"], "dst": ["autogroup:internet"], "ip": ["*"], "via": ["tag:exit"]},
            {"src": ["alice@"], "dst": ["10.244.1.0/24"], "ip": ["*"]},
        ],
    }"#), @"
    alice: alice@ 100.64.0.1 fd7a:115c:a1e0::1
    tag-exit: tag:exit 100.64.0.2 fd7a:115c:a1e0::2 routes 0.0.0.0/0 ::/0
    tag-gw: tag:gw 100.64.0.3 fd7a:115c:a1e0::3 routes 10.0.0.0/24
    tag-pod: tag:pod 100.64.0.4 fd7a:115c:a1e0::4 routes 10.244.0.0/16 10.244.1.0/24
    outsider: outsider@ 100.64.0.5 fd7a:115c:a1e0::5
    tag-unnamed: tag:unnamed 100.64.0.6 fd7a:115c:a1e0::6
    ");
}
