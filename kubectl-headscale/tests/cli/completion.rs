//! Completion: scripts for shells, and kubectl's questions.

use std::process::Command;

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

#[test]
fn every_shell_has_a_script() {
    let env = TestEnvironment::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = env.run(&["completion", shell]).success();
        assert!(script.contains("kubectl-headscale"), "{shell}");
        assert!(!script.contains("__complete"), "{shell}");
    }
}

#[test]
fn kubectl_asks_what_may_come_next() {
    let env = TestEnvironment::new();
    env.write("policies/a.hujson", "");
    let mut all = String::new();
    for words in [
        &[""][..],
        &["policy", ""],
        &["policy", "ch"],
        &["policy", "rules", "syn"],
        &["policy", "check", "-o", ""],
        &["policy", "check", "--headscale-version", ""],
        &["policy", "check", "--fail"],
        &["policy", "check", "pol"],
        &["policy", "fmt", "--from", "y"],
        &["nonsense", ""],
    ] {
        let answer = env.run(&[&["__complete"], words].concat()).success();
        all.extend([&words.join(" "), "|\n", &answer, "\n"]);
    }
    assert_snapshot!(all);
}

#[cfg(unix)]
#[test]
fn under_its_other_name_it_only_completes() {
    let env = TestEnvironment::new();
    let link = env.path("kubectl_complete-headscale");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kubectl-headscale"), &link).unwrap();
    let output = Command::new(&link).args(["policy", "ru"]).env_clear().output().unwrap();
    assert!(output.status.success());
    assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @"
    rules	List the rules of `policy check`, or explain one
    :4
    ");
    let output = Command::new(&link).env_clear().output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("policy\t"));
}
