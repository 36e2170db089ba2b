//! `policy check`: verdicts, severities, baselines.

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

const GOOD: &str = "{\"acls\": []}\n";
const BAD: &str = "{'acls': []}\n";

#[test]
fn a_clean_policy_exits_0() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", GOOD);
    let run = env.run(&["policy", "check", "-o", "concise", "policy.hujson"]);
    assert_snapshot!(run, @"exit: 0");
}

#[test]
fn findings_exit_1() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let run = env.run(&["policy", "check", "-o", "concise", "policy.hujson"]);
    assert_snapshot!(run, @r"
    exit: 1
    --- stdout
    policy.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
}

#[test]
fn the_json_of_a_finding_is_as_documented() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let run = env.run(&["policy", "check", "-o", "json", "policy.hujson"]);
    assert_eq!(run.code, Some(1), "{run}");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let expected = serde_json::json!({
        "version": 1,
        "findings": [{
            "rule": "syntax",
            "severity": "error",
            "message": "invalid character '\\'' at start of value",
            "help": "HuJSON strings stand in double quotes; \
                     `kubectl headscale policy fmt --from json5` converts the file",
            "source": "headscale",
            "file": "policy.hujson",
            "span": {
                "start": {"line": 1, "column": 2, "offset": 1},
                "end": {"line": 1, "column": 3, "offset": 2},
            },
        }],
        "summary": {"errors": 1, "warnings": 0, "infos": 0},
    });
    assert_eq!(json, expected);
}

#[test]
fn fail_on_never_tells_findings_and_exits_0() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let run = env.run(&["policy", "check", "--fail-on", "never", "policy.hujson"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.stdout.contains("syntax"), "{run}");
}

#[test]
fn quiet_prints_nothing_for_a_clean_policy_and_json_all_the_same() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", GOOD);
    env.write("bad.hujson", BAD);
    assert_eq!(env.run(&["policy", "check", "-q", "policy.hujson"]).success(), "");
    let json = env.run(&["policy", "check", "-q", "-o", "json", "policy.hujson"]);
    assert!(json.success().contains("\"findings\""));
    let run = env.run(&["policy", "check", "-q", "bad.hujson"]);
    assert!(run.stdout.contains("syntax"), "{run}");
}

/// Headscale takes it, and a group in it is never used.
const UNUSED: &str = "{\"groups\": {\"group:a\": [\"alice@\"]}, \"acls\": [], \"tests\": []}\n";
/// A name in it has space around it, which can be repaired.
const SPACE: &str = "{\n\t// web\n\t\"tagOwners\": {\"tag:web\": [\" alice@\"]},\n\t\"acls\": \
    [{\"action\": \"accept\", \"src\": [\"alice@\"], \"dst\": [\"tag:web:443\"]}],\n}\n";

#[test]
fn lints_fail_a_run_only_where_asked_to() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", UNUSED);
    let check = |args: &[&str]| {
        env.run(&[&["policy", "check", "-o", "concise", "policy.hujson"], args].concat())
    };
    assert_snapshot!(check(&[]), @"
    exit: 0
    --- stdout
    policy.hujson:1:13: warning[unused-group] nothing uses `group:a` (help: remove it, or name it in a rule)
    ");
    assert_eq!(check(&["--fail-on", "warning"]).code, Some(1));
    assert_snapshot!(check(&["--rule", "unused-group=error"]), @"
    exit: 1
    --- stdout
    policy.hujson:1:13: error[unused-group] nothing uses `group:a` (help: remove it, or name it in a rule)
    ");
    assert_snapshot!(check(&["--rule", "unused-group=off", "--fail-on", "warning"]), @"exit: 0");
    // The last one counts.
    let twice = check(&["--rule", "unused-group=error", "--rule", "unused-group=info"]);
    assert_eq!(twice.code, Some(0), "{twice}");
}

#[test]
fn the_configuration_sets_rules_and_flags_override_it() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", UNUSED);
    env.write(".headscale-policy.yaml", "rules:\n  unused-group: error\n  tests-missing: off\n");
    let check = |args: &[&str]| {
        env.run(&[&["policy", "check", "-o", "concise", "policy.hujson"], args].concat())
    };
    assert_snapshot!(check(&[]), @"
    exit: 1
    --- stdout
    policy.hujson:1:13: error[unused-group] nothing uses `group:a` (help: remove it, or name it in a rule)
    ");
    assert_eq!(check(&["--rule", "unused-group=warning"]).code, Some(0));
    assert_eq!(check(&["--no-config"]).code, Some(0));
}

#[test]
fn fix_repairs_the_file_and_keeps_the_rest() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", SPACE);
    let check = |args: &[&str]| {
        let fixed = ["policy", "check", "-o", "concise", "policy.hujson", "--rule"];
        env.run(&[&fixed, args].concat())
    };
    assert_snapshot!(check(&["tests-missing=off"]), @r#"
    exit: 0
    --- stdout
    policy.hujson:3:28: warning[surrounding-space] the space around `alice@` is part of the name: it matches nothing (help: write "alice@")
    "#);
    // What is off is not repaired either.
    let off = check(&["surrounding-space=off", "--fix"]);
    assert_eq!((off.code, env.read("policy.hujson").as_str()), (Some(0), SPACE));
    assert_snapshot!(check(&["tests-missing=off", "--fix"]), @"
    exit: 0
    --- stderr
    note: repaired 1 finding in policy.hujson
    ");
    assert_eq!(env.read("policy.hujson"), SPACE.replace("\" alice@", "\"alice@"));
    assert_eq!(env.list("."), [".git", "policy.hujson"]);
}

#[cfg(unix)]
#[test]
fn fix_of_a_file_that_cannot_be_written_tells_what_is_in_it() {
    let env = TestEnvironment::new();
    let pipe = env.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let writer = std::thread::spawn(move || std::fs::write(pipe, SPACE).unwrap());
    let run = env.run(&["policy", "check", "-o", "concise", "--fix", "pipe"]);
    writer.join().unwrap();
    assert_snapshot!(run, @r#"
    exit: 2
    --- stdout
    pipe: info[tests-missing] the policy has no `tests` (help: say what must and what must not be reachable: "tests": [{"src": "alice@", "accept": ["tag:web:443"], "deny": ["tag:db:5432"]}])
    pipe:3:28: warning[surrounding-space] the space around `alice@` is part of the name: it matches nothing (help: write "alice@")
    --- stderr
    error: cannot write pipe: it is not a regular file
    "#);
}

#[test]
fn no_policy_says_what_to_do() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run(&["policy", "check"]), @"
    exit: 2
    --- stderr
    error: no policy given
    hint: name files, a directory or `-` for standard input, as in `kubectl headscale policy check policy.hujson`, or list them under `files` in .headscale-policy.yaml
    ");
}

#[test]
fn rules_can_be_set_unless_they_are_headscales() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let check = |rule| env.run(&["policy", "check", "--rule", rule, "policy.hujson"]);
    assert_snapshot!(check("syntax=off"), @r#"
    exit: 2
    --- stderr
    error: invalid value 'syntax=off' for '--rule <ID=LEVEL>': rule "syntax" is Headscale's own and cannot be changed: Headscale refuses the policy

    For more information, try '--help'.
    "#);
    assert_snapshot!(check("synatx=off"), @r#"
    exit: 2
    --- stderr
    error: invalid value 'synatx=off' for '--rule <ID=LEVEL>': unknown rule "synatx"; did you mean "syntax"?

    For more information, try '--help'.
    "#);
    assert_snapshot!(check("syntax"), @"
    exit: 2
    --- stderr
    error: invalid value 'syntax' for '--rule <ID=LEVEL>': expected ID=LEVEL with one of the levels off, info, warning and error

    For more information, try '--help'.
    ");
}

#[test]
fn unknown_headscale_versions_are_refused() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", GOOD);
    let check = |versions| {
        env.run(&["policy", "check", "--headscale-version", versions, "-q", "policy.hujson"])
    };
    assert_eq!(check("0.28,0.29.2,v0.30").success(), "");
    assert_snapshot!(check("0.29,0.31"), @r#"
    exit: 2
    --- stderr
    error: invalid value '0.31' for '--headscale-version <VERSION>': Headscale "0.31" is not known: expected 0.28, 0.29 or 0.30

    For more information, try '--help'.
    "#);
}

#[test]
fn a_baseline_leaves_out_what_is_known_and_only_that() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", "{'acls': []}\n");
    let first = env.run(&[
        "policy",
        "check",
        "-o",
        "concise",
        "--write-baseline",
        "base.json",
        "policy.hujson",
    ]);
    assert_snapshot!(first, @"
    exit: 0
    --- stderr
    note: wrote 1 finding to base.json
    ");

    let check = || {
        env.run(&["policy", "check", "-o", "concise", "--baseline", "base.json", "policy.hujson"])
    };
    // The finding has moved.
    env.write("policy.hujson", "// moved\n\n{'acls': []}\n");
    assert_snapshot!(check(), @"
    exit: 0
    --- stderr
    note: 1 finding known from base.json not told
    ");
    // A second one of the same kind is new.
    env.write("policy.hujson", "{'acls': [], 'hosts': {}}\n");
    assert_snapshot!(check(), @r"
    exit: 1
    --- stdout
    policy.hujson:1:14: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    --- stderr
    note: 1 finding known from base.json not told
    ");
    // The same in another file is new.
    env.write("other.hujson", "{'acls': []}\n");
    let other = ["policy", "check", "-q", "--baseline", "base.json", "other.hujson"];
    assert_eq!(env.run(&other).code, Some(1));
}

#[test]
fn a_file_that_is_no_baseline_is_refused() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", GOOD);
    env.write("base.json", "[]");
    env.write("later.json", "{\"version\": 2, \"findings\": []}");
    let check = |file| env.run(&["policy", "check", "--baseline", file, "policy.hujson"]);
    assert_snapshot!(check("base.json"), @"
    exit: 2
    --- stderr
    error: cannot read the baseline base.json: it is not the JSON report of an earlier run: invalid length 0, expected an object with `version` and `findings` at line 1 column 2
    hint: `--write-baseline FILE` writes one
    ");
    assert_snapshot!(check("later.json"), @"
    exit: 2
    --- stderr
    error: cannot read the baseline later.json: its version is 2, expected 1
    hint: `--write-baseline FILE` writes one
    ");
    assert_snapshot!(check("none.json"), @"
    exit: 2
    --- stderr
    error: cannot read none.json: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
}

#[test]
fn no_baseline_is_written_of_half_a_run() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    env.write("base.json", "old");
    let run = env.run(&[
        "policy",
        "check",
        "-o",
        "concise",
        "--write-baseline",
        "base.json",
        "policy.hujson",
        "none",
    ]);
    assert_snapshot!(run, @r"
    exit: 2
    --- stdout
    policy.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    --- stderr
    error: cannot read none: no such file (os error 2)
    hint: paths are relative to the current directory
    warning: base.json is not written, because not all policies could be checked
    ");
    assert_eq!(env.read("base.json"), "old");
}

#[test]
fn standard_input_cannot_be_repaired() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run_with(GOOD, &["policy", "check", "--fix", "-"]), @"
    exit: 2
    --- stderr
    error: --fix cannot repair standard input
    hint: write the policy to a file and name that
    ");
}

#[test]
fn fix_leaves_a_file_alone_in_which_there_is_nothing_to_repair() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", "{\"acls\": 1}\n");
    let run = env.run(&["policy", "check", "--fix", "-o", "concise", "policy.hujson"]);
    assert_snapshot!(run, @r"
    exit: 1
    --- stdout
    policy.hujson:1:10: error[wrong-type] expected an array of rules, found a number
    ");
    assert_eq!(env.read("policy.hujson"), "{\"acls\": 1}\n");
}

#[test]
fn fix_makes_hujson_of_what_people_write_by_habit() {
    let env = TestEnvironment::new();
    env.write(
        "policy.hujson",
        "# who may do what\n{groups: {'group:dev': ['alice@', 'b\"ob@'],,},\n  \"acls\" = [] # none\n  \
         \"randomizeClientPort\": True} // end",
    );
    let run = env.run(&["policy", "check", "--fix", "-o", "concise", "policy.hujson"]);
    assert_snapshot!(run, @r"
    exit: 0
    --- stdout
    policy.hujson:2:13: warning[unused-group] nothing uses `group:dev` (help: remove it, or name it in a rule)
    --- stderr
    note: repaired 11 findings in policy.hujson
    ");
    assert_snapshot!(env.read("policy.hujson"), @r#"
    // who may do what
    {"groups": {"group:dev": ["alice@", "b\"ob@"],},
      "acls" : [], // none
      "randomizeClientPort": true} // end
    "#);
}

#[test]
fn a_tailnet_is_json_or_yaml() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", GOOD);
    env.write("tailnet.json", "{\"users\": [], \"nodes\": []}");
    env.write("tailnet.yaml", "users: []\nnodes: []\n");
    env.write("broken.json", "{\"users\": [");
    env.write("broken.yaml", "users: [\n");
    env.write("text", "hello");
    let check = |file| env.run(&["policy", "check", "-q", "--tailnet", file, "policy.hujson"]);
    assert_eq!(check("tailnet.json").success(), "");
    assert_eq!(check("tailnet.yaml").success(), "");
    assert_snapshot!(check("broken.json"), @"
    exit: 2
    --- stderr
    error: cannot read the tailnet broken.json: EOF while parsing a list at line 1 column 11
    hint: it is JSON or YAML with `users` and `nodes`, as Headscale's API and its `users list` and `nodes list` print them
    ");
    assert_snapshot!(check("broken.yaml"), @"
    exit: 2
    --- stderr
    error: cannot read the tailnet broken.yaml: line 1, column 8: unclosed bracket '['
    hint: it is JSON or YAML with `users` and `nodes`, as Headscale's API and its `users list` and `nodes list` print them
    ");
    assert_snapshot!(check("text"), @r#"
    exit: 2
    --- stderr
    error: cannot read the tailnet text: /: expected an object with `users` and `nodes`, found "hello"
    hint: it is JSON or YAML with `users` and `nodes`, as Headscale's API and its `users list` and `nodes list` print them
    "#);
    assert_snapshot!(check("none"), @"
    exit: 2
    --- stderr
    error: cannot read none: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
}

#[test]
fn a_file_of_another_format_is_told_how_to_become_a_policy() {
    let env = TestEnvironment::new();
    let check = |text: &str| env.run_with(text, &["policy", "check", "-o", "concise", "-"]);
    assert_snapshot!(check("# our policy\nacls:\n- action: accept\n"), @r#"
    exit: 1
    --- stdout
    <stdin>:1:1: error[syntax] invalid character '#' at start of value (help: comments start with `//`)
    <stdin>:2:1: error[syntax] invalid literal: acls (help: this looks like YAML, and a policy is HuJSON; `kubectl headscale policy fmt --from yaml` converts the file)
    "#);
    assert_snapshot!(check("{acls: []}"), @r#"
    exit: 1
    --- stdout
    <stdin>:1:2: error[syntax] invalid literal: acls (help: HuJSON names stand in double quotes: "acls"; `kubectl headscale policy fmt --from json5` converts the file)
    "#);
}

#[test]
fn nothing_is_ok_where_nothing_could_be_read() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run(&["policy", "check", "missing.hujson"]), @r#"
    exit: 2
    --- stderr
    error: cannot read missing.hujson: no such file (os error 2)
    hint: paths are relative to the current directory
    "#);
}
