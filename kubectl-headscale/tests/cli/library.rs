//! The same without a process: all that comes from outside is handed in.

use headscale_acl::Date;
use kubectl_headscale::{Environment, Exit, Streams, run};

use crate::environment::TestEnvironment;

/// Runs the plugin on `directory` with `stdin` on standard input.
fn in_process(directory: &TestEnvironment, stdin: &str, args: &[&str]) -> (Exit, String, String) {
    let environment = Environment {
        cwd: directory.path(""),
        stdout_color: true,
        stderr_color: false,
        stdin_terminal: false,
        width: Some(60),
        cache: None,
        docker_config: None,
        program: None,
        path: None,
        home: None,
        kubeconfig: None,
        in_cluster: None,
        now: jiff::Timestamp::UNIX_EPOCH,
        variable: |_| None,
        today: Date { year: 2030, month: 1, day: 1 },
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut streams = Streams { stdin: &mut stdin.as_bytes(), stdout: &mut out, stderr: &mut err };
    let args = ["kubectl-headscale"].iter().chain(args).map(Into::into);
    let exit = run(args, &environment, &mut streams);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (exit, text(out), text(err))
}

#[test]
fn directory_colour_and_width_are_those_of_the_environment() {
    let directory = TestEnvironment::new();
    directory.write("policy.hujson", "{'acls': []}\n");
    let (exit, out, err) = in_process(&directory, "", &["policy", "check", "policy.hujson"]);
    assert_eq!((exit, err.as_str()), (Exit::Findings, ""));
    assert!(out.contains("\u{1b}["), "{out}");
    let (_, out, _) = in_process(&directory, "", &["policy", "rules", "syntax"]);
    assert!(out.lines().all(|line| line.chars().count() <= 60), "{out}");
    let (exit, _, err) = in_process(&directory, "", &["policy", "check", "none"]);
    assert_eq!(exit, Exit::Usage);
    assert!(!err.contains('\u{1b}'), "{err}");
}

#[test]
fn standard_input_and_today_are_those_handed_in() {
    let directory = TestEnvironment::new();
    let policy = "{\n\t// policy-ignore: unused-group -- known [until=2029-12-31]\n\t\"groups\": \
                  {\"group:a\": [\"alice@\"]},\n\t\"acls\": [],\n}\n";
    let (exit, out, _) = in_process(&directory, policy, &["policy", "check", "-o", "concise", "-"]);
    assert_eq!(exit, Exit::Success);
    assert!(out.contains("[ignore-expired]"), "{out}");
}
