//! `policy fmt`

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

/// In the standard format.
const FORMATTED: &str = "{\"acls\": []}\n";
/// Not in it: the end of the line is missing, and there is a space too many.
const UNFORMATTED: &str = "{\"acls\":  []}";
const BAD: &str = "{'acls': []}\n";

#[test]
fn one_policy_goes_to_standard_output() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", UNFORMATTED);
    assert_eq!(env.run(&["policy", "fmt", "policy.hujson"]).success(), FORMATTED);
    assert_eq!(env.run_with(UNFORMATTED, &["policy", "fmt", "-"]).success(), FORMATTED);
    assert_eq!(env.read("policy.hujson"), UNFORMATTED);
}

#[test]
fn several_policies_need_a_place_each() {
    let env = TestEnvironment::new();
    env.write("a.hujson", FORMATTED);
    env.write("b.hujson", FORMATTED);
    assert_snapshot!(env.run(&["policy", "fmt", "."]), @"
    exit: 2
    --- stderr
    error: 2 policies cannot go to one output
    hint: write them in place with -w, or compare them with --check
    ");
}

#[test]
fn check_lists_what_would_change() {
    let env = TestEnvironment::new();
    env.write("a.hujson", FORMATTED);
    env.write("b.hujson", UNFORMATTED);
    assert_eq!(env.run(&["policy", "fmt", "--check", "a.hujson"]).success(), "");
    assert_snapshot!(env.run(&["policy", "fmt", "--check", "."]), @"
    exit: 1
    --- stdout
    b.hujson
    ");
    assert_eq!(env.read("b.hujson"), UNFORMATTED);
}

#[test]
fn write_replaces_only_what_changes() {
    let env = TestEnvironment::new();
    env.write("a.hujson", FORMATTED);
    env.write("b.hujson", UNFORMATTED);
    let changed = |name| std::fs::metadata(env.path(name)).unwrap().modified().unwrap();
    let before = changed("a.hujson");
    assert_snapshot!(env.run(&["policy", "fmt", "-w", "."]), @"
    exit: 0
    --- stderr
    note: formatted b.hujson
    ");
    assert_eq!(env.read("b.hujson"), FORMATTED);
    assert_eq!(changed("a.hujson"), before);
    assert_eq!(env.list("."), [".git", "a.hujson", "b.hujson"]);
}

#[cfg(unix)]
#[test]
fn write_keeps_links_and_permissions() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use crate::environment::mode;
    let env = TestEnvironment::new();
    env.write("real/policy.hujson", UNFORMATTED);
    let real = env.path("real/policy.hujson");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real/policy.hujson", env.path("link.hujson")).unwrap();
    let run = env.run(&["policy", "fmt", "-w", "link.hujson"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(env.path("link.hujson").is_symlink());
    assert_eq!(env.read("real/policy.hujson"), FORMATTED);
    assert_eq!(mode(&real), 0o640);
    assert_eq!(env.list("real"), ["policy.hujson"]);
}

#[test]
fn what_headscale_cannot_read_is_left_alone() {
    let env = TestEnvironment::new();
    env.write("bad.hujson", BAD);
    env.write("unformatted.hujson", UNFORMATTED);
    assert_snapshot!(env.run(&["policy", "fmt", "-w", "."]), @r"
    exit: 2
    --- stderr
    bad.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    error: bad.hujson is left alone: Headscale cannot read it
    note: formatted unformatted.hujson
    ");
    assert_eq!(env.read("bad.hujson"), BAD);
    assert_eq!(env.read("unformatted.hujson"), FORMATTED);
}

#[test]
fn what_json_refuses_is_left_alone() {
    let env = TestEnvironment::new();
    env.write("duplicate.hujson", "{\"acls\": [],\n \"acls\": []}\n");
    env.write("surrogate.hujson", "{\"a\": \"\\ud800\"}\n");
    env.write("latin1.hujson", b"{\"a\": \"caf\xe9\"}\n");
    assert_snapshot!(env.run(&["policy", "fmt", "-w", "."]), @r#"
    exit: 2
    --- stderr
    duplicate.hujson:2:2: error[duplicate-member] duplicate object member name "acls" (help: merge it with the first "acls", or remove one of the two)
    error: duplicate.hujson is left alone: Headscale cannot read it
    latin1.hujson:1:11: error[invalid-utf8] invalid UTF-8 in string (help: save the file as UTF-8)
    error: latin1.hujson is left alone: Headscale cannot read it
    surrogate.hujson:1:7: error[lone-surrogate] invalid surrogate pair in string (help: write the character itself)
    error: surrogate.hujson is left alone: Headscale cannot read it
    "#);
    assert_snapshot!(env.run(&["policy", "fmt", "latin1.hujson"]), @"
    exit: 2
    --- stderr
    latin1.hujson:1:11: error[invalid-utf8] invalid UTF-8 in string (help: save the file as UTF-8)
    error: latin1.hujson is left alone: Headscale cannot read it
    ");
}

#[test]
fn an_empty_file_stays_empty() {
    let env = TestEnvironment::new();
    env.write("empty.hujson", "");
    assert_eq!(env.run(&["policy", "fmt", "-w", "empty.hujson"]).success(), "");
    assert_eq!(env.run(&["policy", "fmt", "--check", "empty.hujson"]).success(), "");
    assert_eq!(env.run(&["policy", "fmt", "empty.hujson"]).success(), "");
    assert_eq!(env.read("empty.hujson"), "");
}

#[test]
fn standard_input_cannot_be_written() {
    let env = TestEnvironment::new();
    assert_snapshot!(env.run_with(UNFORMATTED, &["policy", "fmt", "-w", "-"]), @"
    exit: 2
    --- stderr
    error: -w cannot write to standard input
    hint: leave out -w: the result goes to standard output
    ");
}

#[test]
fn write_and_check_exclude_each_other() {
    let env = TestEnvironment::new();
    env.write("a.hujson", UNFORMATTED);
    assert_snapshot!(env.run(&["policy", "fmt", "-w", "--check", "a.hujson"]), @"
    exit: 2
    --- stderr
    error: the argument '--write' cannot be used with '--check'

    Usage: kubectl headscale policy fmt --write <FILE>...

    For more information, try '--help'.
    ");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_replaced_stays_what_it_was() {
    let env = TestEnvironment::new();
    let pipe = env.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let writer = std::thread::spawn(move || std::fs::write(pipe, UNFORMATTED).unwrap());
    let run = env.run(&["policy", "fmt", "-w", "pipe"]);
    writer.join().unwrap();
    assert_snapshot!(run, @"
    exit: 2
    --- stderr
    error: cannot write pipe: it is not a regular file
    ");
}
