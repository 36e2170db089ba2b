//! Where policies come from: files, directories, standard input, and what is none of them.

use std::fs::File;

use insta::assert_snapshot;

use crate::environment::{Run, TestEnvironment};

const GOOD: &str = "{\"acls\": []}\n";
const BAD: &str = "{'acls': []}\n";

fn check(env: &TestEnvironment, files: &[&str]) -> Run {
    let mut args = vec!["policy", "check", "-o", "concise"];
    args.extend(files);
    env.run(&args)
}

#[test]
fn an_unreadable_file_leaves_the_others_and_is_the_worst() {
    let env = TestEnvironment::new();
    env.write("bad.hujson", BAD);
    assert_snapshot!(check(&env, &["none.hujson", "bad.hujson"]), @r"
    exit: 2
    --- stdout
    bad.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    --- stderr
    error: cannot read none.hujson: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
}

#[test]
fn a_directory_means_the_policies_directly_in_it() {
    let env = TestEnvironment::new();
    for name in ["b.hujson", "a.hujson", "sub/c.hujson", ".hidden.hujson", "notes.txt"] {
        env.write(&format!("policies/{name}"), BAD);
    }
    env.write("policies/policy.json", "{\"acls\": [}");
    env.write("policies/package.json", "{\"name\": ]");
    assert_snapshot!(check(&env, &["policies"]), @r"
    exit: 1
    --- stdout
    policies/a.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    policies/b.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    policies/policy.json:1:11: error[syntax] invalid character '}' at start of value
    ");
    assert_snapshot!(env.run_in("policies/sub", &["policy", "check", "-o", "concise", "."]), @r"
    exit: 1
    --- stdout
    c.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
}

#[test]
fn a_directory_without_policies_is_an_error() {
    let env = TestEnvironment::new();
    env.write("empty/package.json", "{\"name\": 1}");
    assert_snapshot!(check(&env, &["empty"]), @r#"
    exit: 2
    --- stderr
    error: no policy in empty
    hint: a directory means the *.hujson files directly in it, the *.json files that have a section of a policy, such as "acls", and the *.yaml files with Kubernetes objects that hold one
    "#);
}

#[test]
fn the_same_file_twice_is_read_once() {
    let env = TestEnvironment::new();
    env.write("policies/a.hujson", BAD);
    let run = check(&env, &["policies/a.hujson", "policies", "./policies/../policies/a.hujson"]);
    assert_snapshot!(run, @r"
    exit: 1
    --- stdout
    policies/a.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
}

#[test]
fn standard_input_has_a_name() {
    let env = TestEnvironment::new();
    let check =
        |args: &[&str]| env.run_with(BAD, &[&["policy", "check", "-o", "concise"], args].concat());
    assert_snapshot!(check(&["-"]), @r"
    exit: 1
    --- stdout
    <stdin>:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
    assert_snapshot!(check(&["-", "--stdin-filename", "policies/a.hujson", "-"]), @r"
    exit: 1
    --- stdout
    policies/a.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
}

#[test]
fn an_empty_file_is_input() {
    let env = TestEnvironment::new();
    env.write("empty.hujson", "");
    let run = check(&env, &["empty.hujson"]);
    assert_ne!(run.code, Some(2), "{run}");
}

#[test]
fn bytes_that_are_not_utf8_are_input() {
    let env = TestEnvironment::new();
    env.write("latin1.hujson", b"{\"acls\": [], // caf\xe9\n}\n");
    let run = check(&env, &["latin1.hujson"]);
    assert_eq!(run.code, Some(1), "{run}");
}

#[test]
fn a_file_larger_than_any_policy_is_refused_unread() {
    let env = TestEnvironment::new();
    let file = File::create(env.path("large.hujson")).unwrap();
    file.set_len(headscale_acl::MAX_POLICY_BYTES + 1).unwrap();
    assert_snapshot!(check(&env, &["large.hujson"]), @"
    exit: 2
    --- stderr
    error: cannot read large.hujson: it is larger than 64 MiB
    hint: no policy or snapshot is as large; is it another file?
    ");
}

#[cfg(target_os = "linux")]
#[test]
fn a_source_without_end_is_refused() {
    let env = TestEnvironment::new();
    let run = check(&env, &["/dev/zero"]);
    assert_snapshot!(run, @"
    exit: 2
    --- stderr
    error: cannot read /dev/zero: it is larger than 64 MiB
    hint: no policy or snapshot is as large; is it another file?
    ");
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_to_its_end() {
    let env = TestEnvironment::new();
    let pipe = env.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let writer = std::thread::spawn(move || std::fs::write(pipe, BAD).unwrap());
    let run = check(&env, &["pipe"]);
    writer.join().unwrap();
    assert_snapshot!(run, @r"
    exit: 1
    --- stdout
    pipe:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    ");
}

#[cfg(unix)]
#[test]
fn names_do_not_steer_the_terminal() {
    let env = TestEnvironment::new();
    assert_snapshot!(check(&env, &["\u{1b}[31mred", "a\u{202e}b"]), @r"
    exit: 2
    --- stderr
    error: cannot read \u{1b}[31mred: no such file (os error 2)
    hint: paths are relative to the current directory
    error: cannot read a\u{202e}b: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
    env.write("good.hujson", GOOD);
    assert_eq!(check(&env, &["good.hujson"]).code, Some(0));
}
