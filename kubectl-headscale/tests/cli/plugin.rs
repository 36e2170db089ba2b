//! `plugin`: to start plugins, test them, look at them and hand them on.

use std::fs;
use std::path::Path;

use headscale_testkit::docker_registry::Registry;
use insta::assert_snapshot;
use serde_json::Value;

use crate::environment::{Run, TestEnvironment};

/// A component that is there anyway.
fn guardrails() -> Vec<u8> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/dist/guardrails.wasm");
    fs::read(dist).expect("the built-in plugin")
}

const CASES: &str = r#"
cases:
- name: developers on databases
  policy: |
    {
      "groups": {"group:dev": ["alice@"]},
      "tagOwners": {"tag:db": []},
      "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["tag:db:5432"]}],
    }
  settings: &settings
    never: [{from: group:dev, to: tag:db}]
  expect:
  - {rule: forbidden-access, pointer: /acls/0, severity: error, message: "on 5432"}
- name: nobody
  policy: |
    {"groups": {"group:dev": ["alice@"]}, "tagOwners": {"tag:db": []}, "acls": []}
  settings: *settings
  expect: []
"#;

#[test]
fn cases_are_exhaustive() {
    let env = TestEnvironment::new();
    env.write("cases.yaml", CASES);
    let test = |more: &[&str]| {
        let args = ["plugin", "test", "builtin:guardrails", "--cases", "cases.yaml"];
        without_steps(env.run(&[&args[..], more].concat()))
    };
    assert_snapshot!(test(&[]), @"
    exit: 0
    --- stdout
    pass  developers on databases (N steps)
    pass  nobody (N steps)

    2 cases: 2 passed, 0 failed
    ");
    assert_snapshot!(test(&["--case", "nobody"]), @"
    exit: 0
    --- stdout
    pass  nobody (N steps)

    1 case: 1 passed, 0 failed
    ");
    assert_snapshot!(test(&["--case", "no"]), @"
    exit: 2
    --- stderr
    error: cases.yaml: there is no case no
    ");
    assert_snapshot!(test(&["--require-coverage"]), @"
    exit: 1
    --- stdout
    pass  developers on databases (N steps)
    pass  nobody (N steps)

    2 cases: 2 passed, 0 failed
    --- stderr
    error: guardrails/missing-access has no case in which it fires
    error: guardrails/open-port has no case in which it fires
    error: guardrails/wide-fan-out has no case in which it fires
    error: guardrails/fan-out-unproved has no case in which it fires
    error: guardrails/root-login has no case in which it fires
    error: guardrails/exit-node has no case in which it fires
    error: guardrails/unknown-name has no case in which it fires
    error: guardrails/unanswered has no case in which it fires
    ");

    let wrong = [
        "  - {rule: forbidden-access, pointer: /acls/1}",
        "  - {rule: guardrails/open-port}",
        "- name: nobody",
    ];
    env.write("cases.yaml", CASES.replace("- name: nobody", &wrong.join("\n")));
    assert_snapshot!(test(&[]), @r#"
    exit: 1
    --- stdout
    FAIL  developers on databases (N steps)
          cases.yaml:14:5: expected, and not found: forbidden-access at "/acls/1", a pointer to nothing
          cases.yaml:15:5: expected, and not found: guardrails/open-port
    pass  nobody (N steps)

    2 cases: 1 passed, 1 failed
    "#);
    let none = "  expect: []\n- name: nobody";
    let (before, rest) = CASES.split_once("  expect:\n").expect("a list");
    let after = rest.split_once("- name: nobody").expect("a case").1;
    env.write("cases.yaml", format!("{before}{none}{after}"));
    assert_snapshot!(test(&[]), @r#"
    exit: 1
    --- stdout
    FAIL  developers on databases (N steps)
          cases.yaml:3:3: found, and not expected: error guardrails/forbidden-access at "/acls/0": group:dev must not reach tag:db: group:dev -> tag:db on 5432
    pass  nobody (N steps)

    2 cases: 1 passed, 1 failed
    "#);
    let json: Value = serde_json::from_str(&test(&["-o", "json"]).stdout).expect("JSON");
    assert_eq!(json["outcome"]["cases"][0]["problems"].as_array().map(Vec::len), Some(1));
}

/// A lock file without the line that the next build of a plugin changes.
fn lock_without_size(lock: &str) -> String {
    lock.lines().filter(|line| !line.contains("size:")).collect::<Vec<_>>().join("\n")
}

/// A run without how many steps a case took, which the next build of a plugin changes.
fn without_steps(run: Run) -> Run {
    let text = run.stdout.split(' ').map(|word| match word.strip_prefix('(') {
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => "(N",
        _ => word,
    });
    Run { stdout: text.collect::<Vec<_>>().join(" "), ..run }
}

#[test]
fn cases_that_cannot_be_run_are_told() {
    let env = TestEnvironment::new();
    let test = |cases: &str| {
        env.write("tests/cases.yaml", cases);
        without_steps(env.run(&["plugin", "test", "builtin:guardrails"]))
    };
    assert_snapshot!(test("cases: []\n"), @"
    exit: 2
    --- stderr
    error: tests/cases.yaml: there are no cases, so nothing is tested
    hint: write a policy under `cases`, and the findings it must have
    ");
    assert_snapshot!(test("cases: [{name: a}]\n"), @r#"
    exit: 2
    --- stderr
    error: tests/cases.yaml:1:9: case "a": expected either a `policy` to judge or `params` to render
    "#);
    assert_snapshot!(test("cases:\n- {name: a, policy: '{}'}\n"), @r#"
    exit: 2
    --- stderr
    error: tests/cases.yaml:2:3: case "a": with `policy` go either `expect`, all the findings, or `error`
    "#);
    assert_snapshot!(test("cases:\n- {name: a, policy: '{}', expect: [], settings: {nver: []}}\n"), @"
    exit: 1
    --- stdout
    FAIL  a
          tests/cases.yaml:2:3: its settings are wrong: Additional properties are not allowed ('nver' was unexpected)

    1 case: 0 passed, 1 failed
    ");
    assert_snapshot!(test("cases:\n- {name: a, policy: '{\"acl\": []}', expect: []}\n"), @r#"
    exit: 1
    --- stdout
    FAIL  a
          tests/cases.yaml:2:3: Headscale 0.29 refuses the policy, so no plugin would see it: unknown field: "acl"

    1 case: 0 passed, 1 failed
    "#);
    let twice = "- {name: a, policy: '{}', expect: []}\n";
    assert_snapshot!(test(&format!("cases:\n{twice}{twice}")), @r#"
    exit: 2
    --- stderr
    error: tests/cases.yaml:3:3: there are two cases "a"
    "#);
    let error = "cases:\n- name: a\n  policy: '{}'\n  settings: {nver: []}\n  error: nver\n";
    assert_eq!(test(error).code, Some(0));
    assert_snapshot!(test(&error.replace("error: nver", "error: every")), @r#"
    exit: 1
    --- stdout
    FAIL  a
          tests/cases.yaml:2:3: expected the error "every", and it says: its settings are wrong: Additional properties are not allowed ('nver' was unexpected)

    1 case: 0 passed, 1 failed
    "#);
    assert_snapshot!(env.run(&["plugin", "test", "--cases", "none.yaml"]), @"
    exit: 2
    --- stderr
    error: cannot read none.yaml: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
    assert_snapshot!(env.run(&["plugin", "test"]), @"
    exit: 2
    --- stderr
    error: there is no component here, no file *.wasm
    hint: `kubectl headscale plugin build` makes one
    ");
}

#[test]
fn renderers_have_cases_too() {
    let env = TestEnvironment::new();
    env.write(
        "cases.yaml",
        "cases:\n- {name: a, params: {}, error: roles}\n- {name: b, params: {}, renders: '{}'}\n",
    );
    assert_snapshot!(env.run(&["plugin", "test", "builtin:keystone", "--cases", "cases.yaml"]), @r#"
    exit: 1
    --- stdout
    pass  a
    FAIL  b
          cases.yaml:3:3: its params are wrong: "roles" is a required property; "nodes" is a required property; "tagOwners" is a required property

    2 cases: 1 passed, 1 failed
    "#);
}

#[test]
fn a_new_plugin_has_its_own_names() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run(&["plugin", "new", "rust", "no-contractors"]), @"
    exit: 0
    --- stderr
    note: wrote 23 files to no-contractors
    note: no-contractors: README.md there says how to go on
    ");
    assert_eq!(
        env.list("no-contractors"),
        [
            ".gitignore",
            "Cargo.lock",
            "Cargo.toml",
            "README.md",
            "sdk",
            "settings.schema.json",
            "src",
            "tests",
            "wit"
        ]
    );
    let manifest = env.read("no-contractors/Cargo.toml");
    assert!(manifest.contains("name = \"no-contractors\"\n"), "{manifest}");
    assert!(manifest.contains("headscale-policy-sdk = { path = \"sdk\" }"), "{manifest}");
    let sdk = env.read("no-contractors/sdk/Cargo.toml");
    assert!(sdk.contains("edition = \"2024\"\n") && !sdk.contains("workspace"), "{sdk}");
    let source = env.read("no-contractors/src/lib.rs");
    assert!(source.contains("export!(NoContractors: validator);"), "{source}");
    for file in ["README.md", "Cargo.lock", "src/lib.rs", "tests/plugin.rs", "tests/cases.yaml"] {
        let text = env.read(&format!("no-contractors/{file}"));
        assert!(!text.contains("my-plugin") && !text.contains("my_plugin"), "{file}");
    }
    assert_snapshot!(env.run(&["plugin", "new", "javascript", "no-contractors"]), @"
    exit: 2
    --- stderr
    error: no-contractors is there already
    hint: name another directory with --dir
    ");
    assert_eq!(env.run(&["plugin", "new", "js", "no-contractors", "--dir", "js"]).code, Some(0));
    assert_eq!(
        env.list("js"),
        [".gitignore", "README.md", "package.json", "plugin.js", "tests", "wit"]
    );
    assert_snapshot!(env.run(&["plugin", "new", "rust", "Contractors"]), @"
    exit: 2
    --- stderr
    error: invalid value 'Contractors' for '<NAME>': expected lower-case letters, digits and `-`, at most 63, first a letter

    For more information, try '--help'.
    ");
}

#[test]
fn what_cannot_be_built_is_told() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run(&["plugin", "build"]), @"
    exit: 2
    --- stderr
    error: no plugin in .: neither Cargo.toml nor package.json is there
    hint: `kubectl headscale plugin new rust NAME` starts one
    ");
    env.write("core.wasm", "\0asm\u{1}\0\0\0");
    assert_snapshot!(env.run(&["plugin", "build", "--module", "core.wasm", "--to", "a.wasm"]), @"
    exit: 3
    --- stderr
    error: plugin ./a.wasm: it is no policy plugin: it exports nothing, and not `headscale:policy/meta@0.1.0`
    ");
}

#[test]
fn a_plugin_is_looked_at_without_being_run() {
    let env = TestEnvironment::new();
    env.write("core.wasm", "\0asm\u{1}\0\0\0");
    env.write("guardrails.wasm", guardrails());
    let inspected = env.run(&["plugin", "inspect", "./guardrails.wasm", "-o", "json"]).success();
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    let sums = include_str!("../../../policies/dist/SHA256SUMS");
    let digest = inspected["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
    assert!(sums.contains(digest.expect("a digest")));
    assert_snapshot!(env.run(&["plugin", "inspect", "./core.wasm"]), @"
    exit: 2
    --- stderr
    error: ./core.wasm: it is a core module, not a component
    ");
}

#[test]
fn compiled_plugins_are_kept_until_they_are_removed() {
    let env = TestEnvironment::new();
    let files = || {
        let listed = env.run(&["plugin", "cache", "list", "-o", "json"]).success();
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        listed["caches"][1]["files"].as_u64()
    };
    assert_eq!(files(), Some(0));
    assert_eq!(env.run(&["plugin", "list"]).code, Some(0));
    // Two plugins, and the key of their seals.
    assert_eq!(files(), Some(3));
    assert_eq!(env.run(&["plugin", "cache", "prune"]).code, Some(0));
    assert_eq!(files(), Some(3));
    let pruned = env.run(&["plugin", "cache", "prune", "--all"]);
    assert!(
        pruned.stderr.starts_with("note: removed 0 pulled and 2 compiled plugins, "),
        "{pruned}"
    );
}

#[test]
fn plugins_travel_through_registries_by_digest() {
    let Some(registry) = Registry::plain() else { return };
    let env = TestEnvironment::new();
    env.write("guardrails.wasm", guardrails());
    let name = format!("oci://{}/acme/guardrails:1.0", registry.address());
    let hide = |text: &str| {
        let text = text.replace(registry.address(), "REGISTRY");
        // Neither the width of the address nor the bytes of the plugin matter here.
        let word = |word: &str| match word.split_once("sha256:") {
            Some((before, rest)) => {
                let after = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
                format!("{before}sha256:DIGEST{after}")
            }
            None => word.to_owned(),
        };
        text.split(' ').filter(|word| !word.is_empty()).map(word).collect::<Vec<_>>().join(" ")
    };
    let hidden =
        |run: Run| Run { code: run.code, stdout: hide(&run.stdout), stderr: hide(&run.stderr) };
    assert_snapshot!(hidden(env.run(&["plugin", "push", "guardrails.wasm", &name])), @"
    exit: 0
    --- stdout
    oci://REGISTRY/acme/guardrails:1.0@sha256:DIGEST
    ");

    env.write("policy.hujson", "{\"acls\": []}\n");
    env.write(".headscale-policy.yaml", format!("plugins:\n- ref: {name}\n"));
    let check = || hidden(env.run(&["policy", "check", "--locked", "policy.hujson"]));
    assert_snapshot!(check(), @"
    exit: 5
    --- stdout
    policy.hujson: ok
    --- stderr
    error: oci://REGISTRY/acme/guardrails:1.0 is not in .headscale-policy.lock
    hint: `kubectl headscale plugin pull` writes it; review the file and commit it
    ");
    assert_snapshot!(hidden(env.run(&["plugin", "pull"])), @"
    exit: 0
    --- stderr
    note: oci://REGISTRY/acme/guardrails:1.0 sha256:DIGEST: added
    note: wrote .headscale-policy.lock: review it and commit it
    ");
    assert_snapshot!(lock_without_size(&hide(&env.read(".headscale-policy.lock"))), @"
    # Written by `kubectl headscale plugin pull`. Commit it, do not edit it.
    version: 1
    plugins:
     - ref: oci://REGISTRY/acme/guardrails:1.0
     manifest: sha256:DIGEST
     component: sha256:DIGEST
     imports:
     - headscale:policy/log@0.1.0
     - headscale:policy/reachability@0.1.0
    ");
    assert_snapshot!(check(), @"
    exit: 0
    --- stdout
    policy.hujson: ok
    ");
    assert_snapshot!(hidden(env.run(&["plugin", "verify", "--locked"])), @"
    exit: 0
    --- stdout
    REF VERSION DIGEST
    oci://REGISTRY/acme/guardrails:1.0 0.1.0 sha256:DIGEST
    ");
    assert_eq!(env.run(&["plugin", "pull"]).code, Some(0));

    // What the lock file says is not what is there.
    let lock = env.read(".headscale-policy.lock");
    env.write(".headscale-policy.lock", lock.replace("log@0.1.0", "files@0.1.0"));
    assert_snapshot!(hidden(env.run(&["plugin", "verify"])), @"
    exit: 5
    --- stderr
    error: oci://REGISTRY/acme/guardrails:1.0: imports is [headscale:policy/log@0.1.0, headscale:policy/reachability@0.1.0], and .headscale-policy.lock says [headscale:policy/files@0.1.0, headscale:policy/reachability@0.1.0]
    hint: do not use the plugin before you know why; `kubectl headscale plugin pull` locks what the registry has now
    ");
    assert_eq!(check().code, Some(5));
    env.write(".headscale-policy.lock", lock);

    // What was pulled needs no registry.
    drop(registry);
    let checked = env.run(&["policy", "check", "--locked", "policy.hujson"]);
    assert_eq!(checked.code, Some(0), "{checked}");
    let other = "oci://127.0.0.1:1/acme/rules:1";
    assert_eq!(env.run(&["plugin", "pull", other]).code, Some(4));
}
