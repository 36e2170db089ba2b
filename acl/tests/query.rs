//! Questions to policies; the cases of `explain` stand in `queries/explain.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::sync::Arc;

use headscale_acl::engine::{self, Explanation, Extent, Loaded, Problem, Question, Side};
use headscale_acl::{Tailnet, Version};
use insta::assert_snapshot;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    policy: Value,
    tailnet: Option<Value>,
    questions: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    from: String,
    to: String,
    proto: Option<String>,
    #[serde(default)]
    any: bool,
    ssh: Option<String>,
    answer: String,
}

/// `VERDICT [partly] RULE CHAIN… [| RULE LACK]…`
fn in_short(answer: &Explanation) -> String {
    let mut out = if answer.allowed { "allowed" } else { "denied" }.to_owned();
    if answer.partly {
        out.push_str(" partly");
    }
    let section = |section| json!(section).as_str().unwrap().to_owned();
    for rule in &answer.rules {
        write!(out, " {}[{}] {}", section(rule.section), rule.index, rule.via.join(">")).unwrap();
    }
    for (at, miss) in answer.nearest.iter().enumerate() {
        let bar = if at > 0 || !answer.rules.is_empty() { " |" } else { "" };
        let lacks = json!(miss.lacks).as_str().unwrap().to_owned();
        write!(out, "{bar} {}[{}] {lacks}", section(miss.section), miss.index).unwrap();
    }
    out
}

#[test]
fn explanations_say_what_allows_or_what_is_missing() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("queries/explain.json")).unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let text = case.policy.to_string();
        let tailnet = case.tailnet.map(|value| Tailnet::from_value(&value).unwrap());
        for asked in case.questions {
            let question = Question {
                from: &asked.from,
                to: &asked.to,
                protocol: asked.proto.as_deref(),
                any: asked.any,
                ssh_user: asked.ssh.as_deref(),
            };
            let (text, tailnet) = (text.as_bytes(), tailnet.as_ref());
            let answer =
                engine::ask(text, tailnet, Version::V0_29, |network| network.explain(&question));
            let extent =
                engine::ask(text, tailnet, Version::V0_29, |network| network.extent(&question));
            let all = Question { any: false, ..question };
            let all = engine::ask(text, tailnet, Version::V0_29, |network| network.explain(&all));
            let expected = all.unwrap().map(|all| match (all.allowed, all.partly) {
                (true, _) => Extent::All,
                (false, true) => Extent::Some,
                (false, false) => Extent::None,
            });
            assert_eq!(extent.unwrap(), expected, "{} to {}", asked.from, asked.to);
            let answer = match answer.unwrap() {
                Ok(answer) => in_short(&answer),
                Err(error) => format!("error {error}"),
            };
            if answer != asked.answer {
                let Asked { from, to, answer: expected, .. } = asked;
                wrong.push(format!("{from} to {to}\n  expected {expected}\n  is       {answer}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A network remembers names, as sources and as destinations.
#[test]
fn what_was_asked_before_changes_no_answer() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("queries/explain.json")).unwrap();
    for case in cases {
        let text = case.policy.to_string();
        let tailnet = case.tailnet.map(|value| Arc::new(Tailnet::from_value(&value).unwrap()));
        let load = || Loaded::new(text.as_bytes(), tailnet.clone(), Version::V0_29).unwrap();
        let long_asked = load();
        let names: Vec<&str> =
            case.questions.iter().flat_map(|asked| [&*asked.from, &*asked.to]).collect();
        for from in &names {
            for to in &names {
                let question = Question { from, to, ..Question::default() };
                let ask = |policy: &Loaded| policy.ask(|network| network.explain(&question));
                assert_eq!(ask(&long_asked), ask(&load()), "{from} to {to}");
            }
        }
    }
}

/// The rows of an answer, one on each line.
fn access(text: &str, tailnet: Option<&Value>, side: Side<'_>) -> String {
    let tailnet = tailnet.map(|value| Tailnet::from_value(value).unwrap());
    let ask = |network: &engine::Network<'_, '_>| network.access(side);
    let answer = engine::ask(text.as_bytes(), tailnet.as_ref(), Version::V0_29, ask).unwrap();
    let rows = answer.unwrap().rows;
    let row = |row: engine::AccessRow| {
        format!("{} -> {} {} {}\n", row.src, row.dst, row.proto, row.ports)
    };
    rows.into_iter().map(row).collect()
}

const MIXED: &str = r#"{
    "groups": {"group:dev": ["alice@", "bob@"]},
    "tagOwners": {"tag:web": [], "tag:db": []},
    "hosts": {"office": "10.0.0.0/24"},
    "acls": [
        {"action": "accept", "proto": "tcp", "src": ["group:dev"], "dst": ["tag:web:80,443"]},
        {"action": "accept", "proto": "tcp", "src": ["alice@"], "dst": ["tag:web:81-90"]},
        {"action": "accept", "src": ["alice@"], "dst": ["office:22", "autogroup:internet:*"]},
        {"action": "accept", "proto": "47", "src": ["tag:web"], "dst": ["tag:db:*"]},
    ],
}"#;

#[test]
fn access_is_told_in_the_names_of_the_policy() {
    assert_snapshot!(access(MIXED, None, Side::From("group:dev")), @"
    alice@ -> autogroup:internet * *
    alice@ -> office * 22
    alice@ -> tag:web tcp 80-90,443
    bob@ -> tag:web tcp 80,443
    ");
    assert_snapshot!(access(MIXED, None, Side::To("tag:web:80")), @"group:dev -> tag:web tcp 80");
    assert_snapshot!(access(MIXED, None, Side::To("10.0.0.9")), @"alice@ -> 10.0.0.9 * 22");
    assert_snapshot!(access(MIXED, None, Side::All), @"
    alice@ -> autogroup:internet * *
    alice@ -> office * 22
    alice@ -> tag:web tcp 80-90,443
    bob@ -> tag:web tcp 80,443
    tag:web -> tag:db gre *
    ");
}

#[test]
fn nodes_are_named_where_not_all_of_a_name_is_meant() {
    let tailnet = json!({
        "users": [{"id": 1, "name": "alice"}],
        "nodes": [
            {"id": 1, "name": "laptop", "user": {"id": 1}, "ipAddresses": ["100.64.0.1"]},
            {"id": 2, "name": "web1", "tags": ["tag:web"],
             "ipAddresses": ["100.64.0.2", "fd7a:115c:a1e0::2"]},
            {"id": 3, "name": "web2", "tags": ["tag:web"], "ipAddresses": ["100.64.0.3"]},
        ],
    });
    let text = r#"{
        "tagOwners": {"tag:web": []},
        "acls": [
            {"action": "accept", "src": ["alice@"], "dst": ["100.64.0.3:22", "100.64.0.2:23"]},
            {"action": "accept", "src": ["tag:web"], "dst": ["tag:web:80"]},
        ],
    }"#;
    assert_snapshot!(access(text, Some(&tailnet), Side::All), @"
    alice@ -> 100.64.0.2 * 23
    alice@ -> 100.64.0.3 * 22
    tag:web -> tag:web * 80
    ");
}

#[test]
fn what_is_loaded_answers_again_and_again_wherever_it_is_kept() {
    let tailnet = json!({
        "users": [{"id": 1, "name": "alice"}],
        "nodes": [
            {"id": 1, "name": "laptop", "user": {"id": 1}, "ipAddresses": ["100.64.0.1"]},
            {"id": 2, "name": "web1", "tags": ["tag:web"], "ipAddresses": ["100.64.0.2"]},
        ],
    });
    let tailnet = Arc::new(Tailnet::from_value(&tailnet).unwrap());
    let text = MIXED.to_owned();
    let loaded = Loaded::new(text.as_bytes(), Some(tailnet), Version::V0_29).unwrap();
    drop(text);
    let kept = [Box::new(loaded)];
    let question = Question { from: "laptop", to: "tag:web:80", ..Question::default() };
    for _ in 0..2 {
        let extent = kept[0].ask(|network| network.extent(&question));
        assert_eq!(extent, Ok(Extent::All));
    }
    let resolved = kept[0].ask(|network| network.resolve("tag:web")).unwrap();
    assert_eq!((resolved.nodes, resolved.others), (vec![1], vec![]));
    let resolved = kept[0].ask(|network| network.resolve("office")).unwrap();
    assert_eq!((resolved.nodes, resolved.others), (vec![], vec!["10.0.0.0/24".to_owned()]));
    for (name, problem) in [
        ("tag:db", Problem::Empty),
        ("nobody", Problem::Unknown),
        ("autogroup:self", Problem::Invalid),
    ] {
        let error = kept[0].ask(|network| network.resolve(name)).unwrap_err();
        assert_eq!(error.problem, problem, "{name}: {error}");
    }
    let most = kept[0].ask(|network| network.access_up_to(Side::All, 0)).unwrap_err();
    assert_eq!(most.to_string(), "the answer has more than 0 rows");
    assert!(Loaded::new(b"{\"acls\": 1}", None, Version::V0_29).is_err());
}
