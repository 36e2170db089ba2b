//! `-o FORMAT[=FILE]`, and what happens where writing fails.

use std::process::Stdio;

use insta::assert_snapshot;

use crate::environment::TestEnvironment;

const BAD: &str = "{'acls': []}\n";

#[test]
fn reports_go_to_files_beside_one_on_standard_output() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    env.write("out/old.json", "old");
    let run = env.run(&[
        "policy",
        "check",
        "-o",
        "concise",
        "-o",
        "json=out/old.json",
        "-o",
        "concise=out/new.txt",
        "policy.hujson",
    ]);
    assert_eq!(run.code, Some(1), "{run}");
    assert_eq!(env.read("out/new.txt"), run.stdout);
    assert!(env.read("out/old.json").contains("\"version\": 1"));
    assert_eq!(env.list("out"), ["new.txt", "old.json"]);
}

#[test]
fn a_report_in_a_file_alone_leaves_standard_output_empty() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let run = env.run(&["policy", "check", "-o", "json=report.json", "policy.hujson"]);
    assert_snapshot!(run, @"exit: 1");
}

#[test]
fn outputs_that_lose_something_are_refused() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let check = |outputs: &[&str]| {
        let mut args = vec!["policy", "check", "policy.hujson"];
        for output in outputs {
            args.extend(["-o", output]);
        }
        env.run(&args)
    };
    assert_snapshot!(check(&["text", "json"]), @"
    exit: 2
    --- stderr
    error: only one report can go to standard output, not both text and json
    hint: write one to a file: -o json=FILE
    ");
    assert_snapshot!(check(&["json=a", "sarif=a"]), @"
    exit: 2
    --- stderr
    error: two reports would go to a
    hint: write one to another file
    ");
    assert_snapshot!(check(&["json=./policy.hujson"]), @"
    exit: 2
    --- stderr
    error: -o would overwrite the policy policy.hujson
    hint: write to another file
    ");
    assert_snapshot!(check(&["json="]), @"
    exit: 2
    --- stderr
    error: invalid value 'json=' for '--output <FORMAT[=FILE]>': a file name is missing after `=`; for standard output leave out the `=`

    For more information, try '--help'.
    ");
    assert_snapshot!(check(&["xml"]), @r#"
    exit: 2
    --- stderr
    error: invalid value 'xml' for '--output <FORMAT[=FILE]>': unknown format "xml"; expected one of text, concise, json, sarif, junit, github, gitlab, markdown

    For more information, try '--help'.
    "#);
    assert_eq!(env.read("policy.hujson"), BAD);
}

#[test]
fn nothing_that_a_run_reads_is_overwritten() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    env.write("tailnet.json", "{\"users\": []}");
    env.write("base.json", "{\"version\": 1, \"findings\": []}");
    env.write(".headscale-policy.yaml", "tailnet: tailnet.json\n");
    let check = |args: &[&str]| env.run(&[&["policy", "check", "policy.hujson"], args].concat());
    let mut all = String::new();
    for args in [
        &["-o", "json=tailnet.json"][..],
        &["-o", "json=base.json", "--baseline", "base.json"],
        &["-o", "json=.headscale-policy.yaml"],
        &["--write-baseline", "policy.hujson"],
        &["--write-baseline", "new.json", "-o", "json=new.json"],
    ] {
        let run = check(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}: {run}");
        all.extend([run.stderr.as_str()]);
    }
    assert_snapshot!(all, @"
    error: -o would overwrite the tailnet tailnet.json
    hint: write to another file
    error: -o would overwrite the baseline base.json
    hint: write to another file
    error: -o would overwrite the configuration .headscale-policy.yaml
    hint: write to another file
    error: --write-baseline would overwrite the policy policy.hujson
    hint: write to another file
    error: two reports would go to new.json
    hint: write one to another file
    ");
    assert_eq!(env.read("policy.hujson"), BAD);
    assert!(!env.list(".").contains(&"new.json".to_owned()));
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_others() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let run = env.run(&[
        "policy",
        "check",
        "-o",
        "json=none/report.json",
        "-o",
        "concise",
        "policy.hujson",
    ]);
    assert_snapshot!(run, @r"
    exit: 2
    --- stdout
    policy.hujson:1:2: error[syntax] invalid character '\'' at start of value (help: HuJSON strings stand in double quotes; `kubectl headscale policy fmt --from json5` converts the file)
    --- stderr
    error: cannot write none/report.json: its directory does not exist
    ");
}

#[cfg(unix)]
#[test]
fn a_report_for_a_device_is_written_to_it() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let run = env.run(&["policy", "check", "-o", "json=/dev/null", "policy.hujson"]);
    assert_eq!(run.code, Some(1), "{run}");
    let null = std::fs::metadata("/dev/null").unwrap();
    assert!(!null.is_file());
}

#[cfg(unix)]
#[test]
fn new_files_have_the_permissions_of_new_files() {
    use crate::environment::mode;
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    let run = env.run(&["policy", "check", "-o", "json=report.json", "policy.hujson"]);
    assert_eq!(run.code, Some(1), "{run}");
    let expected = mode(&env.path("policy.hujson"));
    assert_eq!(mode(&env.path("report.json")), expected);
}

#[test]
fn a_reader_that_goes_away_changes_no_exit_code() {
    let env = TestEnvironment::new();
    env.write("policy.hujson", BAD);
    for (args, code) in [
        (vec!["policy", "check", "policy.hujson"], 1),
        (vec!["policy", "rules"], 0),
        (vec!["--help"], 0),
        (vec!["completion", "bash"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = env.command(&args);
        command.stdout(writer).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(code), ""), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let env = TestEnvironment::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = env.command(&["policy", "rules"]);
    command.stdout(full).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"error: cannot write standard output: no space left (os error 28)");
}

#[test]
fn errors_are_coloured_where_asked_for_and_nowhere_else() {
    let env = TestEnvironment::new();
    let plain = env.run(&["policy", "check", "none"]);
    assert!(!plain.stderr.contains('\u{1b}'), "{plain}");
    let colored = env.run(&["policy", "check", "none", "--color", "always"]);
    assert!(colored.stderr.contains("\u{1b}[1m"), "{colored}");
    let off = env.run(&["policy", "check", "none", "--color=never"]);
    assert_eq!(off.stderr, plain.stderr);
}
