//! A policy's own `tests` and `sshTests`: what is told of those that fail, and when they are run.
//! That the verdicts and sentences are Headscale's is held by `conformance.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use headscale_acl::{Checked, Findings, LineIndex, Options, Severity, Tailnet, Version, check};
use serde_json::{Value, json};

/// alice has a laptop and a phone, bob a tablet, carol nothing; web1 and db1 are tagged.
fn tailnet() -> Value {
    let node = |id: u32, name: &str, user: u32, tags: &[&str]| {
        json!({
            "id": id, "name": name, "tags": tags,
            "user": if user == 0 { Value::Null } else { json!({"id": user}) },
            "ipAddresses": [format!("100.64.0.{id}"), format!("fd7a:115c:a1e0::{id}")],
        })
    };
    json!({
        "users": [
            {"id": 1, "name": "alice"}, {"id": 2, "name": "bob"}, {"id": 3, "name": "carol"},
        ],
        "nodes": [
            node(1, "laptop", 1, &[]), node(3, "phone", 1, &[]), node(5, "tablet", 2, &[]),
            node(7, "web1", 0, &["tag:web"]), node(9, "db1", 0, &["tag:db"]),
        ],
    })
}

fn run(text: &str, tailnet: &Value, versions: &[Version]) -> Checked {
    let tailnet = Tailnet::from_value(tailnet).unwrap();
    let options = Options { versions, tailnet: Some(&tailnet), ..Options::default() };
    check(text.as_bytes(), &options)
}

fn told(text: &str, versions: &[Version]) -> String {
    let index = LineIndex::new(text.as_bytes());
    let mut told = String::new();
    for finding in run(text, &tailnet(), versions).findings {
        let start = index.position(finding.span.unwrap_or_default().start);
        let (rule, help) = (&finding.rule, finding.help.as_deref().unwrap_or_default());
        writeln!(told, "{}:{} {rule}: {}", start.line, start.column, finding.message).unwrap();
        writeln!(told, "    {help}").unwrap();
    }
    told
}

const NETWORK: &str = r#"{
    "groups": {"group:ops": ["alice@", "nobody@"], "group:none": ["carol@"]},
    "tagOwners": {"tag:web": [], "tag:db": [], "tag:old": []},
    "acls": [
        {"action": "accept", "src": ["alice@"], "dst": ["tag:web:80"]},
        {"action": "accept", "src": ["100.64.0.1"], "dst": ["tag:db:22"]},
        {"action": "accept", "proto": "icmp", "src": ["bob@"], "dst": ["tag:db:*"]},
        {"action": "accept", "src": ["bob@"], "dst": ["100.64.0.7:443"]},
        {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]},
    ],
    "tests": [
        {"src": "alice@", "accept": ["tag:web:80"], "deny": ["tag:web:22", "tag:db:22"]},
        {"src": "alice@", "accept": ["tag:db:22"], "deny": ["tag:web:80"]},
        {"src": "alice@", "accept": ["100.64.0.3:22"]},
        {"src": "bob@", "accept": ["tag:db:5432", "tag:web:443"]},
        {"src": "bob@", "proto": "TCP", "accept": ["tag:db:5432"]},
        {"src": "group:ops", "accept": ["tag:web:80"]},
        {"src": "group:none", "deny": ["tag:web:80"]},
        {"src": "a:b", "proto": "udp", "deny": ["tag:web:80"]},
        {"src": "bob@", "proto": "tcp", "accept": ["tag:web:80"], "deny": ["tag:old:80", "dave@:80"]},
        {"src": "*", "deny": ["tag:web:80"]},
    ],
}"#;

#[test]
fn failed_tests_say_who_is_denied_and_what_allows() {
    insta::assert_snapshot!(told(NETWORK, &[Version::V0_29]));
}

const SSH: &str = r#"{
    "tagOwners": {"tag:web": [], "tag:db": []},
    "hosts": {"everything": "::/0"},
    "acls": [],
    "ssh": [
        {"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]},
        {"action": "check", "src": ["alice@"], "dst": ["autogroup:self"], "users": ["autogroup:nonroot"]},
    ],
    "sshTests": [
        {"src": "alice@", "dst": ["autogroup:self"], "check": ["alice"], "accept": ["alice"], "deny": ["root"]},
        {"src": "alice@", "dst": ["tag:web"], "accept": ["root"], "deny": ["alice", ""]},
        {"src": "alice@", "dst": ["tag:web", "tag:db", "laptop@"], "accept": ["root"]},
        {"src": "alice@", "dst": ["tag:web", "carol@"], "check": ["root", "bob"], "deny": ["root"]},
        {"src": "bob@", "dst": ["tag:web"], "accept": [""]},
        {"src": "bob@", "dst": ["tag:web"]},
        {"src": "nobody@", "dst": ["tag:web"], "deny": ["root"]},
        {"src": "carol@", "dst": ["tag:web"], "deny": ["root"]},
    ],
}"#;

#[test]
fn failed_ssh_tests_say_who_is_denied_and_what_allows() {
    insta::assert_snapshot!(told(SSH, &[Version::V0_29]));
}

#[test]
fn versions_that_judge_alike_tell_it_once() {
    for text in [NETWORK, SSH] {
        assert_eq!(told(text, &[Version::V0_29, Version::V0_30]), told(text, &[Version::V0_29]));
    }
}

#[test]
fn wide_ssh_sources_are_judged_without_a_list_of_their_addresses() {
    for source in ["*", "autogroup:danger-all", "autogroup:internet", "::/0", "10.0.0.0/8"] {
        let test = |expected: &str| {
            let text = r#"{
                "tagOwners": {"tag:web": []}, "acls": [],
                "ssh": [{"action": "accept", "src": ["alice@"], "dst": ["tag:web"], "users": ["root"]}],
                "sshTests": [{"src": "SOURCE", "dst": ["tag:web"], "EXPECTED": ["root"]}],
            }"#;
            let text = text.replace("SOURCE", source).replace("EXPECTED", expected);
            let findings = run(&text, &tailnet(), &[Version::V0_29]).findings;
            let errors = findings.into_iter().filter(|f| f.severity == Severity::Error);
            errors.map(|error| error.message).collect::<Vec<_>>()
        };
        // alice's addresses are among these, and get in; no others do.
        let has_alice = matches!(source, "*" | "autogroup:danger-all" | "::/0");
        assert_eq!(test("deny").is_empty(), !has_alice, "{source}");
        assert_eq!(
            test("accept"),
            [format!("{source}/root -> web1: expected ALLOWED, got DENIED")],
            "{source}"
        );
    }
}

#[test]
fn tests_are_run_only_where_a_tailnet_is_given_and_nothing_else_is_wrong() {
    let count = NETWORK.matches("\"src\": \"").count();
    assert_eq!(check(NETWORK.as_bytes(), &Options::default()).tests, count);
    assert_eq!(run(NETWORK, &tailnet(), &[Version::V0_29]).tests, 0);
    let wrong = NETWORK.replace("group:none\": [\"carol@\"]", "group:none\": [\"carol\"]");
    let Checked { findings, tests, .. } = run(&wrong, &tailnet(), &[Version::V0_29]);
    assert_eq!(tests, count);
    assert!(findings.iter().all(|finding| finding.rule != "test-failed"), "{findings:?}");
}

#[test]
fn what_compiles_need_not_pass_its_tests() {
    let tailnet = Tailnet::from_value(&tailnet()).unwrap();
    for text in [NETWORK, SSH] {
        assert!(headscale_acl::compile(text.as_bytes(), &tailnet, Version::V0_29).is_ok());
    }
}

#[test]
fn failures_are_bounded_and_counted() {
    let nodes: Vec<Value> = (0..2_000_u32)
        .map(|id| {
            let address = format!("100.64.{}.{}", id / 256, id % 256);
            json!({"id": id + 1, "name": "n", "tags": ["tag:web"], "ipAddresses": [address]})
        })
        .collect();
    let users = "\"root\",".repeat(100);
    let text = format!(
        r#"{{"tagOwners": {{"tag:web": []}}, "acls": [],
            "sshTests": [{{"src": "tag:web", "dst": ["tag:web"], "accept": [{users}]}}]}}"#
    );
    let tailnet = json!({"users": [], "nodes": nodes});
    let Checked { findings, uncounted, .. } = run(&text, &tailnet, &[Version::V0_29]);
    assert_eq!(findings.len(), Findings::KEPT);
    assert_eq!(findings.len() as u64 + uncounted.errors, 100 * 2_000);

    let long = "x".repeat(1_000_000);
    let text = text.replace("root", &long).replace(&users.replace("root", &long), "");
    let text = text.replace("\"accept\": []", &format!("\"accept\": [\"{long}\"]"));
    let Checked { findings, uncounted, .. } = run(&text, &tailnet, &[Version::V0_29]);
    let told: usize = findings.iter().map(|finding| finding.message.len()).sum();
    assert!(told < 20_000_000, "{told} bytes");
    assert_eq!(findings.len() as u64 + uncounted.errors, 2_000);
}
