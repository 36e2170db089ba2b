//! `policy explain`, `policy access` and `policy graph`

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

const KEYSTONE: &str = include_str!("../../../examples/keystone/policy-0.29.hujson");

fn keystone() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("policy.hujson", KEYSTONE);
    env
}

#[test]
fn the_rule_that_allows_is_shown() {
    let env = keystone();
    let explain =
        |args: &[&str]| env.run(&[&["policy", "explain", "policy.hujson"], args].concat());
    assert_snapshot!(explain(&["--from", "dev1@example.com", "--to", "tag:primer:6443"]), @r#"
    exit: 0
    --- stdout
    allowed: dev1@example.com to tag:primer:6443

    policy.hujson:32:3: acls[1]
      {"action":"accept","proto":"tcp","src":["group:cluster-admins","group:developers"],"dst":["tag:primer:443,6443"]}
      from dev1@example.com ∈ group:developers
      to   tag:primer
    --- stderr
    note: the nodes are made up from the policy; name the real ones with --tailnet
    "#);
    assert_snapshot!(
        explain(&["--from", "group:developers", "--to", "tag:worker", "--ssh-user", "debug"]),
        @r#"
    exit: 0
    --- stdout
    allowed: group:developers to tag:worker, SSH as debug

    policy.hujson:75:3: ssh[1]
      {"action":"accept","src":["group:developers"],"dst":["tag:worker"],"users":["debug"]}
      from group:developers
      to   tag:worker

    policy.hujson:39:3: acls[2]
      {"action":"accept","proto":"tcp","src":["group:developers"],"dst":["tag:worker:22"]}
      from group:developers
      to   tag:worker
    --- stderr
    note: the nodes are made up from the policy; name the real ones with --tailnet
    "#
    );
}

#[test]
fn what_denies_is_shown_with_the_nearest_rules() {
    let env = keystone();
    let explain =
        |args: &[&str]| env.run(&[&["policy", "explain", "policy.hujson"], args].concat());
    assert_snapshot!(explain(&["--from", "group:developers", "--to", "tag:storage:22"]), @r#"
    exit: 1
    --- stdout
    denied: group:developers to tag:storage:22
      for example dev1 (100.64.0.2) to tag-storage (100.64.0.6)

    Nearest rules, each with the one thing that it lacks:

    policy.hujson:25:3: acls[0]
      {"action":"accept","proto":"tcp","src":["group:cluster-admins"],"dst":["tag:primer:22","tag:worker:22","tag:storage:22","tag:monitoring:22"]}
      lacks src: dev1 is none of its sources: group:cluster-admins

    policy.hujson:39:3: acls[2]
      {"action":"accept","proto":"tcp","src":["group:developers"],"dst":["tag:worker:22"]}
      lacks dst: tag-storage is none of its destinations: tag:worker
    --- stderr
    note: the nodes are made up from the policy; name the real ones with --tailnet
    "#);
    assert_snapshot!(explain(&["--from", "group:developer", "--to", "tag:storage:22"]), @r#"
    exit: 2
    --- stderr
    error: "group:developer" is no name of the policy, no node and no address (the nodes are made up from the policy)
    hint: did you mean "group:developers"?
    "#);
    let json = explain(&["--from", "tag:monitoring", "--to", "tag:worker:22", "-o", "json"]);
    assert_eq!(json.code, Some(1), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!((&json["allowed"], &json["symbolic"]), (&false.into(), &true.into()));
    let lacks: Vec<_> = json["nearest"].as_array().unwrap().iter().map(|m| &m["lacks"]).collect();
    assert_eq!(lacks, ["port", "src", "src", "src"]);
    assert_eq!(json["nearest"][0]["span"]["start"]["line"], 59);
}

#[test]
fn access_is_a_table() {
    let env = keystone();
    let access = |args: &[&str]| env.run(&[&["policy", "access", "policy.hujson"], args].concat());
    assert_snapshot!(access(&["--from", "tag:monitoring"]), @"
    exit: 0
    --- stdout
    FROM             TO            PROTOCOL   PORTS
    tag:monitoring   tag:primer    tcp        9100,10250
    tag:monitoring   tag:storage   tcp        9100
    tag:monitoring   tag:worker    tcp        9100,10250
    --- stderr
    note: the nodes are made up from the policy; name the real ones with --tailnet
    ");
    assert_snapshot!(access(&["--to", "tag:storage:22", "-o", "yaml"]), @r#"
    exit: 0
    --- stdout
    version: 1
    symbolic: true
    rows:
    - src: group:cluster-admins
      dst: tag:storage
      proto: tcp
      ports: "22"
    "#);
    assert_eq!(access(&[]).code, Some(2));
    assert_eq!(access(&["--from", "a", "--to", "b"]).code, Some(2));
}

#[test]
fn a_graph_is_drawn_for_mermaid_and_graphviz() {
    let env = TestEnvironment::new();
    let policy = r#"{
        "hosts": {"a\"]<b>": "10.0.0.1"},
        "acls": [{"action": "accept", "src": ["alice@"], "dst": ["a\"]<b>:22,80", "bob@:*"]}],
    }"#;
    assert_snapshot!(env.run_with(policy, &["policy", "graph", "-"]), @r##"
    exit: 0
    --- stdout
    flowchart LR
      n0["alice@"]
      n1["a#34;#93;#60;b#62;"]
      n2["bob@"]
      n0 -->|"22,80"| n1
      n0 -->|"#42;"| n2
    "##);
    assert_snapshot!(env.run_with(policy, &["policy", "graph", "-", "-o", "dot"]), @r#"
    exit: 0
    --- stdout
    digraph policy {
      rankdir=LR;
      node [shape=box];
      n0 [label="alice@"];
      n1 [label="a\"]<b>"];
      n2 [label="bob@"];
      n0 -> n1 [label="22,80"];
      n0 -> n2 [label="*"];
    }
    "#);
}

#[test]
fn a_policy_that_headscale_refuses_has_no_answer() {
    let env = TestEnvironment::new();
    for (command, code) in [
        (&["explain", "-", "--from", "a@", "--to", "b@"][..], 2),
        (&["access", "-", "--from", "a@"], 2),
        (&["graph", "-"], 1),
    ] {
        let run = env.run_with("{\"acls\": 1}", &[&["policy"], command].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{run}");
        assert!(run.stderr.contains("<stdin>:1:10"), "{run}");
    }
}
