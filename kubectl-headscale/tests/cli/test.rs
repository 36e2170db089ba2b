//! `policy test`, and the suites of `policy check`.

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

const POLICY: &str = r#"{
  "groups": {"group:dev": ["alice@", "bob@"]},
  "tagOwners": {"tag:web": [], "tag:db": []},
  "acls": [
    {"action": "accept", "src": ["group:dev"], "dst": ["tag:web:80,443"]},
    {"action": "accept", "src": ["bob@", "tag:web"], "dst": ["tag:db:5432"]},
  ],
  "ssh": [{"action": "check", "src": ["group:dev"], "dst": ["tag:web"], "users": ["ubuntu"]}],
  "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}],
}
"#;

const TAILNET: &str = r#"{
  "users": [{"id": "1", "name": "alice"}, {"id": "2", "name": "bob"}],
  "nodes": [
    {"id": "1", "name": "laptop", "user": {"id": "1"}, "ipAddresses": ["100.64.0.1"]},
    {"id": "2", "name": "phone", "user": {"id": "2"}, "ipAddresses": ["100.64.0.2"]},
    {"id": "3", "name": "web1", "tags": ["tag:web"], "ipAddresses": ["100.64.0.3"]}
  ]
}
"#;

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("policy.hujson", POLICY);
    env.write("tailnet.json", TAILNET);
    env
}

#[test]
fn entries_that_do_not_hold_name_a_pair_and_a_rule() {
    let env = environment();
    let suite = "\
version: 1
tests:
- {from: group:dev, to: 'tag:web:443', expect: accept}
- {from: group:dev, to: 'tag:db:5432', expect: deny, match: any}
- name: nobody reaches the databases
  from: '*'
  to: tag:db
  expect: deny
- {from: group:ghost, to: 'tag:web:443', expect: accept}
- {from: group:dev, to: tag:web, expect: accept}
- {from: tag:nothing, to: tag:web, expect: deny}
- {from: group:dev, to: 'tag:web:80,81', expect: accept, match: any}
invariants:
- never: {from: group:dev, to: 'tag:db:5432'}
- only: {to: 'tag:web:80', from: [alice@]}
- always: {from: alice@, to: 'tag:web:80,8080'}
";
    env.write("suite.yaml", suite);
    assert_snapshot!(env.run(&["policy", "test", "policy.hujson", "--suite", "suite.yaml"]), @r#"
    exit: 1
    --- stdout
    error[suite-test-failed]: nobody reaches the databases: bob (100.64.0.2) reaches tag-db (100.64.0.3) on tcp:5432
     --> suite.yaml:5:3
      |
    5 | - name: nobody reaches the databases
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: `acls[1]` at policy.hujson:6:5 allows it, from bob@ to tag:db

    error[suite-entry-invalid]: accept group:ghost -> tag:web:443: "group:ghost" is no name of the policy, no node and no address (the nodes are made up from the policy)
     --> suite.yaml:9:3
      |
    9 | - {from: group:ghost, to: 'tag:web:443', expect: accept}
      |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: name a user (`alice@`), group, tag, host, autogroup, node or address of the policy or the tailnet

    error[suite-entry-invalid]: accept group:dev -> tag:web: "tag:web" has no port
      --> suite.yaml:10:3
       |
    10 | - {from: group:dev, to: tag:web, expect: accept}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: name the ports that must be open: "tag:web:443", or "tag:web:*" for all

    warning[suite-vacuous]: deny tag:nothing -> tag:web: proves nothing, because no node carries "tag:nothing"
      --> suite.yaml:11:3
       |
    11 | - {from: tag:nothing, to: tag:web, expect: deny}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: give the tailnet such a node, or remove the entry

    error[suite-test-failed]: accept any group:dev -> tag:web:80,81: alice (100.64.0.1) does not reach tag-web (100.64.0.4) on tcp:81
      --> suite.yaml:12:3
       |
    12 | - {from: group:dev, to: 'tag:web:80,81', expect: accept, match: any}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `acls[0]` at policy.hujson:5:5 comes nearest: it opens 80,443 of tag:web, not 81

    error[suite-invariant-broken]: never group:dev -> tag:db:5432: bob (100.64.0.2) reaches tag-db (100.64.0.3) on tcp:5432
      --> suite.yaml:14:3
       |
    14 | - never: {from: group:dev, to: 'tag:db:5432'}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `acls[1]` at policy.hujson:6:5 allows it, from bob@ to tag:db

    error[suite-invariant-broken]: only alice@ -> tag:web:80: bob (100.64.0.2) reaches tag-web (100.64.0.4) on tcp:80
      --> suite.yaml:15:3
       |
    15 | - only: {to: 'tag:web:80', from: [alice@]}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `acls[0]` at policy.hujson:5:5 allows it, from group:dev to tag:web

    error[suite-invariant-broken]: always alice@ -> tag:web:80,8080: alice (100.64.0.1) does not reach tag-web (100.64.0.4) on tcp:8080
      --> suite.yaml:16:3
       |
    16 | - always: {from: alice@, to: 'tag:web:80,8080'}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: `acls[0]` at policy.hujson:5:5 comes nearest: it opens 80,443 of tag:web, not 8080

    7 errors, 1 warning in 1 of 2 files
    --- stderr
    note: policy.hujson: 1 test of its own, all pass; 10 entries of suites, 7 broken; the nodes are made up from the policy; name the real ones with --tailnet
    "#);
}

#[test]
fn a_suite_may_have_a_tailnet_of_its_own_and_comments() {
    let env = environment();
    let suite = r#"// What production must not allow.
{
  "version": 1,
  "tailnet": "../tailnet.json",
  "tests": [
    {"from": "laptop", "to": "web1:443", "expect": "accept"},
    // UDP is not asked for by "accept".
    {"from": "phone", "to": "web1:443", "proto": "udp", "expect": "deny"},
    {"from": "group:dev", "to": "tag:db:5432", "expect": "accept"},
  ],
}
"#;
    env.write("suites/prod.hujson", suite);
    let args =
        ["policy", "test", "policy.hujson", "--suite", "suites/prod.hujson", "-o", "concise"];
    assert_snapshot!(env.run(&args), @r#"
    exit: 1
    --- stdout
    suites/prod.hujson:8:5: error[suite-test-failed] deny phone -> web1:443 (udp): phone (100.64.0.2) reaches web1 (100.64.0.3) on udp:443 (help: `acls[0]` at policy.hujson:5:5 allows it, from group:dev to tag:web)
    suites/prod.hujson:9:5: warning[suite-vacuous] accept group:dev -> tag:db:5432: proves nothing, because no node carries "tag:db" (help: give the tailnet such a node, or remove the entry)
    --- stderr
    note: policy.hujson: 1 test of its own, all pass; 3 entries of suites, 1 broken; the nodes are made up from the policy; name the real ones with --tailnet
    "#);
}

#[test]
fn coverage_and_mutants_are_findings_in_the_policy() {
    let env = environment();
    env.write(
        "suite.yaml",
        "version: 1\ntests: [{from: bob@, to: 'tag:db:5432', expect: accept}]\n",
    );
    let test = |more: &[&str]| {
        let args = ["policy", "test", "policy.hujson", "--suite", "suite.yaml", "-o", "concise"];
        env.run(&[&args, more].concat())
    };
    assert_snapshot!(test(&["--coverage"]), @"
    exit: 0
    --- stdout
    policy.hujson:6:42: info[name-untested] no test goes through `acls[1]` from tag:web (help: expect in a test what it brings)
    policy.hujson:8:11: info[rule-untested] no test goes through `ssh[0]` (help: expect what it allows under `accept` of `tests` or `sshTests`, or in a suite)
    --- stderr
    note: policy.hujson: 1 test of its own, all pass; 1 entry of suites, all hold; tests go through 2 of 3 rules; the nodes are made up from the policy; name the real ones with --tailnet
    ");
    assert_snapshot!(test(&["--mutate", "--tailnet", "tailnet.json"]), @r#"
    exit: 1
    --- stdout
    policy.hujson:5:5: info[mutant-survives] no test notices when `acls[0]` is opened to everyone (help: expect under `deny` what this must not open)
    policy.hujson:5:5: info[mutant-survives] no test notices when `acls[0]` is opened on all ports (help: expect under `deny` what this must not open)
    policy.hujson:8:11: info[mutant-survives] no test notices when `ssh[0]` is removed (help: expect under `accept` what only this rule allows)
    policy.hujson:8:11: info[mutant-survives] no test notices when `ssh[0]` allows root (help: expect under `deny` what this must not open)
    policy.hujson:8:11: info[mutant-survives] no test notices when `ssh[0]` asks for no check (help: expect under `deny` what this must not open)
    policy.hujson:9:67: error[test-failed] alice@: error testing "tag:db:5432": destination resolved to no IP addresses: "tag:db:5432" (help: name a destination that has a node in the tailnet, or remove it from the test)
    suite.yaml:2:9: warning[suite-vacuous] accept bob@ -> tag:db:5432: proves nothing, because no node carries "tag:db" (help: give the tailnet such a node, or remove the entry)
    --- stderr
    note: policy.hujson: 1 test of its own, 1 expectation fails; 1 entry of suites, all hold; tests notice 1 of 6 mistakes
    "#);
    let gate = test(&["--coverage", "--rule", "rule-untested=error"]);
    assert_eq!(gate.code, Some(1), "{gate}");
}

#[test]
fn tests_of_the_policy_itself_run_without_a_tailnet() {
    let env = environment();
    env.write("policy.hujson", POLICY.replace("tag:web:443\"]", "tag:web:22\"]"));
    assert_snapshot!(env.run(&["policy", "test", "policy.hujson"]), @r#"
    exit: 1
    --- stdout
    error[test-failed]: alice@ -> tag:web:22: expected ALLOWED, got DENIED
     --> policy.hujson:9:42
      |
    9 |   "tests": [{"src": "alice@", "accept": ["tag:web:22"], "deny": ["tag:db:5432"]}],
      |                                          ^^^^^^^^^^^^
      |
      = help: no rule of `acls` or `grants` lets alice (100.64.0.1) reach it: add one, or expect it under `deny`

    1 error in 1 file
    --- stderr
    note: policy.hujson: 1 test of its own, 1 expectation fails; the nodes are made up from the policy; name the real ones with --tailnet
    "#);
}

#[test]
fn check_runs_the_suites_of_the_configuration() {
    let env = environment();
    env.write("ci/suite.yaml", "version: 1\ninvariants: [{never: {from: bob@, to: tag:db}}]\n");
    env.write(".headscale-policy.yaml", "files: [policy.hujson]\nsuites: [ci/suite.yaml]\n");
    assert_snapshot!(env.run(&["policy", "check", "-o", "concise"]), @"
    exit: 1
    --- stdout
    policy.hujson:3:17: info[tag-without-owner] `tag:web` has no owner (help: no user can register a node with it; only an administrator or a tagged key can)
    policy.hujson:3:32: info[tag-without-owner] `tag:db` has no owner (help: no user can register a node with it; only an administrator or a tagged key can)
    policy.hujson:8:11: warning[ssh-without-network] no login of the rule has a way through the network: alice (100.64.0.1), for one, does not reach TCP port 22 of tag-web (100.64.0.4) (the nodes are made up from the policy) (help: nearest is `acls[0]`: it opens 80,443 of tag:web, not 22)
    ci/suite.yaml:2:14: error[suite-invariant-broken] never bob@ -> tag:db: bob (100.64.0.2) reaches tag-db (100.64.0.3) on tcp:5432 (help: `acls[1]` at policy.hujson:6:5 allows it, from bob@ to tag:db)
    --- stderr
    note: 1 test not run: that needs the nodes, `--tailnet FILE`; `policy test` runs them on nodes made up from the policy
    ");
    let off = env.run(&["policy", "check", "-q", "--rule", "suite-invariant-broken=warning"]);
    assert_eq!(off.code, Some(0), "{off}");
}

#[test]
fn suites_that_cannot_be_read_are_told_with_their_place() {
    let env = environment();
    let mut all = String::new();
    for suite in [
        "version: 2\n",
        "tests: []\n",
        "version: 1\ntests:\n- {from: a@, to: 'b@:1', expect: allow}\n",
        "version: 1\ntests:\n- {from: a@, to: 'b@:1'}\n",
        "version: 1\ninvariants:\n- never: {from: a@, to: b@}\n  always: {from: a@, to: 'b@:1'}\n",
        "version: 1\nsuites: []\n",
        "version: 1\ntailnet: none.json\n",
        "{\"version\": 1, \"tests\": [{\"from\": 1}]}",
        "",
    ] {
        env.write("suite.yaml", suite);
        let run = env.run(&["policy", "test", "policy.hujson", "--suite", "suite.yaml"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{suite}: {run}");
        all.extend([suite, run.stderr.as_str(), "\n"]);
    }
    assert_snapshot!(all, @r#"
    version: 2
    error: suite.yaml:1:10: a suite of version 2 is not known: expected 1

    tests: []
    error: suite.yaml:1:1: missing field `version`

    version: 1
    tests:
    - {from: a@, to: 'b@:1', expect: allow}
    error: suite.yaml:3:34: unknown value `allow`, expected one of accept, deny

    version: 1
    tests:
    - {from: a@, to: 'b@:1'}
    error: suite.yaml:3:14: missing field `expect`

    version: 1
    invariants:
    - never: {from: a@, to: b@}
      always: {from: a@, to: 'b@:1'}
    error: suite.yaml:3:3: an invariant has exactly one of `never`, `always` and `only`

    version: 1
    suites: []
    error: suite.yaml:2:1: unknown key `suites`, expected one of version, tailnet, tests, invariants

    version: 1
    tailnet: none.json
    error: cannot read none.json: no such file (os error 2)
    hint: paths are relative to the current directory
    hint: it is the `tailnet` of suite.yaml

    {"version": 1, "tests": [{"from": 1}]}error: suite.yaml:1:27: missing field `to`

    error: suite.yaml:1:1: unexpected end of file
    "#);
}

#[test]
fn a_report_never_overwrites_what_the_run_reads() {
    let env = environment();
    env.write("suite.yaml", "version: 1\n");
    for file in ["policy.hujson", "suite.yaml", "tailnet.json"] {
        let output = format!("json={file}");
        let args = ["policy", "test", "policy.hujson", "--suite", "suite.yaml"];
        let args = [&args[..], &["--tailnet", "tailnet.json", "-o", &output]].concat();
        let run = env.run(&args);
        assert_eq!(run.code, Some(2), "{file}: {run}");
    }
}

#[test]
fn nothing_to_test_is_no_success() {
    let env = environment();
    env.write("bare.hujson", r#"{"acls": []}"#);
    assert_snapshot!(env.run(&["policy", "test", "bare.hujson"]), @"
    exit: 2
    --- stderr
    note: bare.hujson: no tests; the nodes are made up from the policy; name the real ones with --tailnet
    error: there is nothing to test
    hint: give the policy `tests`, or name a suite with --suite or under `suites` in .headscale-policy.yaml
    ");
    assert_eq!(env.run(&["policy", "test", "bare.hujson", "--coverage"]).code, Some(0));
    env.write("empty.yaml", "version: 1\n");
    let with_suite = env.run(&["policy", "test", "bare.hujson", "--suite", "empty.yaml"]);
    assert_eq!(with_suite.code, Some(2), "{with_suite}");
}
