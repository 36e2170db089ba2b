//! What a check as a whole does: versions together, silencing comments, bounds.

use headscale_acl::{Checked, Date, Findings, Options, Severity, Version, check};
use headscale_testkit::policies;

fn checked(text: &str, versions: &[Version]) -> Checked {
    let today = Some(Date { year: 2026, month: 11, day: 22 });
    check(text.as_bytes(), &Options { versions, today, ..Options::default() })
}

/// Rule ids with the line they stand on.
fn rules(text: &str) -> Vec<String> {
    let lines =
        |offset: u32| text.bytes().take(offset as usize).filter(|b| *b == b'\n').count() + 1;
    let findings = checked(text, &[Version::DEFAULT]).findings;
    findings
        .iter()
        .map(|f| match f.span {
            Some(span) => format!("{}:{}", lines(span.start), f.rule),
            None => format!("file:{}", f.rule),
        })
        .collect()
}

#[test]
fn what_not_all_versions_say_names_those_that_do() {
    let text = r#"{"acls": [{"src": ["group:x"], "dst": ["*:*"]}], "tests": []}"#;
    let told: Vec<(String, String)> = checked(text, &Version::ALL)
        .findings
        .into_iter()
        .map(|f| (f.message, f.help.unwrap_or_default()))
        .collect();
    let define = r#"define it: "groups": {"group:x": ["alice@"]}"#;
    assert_eq!(
        told,
        [
            (
                "compiling filter rules: invalid action".to_owned(),
                r#"for Headscale 0.28: add "action": "accept""#.to_owned()
            ),
            // Said by all, in the words of the newest.
            (r#"group not defined in policy: "group:x""#.to_owned(), define.to_owned()),
            (
                r#"unknown field "tests""#.to_owned(),
                "for Headscale 0.28: `tests` needs Headscale 0.29".to_owned()
            ),
        ]
    );
}

#[test]
fn lints_run_only_where_there_are_no_errors() {
    assert_eq!(rules(r#"{"groups": {"group:a": []}, "acls": []}"#), ["1:unused-group"]);
    assert_eq!(rules(r#"{"groups": {"group:a": []}, "acls": 1}"#), ["1:wrong-type"]);
}

#[test]
fn comments_silence_lints_on_their_line_and_the_next_code_line() {
    let policy = |above: &str, beside: &str| {
        format!(
            "{{\n\t\"groups\": {{\n\t\t{above}\n\t\t\"group:a\": [], {beside}\n\t\t\"group:b\": [],\n\t}},\n\t\"acls\": [],\n}}\n"
        )
    };
    let both = ["4:unused-group", "5:unused-group"];
    assert_eq!(rules(&policy("", "")), both);
    let ignore = "// policy-ignore: unused-group -- seen to [until=2026-11-22]";
    assert_eq!(rules(&policy(ignore, "")), ["5:unused-group"]);
    // The line of the comment and the line after it.
    assert_eq!(rules(&policy("", ignore)), <[&str; 0]>::default());
    let block = "/* policy-ignore: unused-group -- seen to */";
    assert_eq!(rules(&policy(block, "")), ["5:unused-group"]);
    let other = "// policy-ignore: unused-tag -- seen to";
    let (stacked, mixed) = (format!("{ignore}\n\t\t{other}"), format!("{other}\n\t\t{ignore}"));
    for comments in [stacked, mixed] {
        let told = rules(&policy(&comments, ""));
        assert!(told.iter().any(|f| f.ends_with("ignore-unused")), "{told:?}");
        assert_eq!(told.iter().filter(|f| f.ends_with("unused-group")).count(), 1, "{told:?}");
    }
    let ended = "// policy-ignore: unused-group -- seen to [until=2026-11-21]";
    assert_eq!(rules(&policy(ended, "")), ["3:ignore-expired", "4:unused-group", "5:unused-group"]);
    for malformed in [
        "// policy-ignore: unused-group",
        "// policy-ignore: unused-group --",
        "// policy-ignore: no-such-rule -- why",
        "// policy-ignore: syntax -- why",
        "// policy-ignore: unused-group -- why [until=2026-02-30]",
    ] {
        let told = rules(&policy(malformed, ""));
        assert_eq!(told, ["3:ignore-malformed", both[0], both[1]], "{malformed}");
    }
    // A string is no comment.
    let text = "{\"hosts\": {\"policy-ignore: unused-host -- x\": \"10.0.0.1\"}}"
        .replace(": unused", " unused");
    assert_eq!(rules(&text), ["file:implicit-allow-all", "1:unused-host"]);
}

#[test]
fn findings_about_the_whole_file_are_silenced_at_its_top() {
    let rule = r#"{"acls": [{"action": "accept", "src": ["alice@"], "dst": ["10.0.0.1:22"]}]}"#;
    assert_eq!(rules(rule), ["file:tests-missing"]);
    let text = format!("// policy-ignore: tests-missing -- tested elsewhere\n\n{rule}");
    assert_eq!(rules(&text), <[&str; 0]>::default());
}

#[test]
fn an_empty_file_is_valid_and_allows_everything() {
    assert_eq!(rules(""), ["file:implicit-allow-all"]);
    assert_eq!(rules(" "), ["1:syntax"]);
    assert_eq!(rules("null"), ["file:implicit-allow-all"]);
}

#[test]
fn hostile_texts_have_bounded_findings() {
    for (name, text) in policies::hostile(200_000) {
        let Checked { findings, uncounted, .. } = check(&text, &Options::default());
        assert!(findings.len() <= Findings::KEPT, "{name}: {}", findings.len());
        let told: usize = findings.iter().map(|f| f.message.len()).sum();
        // One huge name is told whole, once.
        assert!(told <= 300 * findings.len() + 2 * text.len(), "{name}: {told} bytes");
        assert!(uncounted.total() < text.len() as u64, "{name}");
    }
}

#[test]
fn errors_are_counted_whether_kept_or_not() {
    let items = "1,".repeat(20_000);
    let text = format!("{{\"acls\": [{{\"src\": [{items}]}}]}}");
    let Checked { findings, uncounted, .. } = checked(&text, &[Version::DEFAULT]);
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count() as u64;
    assert_eq!(errors + uncounted.errors, 20_000);
}
