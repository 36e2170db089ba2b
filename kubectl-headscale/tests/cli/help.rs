//! What users read when they ask for help.

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

#[test]
fn every_command_explains_itself() {
    let env = TestEnvironment::new();
    for words in [
        vec![],
        vec!["policy"],
        vec!["policy", "check"],
        vec!["policy", "render"],
        vec!["policy", "fmt"],
        vec!["policy", "rules"],
        vec!["plugin"],
        vec!["plugin", "new"],
        vec!["plugin", "build"],
        vec!["plugin", "test"],
        vec!["plugin", "verify"],
        vec!["get"],
        vec!["describe"],
        vec!["delete"],
        vec!["install"],
        vec!["install", "crds"],
        vec!["render", "operator"],
        vec!["upgrade"],
        vec!["uninstall"],
        vec!["version"],
        vec!["completion"],
        vec!["completion", "install"],
        vec!["options"],
    ] {
        let mut args = words.clone();
        args.push("--help");
        let help = env.run(&args).success();
        let group = words.is_empty() || words == ["policy"] || words == ["plugin"];
        assert!(group || help.contains("Examples:\n  # "), "{words:?}");
        assert_snapshot!(
            ["help"].iter().chain(&words).copied().collect::<Vec<_>>().join("-"),
            help
        );
    }
}

#[test]
fn usage_errors_exit_2() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run(&["policy", "chekc"]), @"
    exit: 2
    --- stderr
    error: unrecognized subcommand 'chekc'

      tip: a similar subcommand exists: 'check'

    Usage: kubectl headscale policy [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(env.run(&["policy", "check", "--max-findings", "many", "x"]), @"
    exit: 2
    --- stderr
    error: invalid value 'many' for '--max-findings <N>': invalid digit found in string

    For more information, try '--help'.
    ");
    assert_eq!(env.run(&[]).code, Some(2));
    assert_eq!(env.run(&["policy"]).code, Some(2));
}
