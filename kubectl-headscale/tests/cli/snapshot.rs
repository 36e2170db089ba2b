//! What is told of bad snapshots of users and nodes, and where.

use insta::assert_snapshot;
use serde_json::Value;

use crate::environment::{Run, TestEnvironment};

/// A policy that nothing is told of.
const POLICY: &str = r#"{"acls": []}"#;

const JSON: &str = r#"{
  "users": [
    {"id": "1", "name": "alice"},
    {"id": "1", "name": "bob"}
  ],
  "nodes": [
    {"id": "1", "name": "a", "user": {"id": "1"}, "ipAddresses": ["100.64.0.1"]},
    {
      "id": "2",
      "name": "typo",
      "user": {"id": "7"},
      "ipAddrs": ["100.64.0.2"]
    },
    {"id": "3", "name": "web", "tags": ["tag:web", "db"], "ipAddresses": ["100.64.0.3", "100.64.0.1"]},
    {"id": "4", "name": "r1", "user": {"id": "1"}, "ipAddresses": ["100.64.0.4"],
     "availableRoutes": ["10.0.0.0/8"], "approvedRoutes": ["10.0.0.0/8"]},
    {"id": "5", "name": "r2", "user": {"id": "1"}, "ipAddresses": ["100.64.0.5"],
     "availableRoutes": ["lan", "10.1.0.0/16"], "approvedRoutes": ["10.1.0.0/16"]}
  ]
}
"#;

const YAML: &str = "\
users:
  - &alice {id: 1, name: alice}
  - id: 1
    name: bob
nodes:
  # As the command line prints them.
  - id: 1
    name: a
    user: *alice
    ip_addresses: [100.64.0.1]
  - name: typo
    user:
      id: 7
    ip_addrs: [100.64.0.2]
  - {name: web, tags: [tag:web, db], ip_addresses: [100.64.0.3, 100.64.0.1]}
  - {name: r1, user: *alice, ip_addresses: [100.64.0.4], available_routes: [10.0.0.0/8], approved_routes: [10.0.0.0/8]}
  - name: r2
    user: *alice
    ip_addresses:
      - 100.64.0.5
    available_routes:
      - lan
      - 10.1.0.0/16
    approved_routes:
      - 10.1.0.0/16
";

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("policy.hujson", POLICY);
    env.write("tailnet.json", JSON);
    env.write("tailnet.yaml", YAML);
    env
}

fn check(env: &TestEnvironment, args: &[&str]) -> Run {
    env.run(&[&["policy", "check", "policy.hujson"], args].concat())
}

#[test]
fn every_finding_has_its_place_in_json_and_yaml() {
    let env = environment();
    assert_snapshot!(check(&env, &["--tailnet", "tailnet.json", "-o", "concise"]), @"
    exit: 0
    --- stdout
    tailnet.json:4:12: warning[tailnet-duplicate-id] user `bob` has the id of user `alice`: 1 (help: the nodes of this user belong to both; the other is /users/0)
    tailnet.json:8:5: warning[tailnet-node-without-address] node `typo` has no addresses, so no rule for its user or tags matches it (help: write them under `ipAddresses`)
    tailnet.json:11:15: warning[tailnet-user-unknown] node `typo` belongs to user 7, and there is no such user (help: add the user to `users`: until then no rule for a user matches the node)
    tailnet.json:14:52: warning[tailnet-contradictory-tags] `db` of node `web` does not start with `tag:` (help: write a tag such as `tag:web`; no rule can name this one, and because of it the node is no user's any more)
    tailnet.json:14:89: warning[tailnet-duplicate-address] node `web` has the address of node `a`: 100.64.0.1 (help: rules for one match both; the other is /nodes/0)
    tailnet.json:18:26: warning[tailnet-invalid-route] the route `lan` of node `r2` is no prefix: no '/' (help: it is ignored; write a prefix such as `10.0.0.0/8`)
    tailnet.json:18:33: info[tailnet-overlapping-routes] the route 10.1.0.0/16 of node `r2` lies within 10.0.0.0/8 of node `r1` (help: packets take the narrower one; the other is /nodes/3/availableRoutes/0)
    ");
    assert_snapshot!(check(&env, &["--tailnet", "tailnet.yaml", "-o", "concise"]), @"
    exit: 0
    --- stdout
    tailnet.yaml:3:9: warning[tailnet-duplicate-id] user `bob` has the id of user `alice`: 1 (help: the nodes of this user belong to both; the other is /users/0)
    tailnet.yaml:11:5: warning[tailnet-node-without-address] node `typo` has no addresses, so no rule for its user or tags matches it (help: write them under `ipAddresses`)
    tailnet.yaml:13:7: warning[tailnet-user-unknown] node `typo` belongs to user 7, and there is no such user (help: add the user to `users`: until then no rule for a user matches the node)
    tailnet.yaml:15:33: warning[tailnet-contradictory-tags] `db` of node `web` does not start with `tag:` (help: write a tag such as `tag:web`; no rule can name this one, and because of it the node is no user's any more)
    tailnet.yaml:15:65: warning[tailnet-duplicate-address] node `web` has the address of node `a`: 100.64.0.1 (help: rules for one match both; the other is /nodes/0)
    tailnet.yaml:22:9: warning[tailnet-invalid-route] the route `lan` of node `r2` is no prefix: no '/' (help: it is ignored; write a prefix such as `10.0.0.0/8`)
    tailnet.yaml:23:9: info[tailnet-overlapping-routes] the route 10.1.0.0/16 of node `r2` lies within 10.0.0.0/8 of node `r1` (help: packets take the narrower one; the other is /nodes/3/availableRoutes/0)
    ");
    assert_snapshot!(
        check(&env, &["--tailnet", "tailnet.yaml", "--rule", "tailnet-user-unknown=error", "--max-findings", "1"]),
        @"
    exit: 1
    --- stdout
    error[tailnet-user-unknown]: node `typo` belongs to user 7, and there is no such user
      --> tailnet.yaml:13:7
       |
    13 |       id: 7
       |       ^^^^^
       |
       = help: add the user to `users`: until then no rule for a user matches the node

    … and 6 more findings (--max-findings 0 shows all)
    1 error, 5 warnings, 1 info in 1 of 2 files
    "
    );
}

#[test]
fn every_shape_of_a_snapshot_has_places() {
    let env = environment();
    let node = r#"{"id": 1, "name": "a", "tags": ["web"]}"#;
    let user = r#"{"id": "1"}"#;
    for (snapshot, places) in [
        (format!("[{node}]"), vec![(1, 2), (1, 34)]),
        (format!("[\n{user},\n{user}]"), vec![(3, 8)]),
        (format!("{{\"node\": {node}}}"), vec![(1, 10), (1, 42)]),
        (format!("{{\"node\": {node}, \"nodes\": []}}"), vec![(1, 10), (1, 42)]),
        (format!("{{\"users\": [], \"nodes\": [{node}]}}"), vec![(1, 25), (1, 57)]),
        ("- id: 1\n  name: a\n  tags:\n  - web\n".to_owned(), vec![(1, 3), (4, 5)]),
        ("node:\n  name: a\n  x_y: [{z: 1}, 2]\n  tags: [web]\n".to_owned(), vec![(2, 3), (4, 10)]),
        ("- &a {id: 1}\n- *a\n".to_owned(), vec![(2, 3)]),
        (
            "{nodes: [{tags: [web]}], users: [], /nodes/0: 1, nodes/0/tags/0: 1}\n".to_owned(),
            vec![(1, 10), (1, 18)],
        ),
    ] {
        env.write("tailnet", &snapshot);
        let run = check(&env, &["--tailnet", "tailnet", "-o", "json"]);
        assert_eq!(run.code, Some(0), "{snapshot}\n{run}");
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let of_snapshot = findings.iter().filter(|finding| finding["file"] == "tailnet");
        let place = |finding: &Value| {
            let at = &finding["span"]["start"];
            (at["line"].as_u64().unwrap_or(0), at["column"].as_u64().unwrap_or(0))
        };
        // What is about the whole file has no place.
        let found: Vec<_> = of_snapshot.map(place).filter(|place| *place != (0, 0)).collect();
        assert_eq!(found, places, "{snapshot}\n{run}");
    }
}

#[test]
fn a_report_holds_the_snapshot_as_one_more_file() {
    let env = environment();
    let run = check(&env, &["--tailnet", "tailnet.json", "-o", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let first = report["findings"].as_array().unwrap().iter().find(|f| f["file"] == "tailnet.json");
    assert_snapshot!(format!("{:#}", first.unwrap()), @r#"
    {
      "rule": "tailnet-duplicate-id",
      "severity": "warning",
      "message": "user `bob` has the id of user `alice`: 1",
      "help": "the nodes of this user belong to both; the other is /users/0",
      "source": "lint",
      "file": "tailnet.json",
      "span": {
        "start": {
          "line": 4,
          "column": 12,
          "offset": 60
        },
        "end": {
          "line": 4,
          "column": 15,
          "offset": 63
        }
      }
    }
    "#);
    // Nothing to say of the snapshot, nothing said.
    env.write("good.json", r#"{"users": [{"id": 1, "name": "alice"}]}"#);
    assert_snapshot!(check(&env, &["--tailnet", "good.json", "-o", "concise"]), @"exit: 0");
}

#[test]
fn levels_failures_and_baselines_count_for_snapshots() {
    let env = environment();
    let tailnet = ["--tailnet", "tailnet.json", "-o", "concise"];
    let with = |args: &[&str]| check(&env, &[&tailnet, args].concat());
    assert_eq!(with(&[]).code, Some(0));
    assert_eq!(with(&["--fail-on", "warning"]).code, Some(1));
    assert_eq!(with(&["--rule", "tailnet-user-unknown=error"]).code, Some(1));
    let rules = "rules:\n  tailnet-user-unknown: off\n  tailnet-duplicate-id: off\n  tailnet-contradictory-tags: off\n  tailnet-node-without-address: off\n";
    env.write(".headscale-policy.yaml", rules);
    assert_snapshot!(with(&[]), @"
    exit: 0
    --- stdout
    tailnet.json:14:89: warning[tailnet-duplicate-address] node `web` has the address of node `a`: 100.64.0.1 (help: rules for one match both; the other is /nodes/0)
    tailnet.json:18:26: warning[tailnet-invalid-route] the route `lan` of node `r2` is no prefix: no '/' (help: it is ignored; write a prefix such as `10.0.0.0/8`)
    tailnet.json:18:33: info[tailnet-overlapping-routes] the route 10.1.0.0/16 of node `r2` lies within 10.0.0.0/8 of node `r1` (help: packets take the narrower one; the other is /nodes/3/availableRoutes/0)
    ");
    env.write(".headscale-policy.yaml", "");
    assert_eq!(with(&["--write-baseline", "known.json"]).code, Some(0));
    let known = with(&["--baseline", "known.json", "--fail-on", "info"]);
    assert_eq!(known.code, Some(0), "{known}");
}

/// What is only counted is silenced as well.
#[test]
fn more_findings_than_are_kept_are_counted() {
    let env = environment();
    let nodes: Vec<String> = (0..10_010)
        .map(|at| format!(r#"{{"user": {{"id": 1}}, "name": "n{at}", "ipAddresses": []}}"#))
        .collect();
    env.write("many.json", format!("[\n{}\n]", nodes.join(",\n")));
    let args = ["--tailnet", "many.json", "--max-findings", "2", "-o", "concise"];
    assert_snapshot!(check(&env, &args), @"
    exit: 0
    --- stdout
    many.json:2:1: warning[tailnet-node-without-address] node `n0` has no addresses, so no rule for its user or tags matches it (help: write them under `ipAddresses`)
    many.json:3:1: warning[tailnet-node-without-address] node `n1` has no addresses, so no rule for its user or tags matches it (help: write them under `ipAddresses`)
    … and 10,008 more findings (--max-findings 0 shows the first 10,000)
    ");
    let off = [&args[..], &["--rule", "tailnet-node-without-address=off"]].concat();
    assert_snapshot!(check(&env, &off), @"exit: 0");
}

#[test]
fn answers_come_with_the_warnings_about_the_snapshot() {
    let env = environment();
    let small = r#"[
  {"id": 1, "name": "a", "user": {"id": 1, "name": "alice"}, "ipAddresses": ["100.64.0.1"]},
  {"id": 2, "name": "r", "tags": ["tag:r"], "ipAddresses": ["100.64.0.2"],
   "availableRoutes": ["10.0.0.0/8", "lan"], "approvedRoutes": ["10.0.0.0/8"]}
]"#;
    env.write("small.json", small);
    let policy = r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:443"]}]}"#;
    env.write("policy.hujson", policy);
    let about = ["policy.hujson", "--tailnet", "small.json"];
    let run =
        |command: &str, args: &[&str]| env.run(&[&["policy", command], &about[..], args].concat());
    assert_snapshot!(run("access", &["--from", "alice@"]), @r#"
    exit: 0
    --- stdout
    FROM     TO         PROTOCOL   PORTS
    alice@   10.0.0.1   *          443
    --- stderr
    warning[tailnet-invalid-route]: the route `lan` of node `r` is no prefix: no '/'
     --> small.json:4:38
      |
    4 |    "availableRoutes": ["10.0.0.0/8", "lan"], "approvedRoutes": ["10.0.0.0/8"]}
      |                                      ^^^^^
      |
      = help: it is ignored; write a prefix such as `10.0.0.0/8`

    1 warning in 1 file
    "#);
    let commands = [
        ("explain", &["--from", "a", "--to", "10.0.0.1"][..]),
        ("access", &["--to", "10.0.0.1"]),
        ("graph", &[]),
        ("compile", &[]),
        ("diff", &["policy.hujson"]),
    ];
    for (command, args) in commands {
        let told = run(command, args);
        assert_eq!(told.code, Some(0), "{told}");
        assert!(told.stderr.contains("warning[tailnet-invalid-route]"), "{told}");
        assert!(!told.stdout.contains("tailnet-invalid-route"), "{told}");
    }
    // An error by configuration is no error of an answer, and what is off is not told.
    env.write(".headscale-policy.yaml", "rules: {tailnet-invalid-route: error}\n");
    let told = run("graph", &[]);
    assert_eq!(told.code, Some(0));
    assert!(told.stderr.contains("warning[tailnet-invalid-route]"), "{told}");
    for level in ["off", "info"] {
        env.write(".headscale-policy.yaml", format!("rules: {{tailnet-invalid-route: {level}}}\n"));
        assert_eq!(run("graph", &[]).stderr, "");
    }
}

#[test]
fn many_warnings_are_told_in_part() {
    let env = environment();
    let node = r#"{"user": {"id": 1, "name": "alice"}}"#;
    env.write("many.json", format!("[\n{}\n]", vec![node; 25].join(",\n")));
    let run = env.run(&["policy", "graph", "policy.hujson", "--tailnet", "many.json"]);
    assert_eq!(run.code, Some(0));
    assert_eq!(run.stderr.matches("warning[").count(), 20, "{run}");
    assert!(run.stderr.ends_with("… and 5 more findings\n25 warnings in 1 file\n"), "{run}");
}

#[test]
fn a_name_that_stands_twice_hides_nothing() {
    let env = environment();
    env.write("twice.json", "{\"nodes\": [{}],\n \"nodes\": []}");
    assert_snapshot!(check(&env, &["--tailnet", "twice.json"]), @r#"
    exit: 2
    --- stderr
    error: cannot read the tailnet twice.json: the name "nodes" stands here twice at line 2 column 8
    hint: it is JSON or YAML with `users` and `nodes`, as Headscale's API and its `users list` and `nodes list` print them
    "#);
}
