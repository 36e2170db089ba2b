//! `.headscale-policy.yaml`

use headscale_acl::{Source, rules};
use insta::assert_snapshot;

use crate::environment::{Run, TestEnvironment};

const NAME: &str = ".headscale-policy.yaml";
const GOOD: &str = "{\"acls\": []}\n";
const BAD: &str = "{'acls': []}\n";

fn check(env: &TestEnvironment, args: &[&str]) -> Run {
    env.run(&[&["policy", "check", "-o", "concise"], args].concat())
}

#[test]
fn files_are_relative_to_the_configuration() {
    let env = TestEnvironment::new();
    env.write(NAME, "files: [policies, one.hujson]\n");
    env.write("policies/a.hujson", BAD);
    env.write("one.hujson", BAD);
    env.write("deep/er/x", "");
    assert_snapshot!(check(&env, &[]), @r"
    exit: 1
    --- stdout
    policies/a.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    one.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
    assert_snapshot!(env.run_in("deep/er", &["policy", "check", "-o", "concise"]), @r"
    exit: 1
    --- stdout
    ../../policies/a.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ../../one.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
    assert_snapshot!(env.run_in("deep", &["policy", "fmt", "--check"]), @r"
    exit: 2
    --- stderr
    ../policies/a.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    error: ../policies/a.hujson is left alone: Headscale cannot read it
    ../one.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    error: ../one.hujson is left alone: Headscale cannot read it
    ");
}

#[test]
fn the_nearest_one_counts_up_to_the_repository() {
    let env = TestEnvironment::new();
    env.write(NAME, "failOn: never\n");
    env.write("near/.headscale-policy.yaml", "failOn: error\n");
    env.write("repository/.git", "gitdir: elsewhere\n");
    for name in ["near/p.hujson", "far/p.hujson", "repository/p.hujson"] {
        env.write(name, BAD);
    }
    let code = |directory| env.run_in(directory, &["policy", "check", "p.hujson"]).code;
    assert_eq!(code("far"), Some(0));
    assert_eq!(code("near"), Some(1));
    assert_eq!(code("repository"), Some(1));
}

#[test]
fn flags_choose_another_one_or_none() {
    let env = TestEnvironment::new();
    env.write(NAME, "failOn: never\n");
    env.write("strict/config.yaml", "failOn: error\nfiles: [p.hujson]\n");
    env.write("strict/p.hujson", BAD);
    assert_eq!(check(&env, &["strict/p.hujson"]).code, Some(0));
    assert_eq!(check(&env, &["strict/p.hujson", "--no-config"]).code, Some(1));
    assert_eq!(check(&env, &["strict/p.hujson", "--fail-on", "error"]).code, Some(1));
    assert_snapshot!(check(&env, &["--config", "strict/config.yaml"]), @r"
    exit: 1
    --- stdout
    strict/p.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
    assert_snapshot!(check(&env, &["--config", "none.yaml"]), @"
    exit: 2
    --- stderr
    error: cannot read none.yaml: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
    assert_snapshot!(check(&env, &["--config", "none.yaml", "--no-config"]), @"
    exit: 2
    --- stderr
    error: the argument '--config <FILE>' cannot be used with '--no-config'

    Usage: kubectl headscale policy check --output <FORMAT[=FILE]> --config <FILE> [FILE]...

    For more information, try '--help'.
    ");
}

#[test]
fn versions_are_one_or_a_list_quoted_or_not() {
    let env = TestEnvironment::new();
    env.write("p.hujson", GOOD);
    for versions in ["0.29", "0.30", "\"0.28\"", "[0.28, \"0.29\", v0.30]", "0.29.2"] {
        env.write(NAME, format!("headscaleVersion: {versions}\n"));
        assert_eq!(check(&env, &["p.hujson"]).code, Some(0), "{versions}");
    }
}

#[test]
fn an_empty_one_is_fine() {
    let env = TestEnvironment::new();
    env.write("p.hujson", GOOD);
    for empty in ["", "# nothing yet\n", "---\n"] {
        env.write(NAME, empty);
        assert_eq!(check(&env, &["p.hujson"]).code, Some(0), "{empty:?}");
    }
}

#[test]
fn mistakes_are_told_with_their_place() {
    let env = TestEnvironment::new();
    env.write("p.hujson", GOOD);
    let mut all = String::new();
    for config in [
        "files: [p.hujson]\nfailon: error\n",
        "failOn: sometimes\n",
        "headscaleVersion: 0.31\n",
        "headscaleVersion: [0.29, latest]\n",
        "headscaleVersion: 29\n",
        "files: p.hujson\n",
        "files:\n",
        "rules:\n  synatx: off\n",
        "rules:\n  syntax: warning\n",
        "rules:\n  syntax: loud\n",
        "rules: [syntax]\n",
        "failOn: error\nfailOn: never\n",
        "- files\n",
        "files: [\n",
        "suites:\n  - tests.yaml\n",
        "plugins:\n  - ref: ./x.wasm\n",
    ] {
        env.write(NAME, config);
        let run = check(&env, &["p.hujson"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{config}: {run}");
        all.extend([config, run.stderr.as_str(), "\n"]);
    }
    assert_snapshot!(all, @r#"
    files: [p.hujson]
    failon: error
    error: .headscale-policy.yaml:2:1: unknown key `failon`, expected one of headscaleVersion, files, tailnet, failOn, rules, suites, plugins

    failOn: sometimes
    error: .headscale-policy.yaml:1:9: unknown value `sometimes`, expected one of error, warning, info, never

    headscaleVersion: 0.31
    error: .headscale-policy.yaml:1:19: Headscale "0.31" is not known: expected 0.28, 0.29 or 0.30

    headscaleVersion: [0.29, latest]
    error: .headscale-policy.yaml:1:26: Headscale "latest" is not known: expected 0.28, 0.29 or 0.30

    headscaleVersion: 29
    error: .headscale-policy.yaml:1:1: invalid type: integer `29`, expected a Headscale version such as "0.29", or a list of them

    files: p.hujson
    error: .headscale-policy.yaml:1:8: expected a list

    files:
    error: .headscale-policy.yaml:1:6: expected a list

    rules:
      synatx: off
    error: .headscale-policy.yaml:2:3: unknown rule "synatx"; did you mean "syntax"?

    rules:
      syntax: warning
    error: .headscale-policy.yaml:2:3: rule "syntax" is Headscale's own and cannot be changed: Headscale refuses the policy

    rules:
      syntax: loud
    error: .headscale-policy.yaml:2:11: unknown value `loud`, expected one of off, info, warning, error

    rules: [syntax]
    error: .headscale-policy.yaml:1:8: expected keys and values

    failOn: error
    failOn: never
    error: .headscale-policy.yaml:2:1: duplicate mapping key `failOn` is not allowed here

    - files
    error: .headscale-policy.yaml:1:1: expected keys and values

    files: [
    error: .headscale-policy.yaml:1:8: unclosed bracket '['

    suites:
      - tests.yaml
    error: cannot read tests.yaml: no such file (os error 2)
    hint: paths are relative to the current directory
    hint: it is listed under `suites` in .headscale-policy.yaml

    plugins:
      - ref: ./x.wasm
    error: cannot read ./x.wasm: no such file (os error 2)
    hint: paths are relative to the current directory
    "#);
}

#[test]
fn what_it_names_and_is_not_there_is_told() {
    let env = TestEnvironment::new();
    env.write("p.hujson", GOOD);
    env.write(NAME, "files: [none.hujson, p.hujson]\n");
    assert_snapshot!(check(&env, &[]), @"
    exit: 2
    --- stderr
    error: cannot read none.hujson: no such file (os error 2)
    hint: it is listed under `files` in .headscale-policy.yaml
    ");
    env.write(NAME, "tailnet: none.json\nfiles: [p.hujson]\n");
    assert_snapshot!(check(&env, &[]), @"
    exit: 2
    --- stderr
    error: cannot read none.json: no such file (os error 2)
    hint: paths are relative to the current directory
    hint: it is the `tailnet` of .headscale-policy.yaml
    ");
}

#[test]
fn its_schema_has_its_keys_and_the_rules_that_can_be_set() {
    let schema = kubectl_headscale::config_schema();
    let keys = |pointer: &str| -> Vec<String> {
        let object = schema.pointer(pointer).unwrap().as_object().unwrap();
        object.keys().cloned().collect()
    };
    assert_eq!(
        keys("/properties"),
        ["headscaleVersion", "files", "tailnet", "failOn", "rules", "suites", "plugins"]
    );
    assert_eq!(schema["additionalProperties"], false);
    let lints = rules::all().filter(|rule| rule.source != Source::Headscale);
    let ids: Vec<&str> = lints.map(|rule| rule.id).collect();
    assert_eq!(keys("/properties/rules/properties"), ids);
}
