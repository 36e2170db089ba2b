//! `policy fmt --from json5|yaml`

use insta::assert_snapshot;

use crate::environment::{Run, TestEnvironment};

fn from(language: &str, text: impl AsRef<[u8]>) -> Run {
    TestEnvironment::new().run_with(text, &["policy", "fmt", "--from", language, "-"])
}

#[test]
fn json5_becomes_a_policy() {
    let text = "// who\n{groups: {'group:a': ['alice@',],}, acls: [{action: 'accept', \
                src: ['group:a'], dst: ['*:22']}], n: [+5, 0xff, .5, 1e3]}";
    assert_snapshot!(from("json5", text), @r#"
    exit: 0
    --- stdout
    {
    	"groups": {
    		"group:a": ["alice@"]
    	},
    	"acls": [
    		{"action": "accept", "src": ["group:a"], "dst": ["*:22"]}
    	],
    	"n": [
    		5,
    		255,
    		0.5,
    		1000.0
    	]
    }
    --- stderr
    warning: the comments of <stdin> are not in the result
    "#);
}

#[test]
fn yaml_becomes_a_policy() {
    let text = "# who\ngroups:\n  group:a: &a [alice@, bob@]\nhosts: {db: 10.0.0.1}\nacls:\n\
                - action: accept\n  src: ['group:a']\n  dst: [\"*:22\"]\n\
                randomizeClientPort: yes\nzero: 007\nowners: *a\n";
    assert_snapshot!(from("yaml", text), @r#"
    exit: 0
    --- stdout
    {
    	"groups": {
    		"group:a": ["alice@", "bob@"]
    	},
    	"hosts": {
    		"db": "10.0.0.1"
    	},
    	"acls": [
    		{"action": "accept", "src": ["group:a"], "dst": ["*:22"]}
    	],
    	"randomizeClientPort": true,
    	"zero":                "007",
    	"owners": [
    		"alice@",
    		"bob@"
    	]
    }
    --- stderr
    warning: the comments of <stdin> are not in the result
    "#);
}

#[test]
fn what_is_a_policy_already_keeps_its_comments() {
    let text = "// kept\n{\"acls\": []}\n";
    assert_eq!(from("json5", text).success(), text);
    assert_eq!(from("yaml", text).success(), text);
}

#[test]
fn nothing_changes_its_value() {
    let mut all = String::new();
    for (language, text) in [
        ("json5", "{a: 1, 'a': 2}"),
        ("json5", "{\n  // big\n  a: 12345678901234567890123}"),
        ("json5", "{a: 0.1000000000000000055}"),
        ("json5", "{a: 0xfffffffffffffffff}"),
        ("json5", "{a: -Infinity}"),
        ("json5", "{a: NaN}"),
        ("json5", "{a: '\\ud800'}"),
        ("yaml", "a: 1\na: 2\n"),
        ("yaml", "a:\n  b: 12345678901234567890123\n"),
        ("yaml", "a: .inf\n"),
        ("yaml", "a: !secret x\n"),
        ("yaml", "a: 1\n---\nb: 2\n"),
    ] {
        let run = from(language, text);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{text}: {run}");
        all.extend([text, "\n", run.stderr.as_str(), "\n"]);
    }
    assert_snapshot!(all, @r#"
    {a: 1, 'a': 2}
    error: <stdin>:1:1: the name "a" stands here twice

    {
      // big
      a: 12345678901234567890123}
    error: <stdin>:3:6: the number 12345678901234567890123 cannot be kept exactly; write it as text, in quotes

    {a: 0.1000000000000000055}
    error: <stdin>:1:5: the number 0.1000000000000000055 cannot be kept exactly; write it as text, in quotes

    {a: 0xfffffffffffffffff}
    error: <stdin>:1:5: the number 0xfffffffffffffffff cannot be kept exactly; write it as text, in quotes

    {a: -Infinity}
    error: <stdin>:1:5: JSON has no Infinity

    {a: NaN}
    error: <stdin>:1:5: JSON has no NaN

    {a: '\ud800'}
    error: <stdin>:1:12: invalid escape sequence

    a: 1
    a: 2

    error: <stdin>:2:1: duplicate mapping key `a` is not allowed here

    a:
      b: 12345678901234567890123

    error: <stdin>:2:6: the number 12345678901234567890123 cannot be kept exactly; write it as text, in quotes

    a: .inf

    error: <stdin>:1:4: value `.inf` is not a finite number

    a: !secret x

    error: <stdin>:1:12: unsupported tag `!secret`

    a: 1
    ---
    b: 2

    error: <stdin>:3:1: only single YAML document expected but multiple found
    "#);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let mut all = String::new();
    for (language, text) in [
        ("json5", "{a: [1,\n2"),
        ("json5", "{a b}"),
        ("json5", "acls: []"),
        ("yaml", "src: [*]\n"),
        ("yaml", "a: [\n"),
    ] {
        let run = from(language, text);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{text}: {run}");
        all.extend([text, "\n", run.stderr.as_str(), "\n"]);
    }
    assert_snapshot!(all, @"
    {a: [1,
    2
    error: <stdin>:1:5: EOF parsing array

    {a b}
    error: <stdin>:1:4: expected colon

    acls: []
    error: <stdin>:1:1: expected value

    src: [*]

    error: <stdin>:1:7: while scanning an anchor or alias, did not find expected alphabetic or numeric character

    a: [

    error: <stdin>:1:4: unclosed bracket '['
    ");
    assert_snapshot!(from("json5", b"{a: '\xe9'}"), @"
    exit: 2
    --- stderr
    error: <stdin>: the file is not UTF-8
    ");
}

#[test]
fn nesting_does_not_end_the_process() {
    for (language, text) in [
        ("json5", "[".repeat(100_000)),
        ("json5", "{a:".repeat(100_000)),
        ("yaml", "[".repeat(100_000)),
        ("yaml", "- ".repeat(100_000)),
    ] {
        let run = from(language, text);
        assert_eq!(run.code, Some(2), "{language}: {run}");
    }
}

#[test]
fn the_input_is_never_overwritten() {
    let env = TestEnvironment::new();
    env.write("policy.yaml", "acls: []\n");
    assert_snapshot!(env.run(&["policy", "fmt", "--from", "yaml", "-w", "policy.yaml"]), @"
    exit: 2
    --- stderr
    error: the argument '--from <LANGUAGE>' cannot be used with '--write'

    Usage: kubectl headscale policy fmt --from <LANGUAGE> <FILE>...

    For more information, try '--help'.
    ");
    assert_eq!(env.read("policy.yaml"), "acls: []\n");
}
