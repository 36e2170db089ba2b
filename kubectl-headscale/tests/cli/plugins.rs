//! Policies under plugins: `policy render`, `policy check --plugin`, and what the configuration says
//! of them.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::environment::TestEnvironment;

const POLICY: &str = r#"{
  "groups": {"group:dev": ["alice@", "bob@"]},
  "tagOwners": {"tag:web": ["group:dev"], "tag:db": ["group:dev"]},
  "acls": [
    {"action": "accept", "src": ["group:dev"], "dst": ["tag:web:443"]},
    {"action": "accept", "src": ["bob@", "tag:web"], "dst": ["tag:db:5432"]},
  ],
}
"#;

const GUARDRAILS: &str = "\
never:
- {from: group:dev, to: tag:db, reason: databases are for services}
";

/// The Keystone example of the repository, in a directory of its own.
fn keystone() -> TestEnvironment {
    let env = TestEnvironment::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/keystone");
    for name in ["values.yaml", "guardrails.yaml"] {
        let text = fs::read(examples.join(name)).expect("an example");
        env.write(&format!("examples/keystone/{name}"), text);
    }
    env
}

fn environment() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("policy.hujson", POLICY);
    env.write("guardrails.yaml", GUARDRAILS);
    env
}

const RENDER: [&str; 5] =
    ["policy", "render", "builtin:keystone", "--values", "examples/keystone/values.yaml"];

const CHECK: [&str; 7] = [
    "policy",
    "check",
    "--plugin",
    "builtin:guardrails",
    "--params",
    "examples/keystone/guardrails.yaml",
    "-",
];

#[test]
fn what_keystone_writes_keeps_within_the_guardrails() {
    let env = keystone();
    let policy = env.run(&RENDER).success();
    let checked = env.run_with(&policy, &CHECK);
    assert_snapshot!(checked, @"
    exit: 0
    --- stdout
    <stdin>: ok
    --- stderr
    note: 13 tests not run: that needs the nodes, `--tailnet FILE`; `policy test` runs them on nodes made up from the policy
    ");
    // The policy has tests of its own, which hold on nodes that are made up from it.
    assert!(env.run_with(&policy, &["policy", "test", "-"]).code == Some(0));
}

#[test]
fn developers_on_the_api_of_storage_nodes_fail_with_rule_and_chain() {
    let env = keystone();
    let values = env.read("examples/keystone/values.yaml");
    let changed =
        values.replace("to: {primer: [443, 6443]}", "to: {primer: [443], storage: [6443]}");
    assert_ne!(values, changed);
    env.write("examples/keystone/values.yaml", changed);
    let policy = env.run(&RENDER).success();
    assert_snapshot!(env.run_with(policy, &CHECK), @"
    exit: 1
    --- stdout
    error[guardrails/forbidden-access]: group:developers must not reach tag:storage: group:developers -> tag:storage on 6443 (storage is reached through the cluster)
      --> <stdin>:41:3
       |
    41 |         {
       |         ^

    1 error in 1 file
    --- stderr
    note: 13 tests not run: that needs the nodes, `--tailnet FILE`; `policy test` runs them on nodes made up from the policy
    ");
}

#[test]
fn a_renderer_says_what_is_wrong_with_its_values() {
    let env = TestEnvironment::new();
    env.write(
        "values.yaml",
        "roles: {admins: [a@example.com]}\nnodes: {db: {cluster: 7}}\nrole: 1\n",
    );
    assert_snapshot!(env.run(&["policy", "render", "builtin:keystone", "--values", "values.yaml"]), @r#"
    exit: 3
    --- stderr
    error: plugin builtin:keystone: its params are wrong
      values.yaml:1:1: "tagOwners" is a required property
      values.yaml:2:23: 7 is not of type "boolean"
      values.yaml:1:1: Additional properties are not allowed ('role' was unexpected)
    "#);
    env.write("values.yaml", "- 1\n");
    assert_snapshot!(env.run(&["policy", "render", "builtin:keystone", "--values", "values.yaml"]), @"
    exit: 2
    --- stderr
    error: values.yaml: expected keys and values
    ");
    assert_snapshot!(env.run(&["policy", "render", "builtin:guardrails"]), @"
    exit: 3
    --- stderr
    error: plugin builtin:guardrails: it has no renderer: it judges policies and writes none
    ");
    assert_snapshot!(env.run(&["policy", "render", "builtin:kestone"]), @r#"
    exit: 2
    --- stderr
    error: there is no built-in plugin "kestone"
    hint: did you mean "keystone"?
    "#);
}

#[test]
fn findings_of_plugins_come_out_like_all_others() {
    let env = environment();
    let check = |more: &[&str]| {
        let mut args = vec!["policy", "check", "policy.hujson", "--plugin", "builtin:guardrails"];
        args.extend(["--params", "guardrails.yaml", "--rule", "tests-missing=off"]);
        args.extend(more);
        env.run(&args)
    };
    assert_snapshot!(check(&["-o", "concise"]), @"
    exit: 1
    --- stdout
    policy.hujson:6:5: error[guardrails/forbidden-access] group:dev must not reach tag:db: bob@ -> tag:db on 5432 (databases are for services)
    ");
    assert_snapshot!(check(&["--rule", "guardrails/forbidden-access=warning", "-o", "concise"]), @"
    exit: 0
    --- stdout
    policy.hujson:6:5: warning[guardrails/forbidden-access] group:dev must not reach tag:db: bob@ -> tag:db on 5432 (databases are for services)
    ");
    assert_snapshot!(check(&["--rule", "guardrails/forbidden-acess=off"]), @r#"
    exit: 2
    --- stderr
    error: the plugin guardrails has no rule "guardrails/forbidden-acess"
    hint: did you mean "guardrails/forbidden-access" or "guardrails/exit-node" or "guardrails/unanswered"?
    "#);
    // Rules of plugins that are not here are nobody's business.
    let off = ["--rule", "guardrails/forbidden-access=off", "--rule", "owners/any=error"];
    assert_eq!(check(&off).code, Some(0));

    let sarif: Value = serde_json::from_str(&check(&["-o", "sarif"]).stdout).expect("SARIF");
    let rule = &sarif["runs"][0]["tool"]["driver"]["rules"][0];
    assert_eq!(rule["id"], "guardrails/forbidden-access");
    assert_eq!(rule["shortDescription"]["text"], "Someone reaches what they must not");
    let json: Value = serde_json::from_str(&check(&["-o", "json"]).stdout).expect("JSON");
    assert_eq!(json["findings"][0]["source"], "plugin:guardrails@0.1.0");
}

#[test]
fn comments_silence_findings_of_plugins() {
    let env = environment();
    let ignored = "    // policy-ignore: guardrails/forbidden-access -- bob is on call\n    {\"action\": \"accept\", \"src\": [\"bob@\"";
    let policy = POLICY.replace("    {\"action\": \"accept\", \"src\": [\"bob@\"", ignored);
    assert_ne!(policy, POLICY);
    env.write("policy.hujson", policy);
    let args = ["policy", "check", "policy.hujson", "--plugin", "builtin:guardrails"];
    let with = |params: &str| {
        env.write("guardrails.yaml", params);
        env.run(&[&args[..], &["--params", "guardrails.yaml", "-o", "concise"]].concat())
    };
    assert_eq!(with(GUARDRAILS).code, Some(0));
    assert_snapshot!(with("never: [{from: tag:db, to: tag:web}]\n"), @r#"
    exit: 0
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    policy.hujson:6:5: warning[ignore-unused] there is no `guardrails/forbidden-access` here to ignore (help: remove the comment)
    "#);
}

#[test]
fn the_configuration_names_plugins_with_their_settings() {
    let env = environment();
    env.write("broken.wasm", "\0asm\u{d}");
    env.write(
        ".headscale-policy.yaml",
        "\
files: [policy.hujson]
plugins:
- ref: ./broken.wasm
- ref: builtin:guardrails
  params:
    never: [{from: group:dev, to: tag:db}]
rules:
  guardrails/forbidden-access: warning
",
    );
    // What cannot be loaded is told, and the rest judges.
    assert_snapshot!(env.run(&["policy", "check", "-o", "concise"]), @r#"
    exit: 3
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    policy.hujson:6:5: warning[guardrails/forbidden-access] group:dev must not reach tag:db: bob@ -> tag:db on 5432
    --- stderr
    error: plugin ./broken.wasm: the component is damaged or cut off: unexpected end-of-file (at offset 0x4)
    "#);
    assert_snapshot!(env.run(&["plugin", "list"]), @"
    exit: 3
    --- stdout
    REF                  VERSION   DOES      SUMMARY
    builtin:guardrails   0.1.0     judges    Holds a policy to invariants over reachability
    builtin:keystone     0.1.0     renders   Writes the policy of a Keystone cluster: roles, node classes, services
    --- stderr
    error: plugin ./broken.wasm: the component is damaged or cut off: unexpected end-of-file (at offset 0x4)
    ");

    env.write(".headscale-policy.yaml", "plugins:\n- ref: guardrails\n");
    assert_snapshot!(env.run(&["policy", "check", "policy.hujson"]), @r#"
    exit: 2
    --- stderr
    error: .headscale-policy.yaml:2:8: "guardrails" is not a plugin reference: it is neither a file, nor built in, nor in a registry
    hint: write builtin:guardrails if it is built in, ./guardrails if it is a file
    "#);
    env.write(".headscale-policy.yaml", "plugins:\n- ref: builtin:guardrails\n  parms: {}\n");
    assert_snapshot!(env.run(&["policy", "check", "policy.hujson"]), @"
    exit: 2
    --- stderr
    error: .headscale-policy.yaml:3:3: unknown key `parms`, expected one of ref, params
    ");
}

#[test]
fn settings_that_a_plugin_does_not_take_are_told() {
    let env = environment();
    let check = |params: &str| {
        env.write("guardrails.yaml", params);
        let plugin = ["--plugin", "builtin:guardrails", "--params", "guardrails.yaml"];
        env.run(&[&["policy", "check", "policy.hujson"], &plugin[..]].concat())
    };
    assert_snapshot!(check("never: [{from: group:dev}]\nevery: 1\n"), @r#"
    exit: 3
    --- stdout
    info[tests-missing]: the policy has no `tests`
    --> policy.hujson
     = help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}]

    1 info in 1 file
    --- stderr
    error: plugin builtin:guardrails: its settings are wrong
      guardrails.yaml:1:9: "to" is a required property
      guardrails.yaml:1:1: Additional properties are not allowed ('every' was unexpected)
    "#);
    assert_snapshot!(check("never: {\n"), @"
    exit: 2
    --- stderr
    error: guardrails.yaml:1:8: unclosed bracket '{'
    ");
    assert_snapshot!(env.run(&["policy", "check", "policy.hujson", "--params", "guardrails.yaml"]), @"
    exit: 2
    --- stderr
    error: the following required arguments were not provided:
      --plugin <REF>

    Usage: kubectl headscale policy check --plugin <REF> --params <FILE> <FILE>...

    For more information, try '--help'.
    ");
    let two = ["--plugin", "builtin:guardrails", "--plugin", "builtin:guardrails"];
    let two = [&["policy", "check", "policy.hujson", "--params", "guardrails.yaml"], &two[..]];
    assert_snapshot!(env.run(&two.concat()), @"
    exit: 2
    --- stderr
    error: --params is for one --plugin
    hint: give the others their `params` under `plugins` in .headscale-policy.yaml
    ");
}

#[test]
fn what_is_no_plugin_is_told_and_the_limit_with_it() {
    let env = environment();
    env.write("text.wasm", "hello");
    env.write("core.wasm", "\0asm\u{1}\0\0\0");
    env.write("large.wasm", vec![0; 2 << 20]);
    let check = |plugin: &str, more: &[&str]| {
        let plugin = ["policy", "check", "-o", "concise", "policy.hujson", "--plugin", plugin];
        env.run(&[&plugin[..], more].concat())
    };
    assert_snapshot!(check("./text.wasm", &[]), @r#"
    exit: 3
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    --- stderr
    error: plugin ./text.wasm: it is no WebAssembly: a plugin is a component, a binary file that starts with \0asm
    "#);
    assert_snapshot!(check("./core.wasm", &[]), @r#"
    exit: 3
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    --- stderr
    error: plugin ./core.wasm: it is a core module: make a component of it (`plugin build` does)
    "#);
    assert_snapshot!(check("./none.wasm", &[]), @r#"
    exit: 2
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    --- stderr
    error: cannot read ./none.wasm: no such file (os error 2)
    hint: paths are relative to the current directory
    "#);
    assert_snapshot!(check("./large.wasm", &["--plugin-limit", "size=1MiB"]), @r#"
    exit: 3
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    --- stderr
    error: plugin ./large.wasm: the component has more than 1048576 bytes, the limit `size`; raise it with --plugin-limit size=1048576
    "#);
    assert_snapshot!(check("builtin:keystone", &[]), @r#"
    exit: 3
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    --- stderr
    error: plugin builtin:keystone: it has no validator: it writes policies and judges none
    "#);
    let fuel = ["--params", "guardrails.yaml", "--plugin-limit", "fuel=100000"];
    assert_snapshot!(check("builtin:guardrails", &fuel), @r#"
    exit: 3
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    --- stderr
    error: plugin builtin:guardrails, policy.hujson: `validate` took more than 100000 steps, the limit `fuel`; raise it with --plugin-limit fuel=100000
    "#);
    assert_snapshot!(check("builtin:guardrails", &["--plugin-limit", "fule=1"]), @r#"
    exit: 2
    --- stderr
    error: invalid value 'fule=1' for '--plugin-limit <NAME=VALUE>': there is no limit "fule": there are size, functions, code, branches, fuel, time, memory, tables, instances, results, stack, log

    For more information, try '--help'.
    "#);
    assert_snapshot!(check("oci://ghcr.io/acme/rules:1", &[]), @r#"
    exit: 5
    --- stdout
    policy.hujson: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    --- stderr
    error: oci://ghcr.io/acme/rules:1 is not in .headscale-policy.lock
    hint: `kubectl headscale plugin pull` writes it; review the file and commit it
    "#);
}

#[test]
fn rules_of_plugins_are_explained() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run(&["policy", "rules", "guardrails/open-port"]), @"
    exit: 0
    --- stdout
    guardrails/open-port (error, plugin)
    A closed port is open to someone

    Someone other than those of `except` reaches a port of `closedPorts`. The finding stands at the rule
    that opens it.
    ");
    assert_snapshot!(env.run(&["policy", "rules", "guardrails/open-prot"]), @r#"
    exit: 2
    --- stderr
    error: there is no rule "guardrails/open-prot" of a plugin here
    hint: did you mean "guardrails/open-port" or "guardrails/fan-out-unproved" or "guardrails/root-login"?
    "#);
    assert_snapshot!(env.run(&["policy", "rules", "owners/any"]), @r#"
    exit: 2
    --- stderr
    error: there is no rule "owners/any" of a plugin here
    hint: its plugin must be built in or listed in .headscale-policy.yaml
    "#);
}
