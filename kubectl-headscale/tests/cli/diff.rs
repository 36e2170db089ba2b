//! `policy diff`

use std::process::Command;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::environment::TestEnvironment;

const OLD: &str = r#"{
	"groups":    {"group:ops": ["alice@"], "group:dev": ["bob@", "carol@"]},
	"tagOwners": {"tag:web": ["group:ops"], "tag:db": ["group:ops"]},
	"acls": [
		{"action": "accept", "proto": "tcp", "src": ["group:ops"], "dst": ["tag:web:22,443", "tag:db:5432"]},
		{"action": "accept", "src": ["group:dev"], "dst": ["tag:web:443"]},
	],
	"ssh": [{"action": "accept", "src": ["group:ops"], "dst": ["tag:web"], "users": ["root"]}],
}
"#;

/// [`OLD`] with the database open to developers, and a fresh login for administrators.
fn new() -> String {
    OLD.replace(
        "\"src\": [\"group:dev\"], \"dst\": [",
        "\"src\": [\"group:dev\"], \"dst\": [\"tag:db:*\", ",
    )
    .replace("\"ssh\": [{\"action\": \"accept\"", "\"ssh\": [{\"action\": \"check\"")
}

fn with_both() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("old.hujson", OLD);
    env.write("new.hujson", new());
    env
}

#[test]
fn what_a_change_opens_and_closes_is_told_in_every_format() {
    let env = with_both();
    let diff =
        |args: &[&str]| env.run(&[&["policy", "diff", "old.hujson", "new.hujson"], args].concat());
    assert_snapshot!(diff(&[]), @"
    exit: 1
    --- stdout
    + net  group:dev  ->  tag:db   all ports
    + ssh  group:ops  ->  tag:web  as root (check)
    - ssh  group:ops  ->  tag:web  as root

    reachability changes
    --- stderr
    note: the nodes are made up from the policy; name the real ones with --tailnet
    ");
    assert_snapshot!(diff(&["--color", "always"]), @"
    exit: 1
    --- stdout
    \u{1b}[32m+ net  group:dev  ->  tag:db   all ports\u{1b}[0m
    \u{1b}[32m+ ssh  group:ops  ->  tag:web  as root (check)\u{1b}[0m
    \u{1b}[31m- ssh  group:ops  ->  tag:web  as root\u{1b}[0m

    reachability changes
    --- stderr
    \u{1b}[1m\u{1b}[32mnote:\u{1b}[0m the nodes are made up from the policy; name the real ones with --tailnet
    ");
    assert_snapshot!(diff(&["-o", "markdown"]), @"
    exit: 1
    --- stdout
    **Reachability changes** from `old.hujson` to `new.hujson`, for nodes made up from both policies.

    | | kind | from | to | what |
    | --- | --- | --- | --- | --- |
    | `+` | net | `group:dev` | `tag:db` | `all ports` |
    | `+` | ssh | `group:ops` | `tag:web` | `as root (check)` |
    | `-` | ssh | `group:ops` | `tag:web` | `as root` |
    ");
    let answer: Value = serde_json::from_str(&diff(&["-o", "json"]).stdout).unwrap();
    assert_eq!(answer["version"], 1);
    assert_eq!(answer["symbolic"], true);
    assert_eq!(answer["verdict"], "changes");
    assert_eq!(
        answer["added"][0],
        json!({"kind": "net", "src": "group:dev", "dst": "tag:db", "proto": "", "ports": "*", "users": ""})
    );
    assert!(diff(&["-o", "yaml"]).stdout.starts_with("version: 1\n"));
}

#[test]
fn the_exit_code_says_what_fails_a_build() {
    let env = with_both();
    let code = |old: &str, new: &str, args: &[&str]| {
        env.run(&[&["policy", "diff", old, new], args].concat()).code
    };
    assert_eq!(code("old.hujson", "old.hujson", &[]), Some(0));
    assert_eq!(code("old.hujson", "new.hujson", &[]), Some(1));
    assert_eq!(code("old.hujson", "new.hujson", &["--fail-on", "grows"]), Some(1));
    assert_eq!(code("old.hujson", "new.hujson", &["--fail-on", "never"]), Some(0));
    env.write("less.hujson", OLD.replace("22,443", "443"));
    assert_eq!(code("old.hujson", "less.hujson", &["--fail-on", "any"]), Some(1));
    assert_eq!(code("old.hujson", "less.hujson", &["--fail-on", "grows"]), Some(0));
    assert_eq!(code("less.hujson", "old.hujson", &["--fail-on", "grows"]), Some(1));
}

#[test]
fn a_tailnet_makes_the_answer_one_for_its_nodes() {
    let env = with_both();
    let node = |id: u32, name: &str, rest: &str| {
        format!("  - {{id: {id}, name: {name}, ipAddresses: [100.64.0.{id}], {rest}}}\n")
    };
    let nodes = [
        node(1, "laptop", "user: {id: 2}"),
        node(2, "primary", "tags: ['tag:db']"),
        node(3, "standby", "tags: ['tag:db']"),
    ];
    let users =
        "users:\n  - {id: 1, name: alice}\n  - {id: 2, name: bob}\n  - {id: 3, name: carol}\n";
    env.write("tailnet.yaml", format!("{users}nodes:\n{}", nodes.concat()));
    let args = ["policy", "diff", "old.hujson", "new.hujson", "--tailnet", "tailnet.yaml"];
    assert_snapshot!(env.run(&args), @"
    exit: 1
    --- stdout
    + net  group:dev  ->  tag:db  all ports

    reachability grows
    ");
}

#[test]
fn a_file_is_compared_with_what_it_was_at_a_revision() {
    let env = TestEnvironment::new();
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
        let status = Command::new("git")
            .current_dir(env.path("."))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .args(identity)
            .args(args)
            .status();
        assert!(status.unwrap().success(), "git {args:?}");
    };
    env.write("policies/main.hujson", OLD);
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "Add the policy"]);
    env.write("policies/main.hujson", new());
    let diff = |revision: &str| {
        env.run_in(
            "policies",
            &["policy", "diff", "main.hujson", "--git", revision, "-o", "markdown"],
        )
    };
    assert_snapshot!(diff("HEAD"), @"
    exit: 1
    --- stdout
    **Reachability changes** from `HEAD:main.hujson` to `main.hujson`, for nodes made up from both policies.

    | | kind | from | to | what |
    | --- | --- | --- | --- | --- |
    | `+` | net | `group:dev` | `tag:db` | `all ports` |
    | `+` | ssh | `group:ops` | `tag:web` | `as root (check)` |
    | `-` | ssh | `group:ops` | `tag:web` | `as root` |
    ");
    assert_snapshot!(diff("nowhere"), @"
    exit: 2
    --- stderr
    error: cannot read main.hujson at nowhere: invalid object name 'nowhere'.
    ");
    assert_snapshot!(diff("--help"), @"
    exit: 2
    --- stderr
    error: a value is required for '--git <REV>' but none was supplied

    For more information, try '--help'.
    ");
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let env = with_both();
    env.write("broken.hujson", "{\"acls\": [{\"action\": \"deny\"}]}");
    assert_snapshot!(env.run(&["policy", "diff", "old.hujson", "broken.hujson"]), @r#"
    exit: 2
    --- stderr
    error[acl-action]: action="deny" is not supported: invalid ACL action
     --> broken.hujson:1:22
      |
    1 | {"acls": [{"action": "deny"}]}
      |                      ^^^^^^
      |
      = help: there is no deny: what no rule accepts is denied; remove the rule, and narrow those that accept too much

    1 error in 1 file
    "#);
    assert_snapshot!(env.run(&["policy", "diff", "old.hujson", "nowhere.hujson"]), @"
    exit: 2
    --- stderr
    error: cannot read nowhere.hujson: no such file (os error 2)
    hint: paths are relative to the current directory
    ");
    assert_snapshot!(env.run(&["policy", "diff", "old.hujson"]), @"
    exit: 2
    --- stderr
    error: the following required arguments were not provided:
      <NEW>

    Usage: kubectl headscale policy diff <OLD> <NEW>

    For more information, try '--help'.
    ");
    assert_snapshot!(env.run(&["policy", "diff", "-", "-"]), @"
    exit: 2
    --- stderr
    error: standard input cannot be both policies
    hint: name a file for one of them
    ");
    assert_snapshot!(env.run(&["policy", "diff", "-", "--git", "HEAD"]), @"
    exit: 2
    --- stderr
    error: standard input has no revisions
    hint: name the file, as in `policy diff policy.hujson --git HEAD`
    ");
    assert_snapshot!(env.run(&["policy", "diff", ".", "old.hujson"]), @"
    exit: 2
    --- stderr
    error: . holds 3 policies, not one
    hint: name one file
    ");
}

#[test]
fn either_policy_may_come_from_standard_input() {
    let env = with_both();
    let run = env.run_with(new(), &["policy", "diff", "old.hujson", "-", "-o", "json"]);
    assert_eq!(
        run.stdout,
        env.run(&["policy", "diff", "old.hujson", "new.hujson", "-o", "json"]).stdout
    );
}

#[test]
fn people_are_spared_long_lists_and_programs_are_not() {
    let env = TestEnvironment::new();
    let users: Vec<String> = (10..30).map(|user| format!("\"u{user}@\"")).collect();
    let policy = |src: &str| {
        format!(r#"{{"acls": [{{"action": "accept", "src": [{src}], "dst": ["10.0.0.1:22"]}}]}}"#)
    };
    env.write("old.hujson", policy(""));
    env.write("new.hujson", policy(&users.join(", ")));
    let diff =
        |args: &[&str]| env.run(&[&["policy", "diff", "old.hujson", "new.hujson"], args].concat());
    let text = diff(&[]).stdout;
    assert!(text.contains("u17@ and 12 more  ->  10.0.0.1"), "{text}");
    let json: Value = serde_json::from_str(&diff(&["-o", "json"]).stdout).unwrap();
    assert_eq!(json["added"][0]["src"].as_str().unwrap().split(", ").count(), 20);
}
