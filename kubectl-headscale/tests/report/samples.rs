//! What people read of ordinary policies.

use std::io;

use headscale_acl::hujson::Edit;
use headscale_acl::{Finding, Options, Severity, Span, check, rules};
use kubectl_headscale::report::{Format, Report, Style, reporter};

use crate::{at, bytes, file, finding, report, written};

const POLICY: &str = r#"{
  // Everyone reaches the web.
  "groups": {"group:ops": ["alice"]},
  "acls": [
    {"action": "accept", "src": ["group:ops"], "dst": ["wéb😀:443"]},
  ],
}
"#;

/// One finding of every kind: each severity, with and without span, help and repair, of a known
/// rule and of a plugin's.
pub(crate) fn sample() -> Report {
    let user = at(POLICY, "\"alice\"").unwrap();
    let replace = Edit::replace(Span::new(user.0, user.1), "\"alice@\"");
    let findings = vec![
        finding(Severity::Warning, "acme/tests", None, "the policy has no tests"),
        Finding::new(&rules::SYNTAX, Span::new(user.0, user.1), "invalid username".to_owned())
            .help("a username holds an `@`")
            .fix("replace \"alice\" by \"alice@\"", vec![replace]),
        finding(Severity::Info, "acme/ports", at(POLICY, "443"), "port 443 is open to all"),
        finding(
            Severity::Error,
            "acme/hosts",
            at(POLICY, "\"wéb😀:443\""),
            "Host \"wéb😀\" is not defined in the Policy,\nplease define or remove the reference to it",
        ),
        finding(
            Severity::Warning,
            "acme/long",
            at(POLICY, &POLICY[2..120]),
            "a span of several lines",
        ),
    ];
    report(vec![
        file("./policies/main policy.hujson", POLICY, findings),
        file("clean.hujson", "{}\n", vec![]),
        file(
            "<stdin>",
            "{'acls': []}\n",
            vec![finding(Severity::Error, "syntax", Some((1, 2)), "invalid character '\\''")],
        ),
    ])
}

#[test]
fn a_sample_in_every_format() {
    // The rule's own texts are the business of its crate.
    let texts =
        [rules::SYNTAX.summary, rules::SYNTAX.explanation, rules::SYNTAX.bad, rules::SYNTAX.good];
    for format in Format::ALL {
        let mut out = written(format, &sample());
        if format == Format::Sarif {
            for (text, name) in texts.into_iter().zip(["SUMMARY", "EXPLANATION", "BAD", "GOOD"]) {
                let quoted = serde_json::to_string(text.trim_end()).unwrap();
                out = out.replace(quoted.trim_matches('"'), name);
            }
        }
        insta::assert_snapshot!(format!("sample_{format}"), out);
    }
    let styled = Style { color: true, width: Some(60) };
    let colored = String::from_utf8(bytes(Format::Text, styled, &sample())).unwrap();
    insta::assert_snapshot!("sample_text_color", colored.replace('\u{1b}', "ESC"));
}

#[test]
fn what_a_check_finds_is_told() {
    let text = "{'acls': [}\n";
    let found = check(text.as_bytes(), &Options::default()).findings;
    assert!(!found.is_empty());
    let report = report(vec![file("a.hujson", text, found.clone())]);
    for format in [Format::Text, Format::Concise, Format::Github, Format::Markdown] {
        let out = written(format, &report);
        for finding in &found {
            assert!(out.contains(&finding.message), "{format}: {out}");
            assert!(finding.help.as_ref().is_none_or(|help| out.contains(help)), "{format}: {out}");
        }
    }
}

#[test]
fn clean_files_in_every_format() {
    let one = report(vec![file("policy.hujson", "{}\n", vec![])]);
    let two = report(vec![file("a.hujson", "{}\n", vec![]), file("b.hujson", "{}\n", vec![])]);
    let mut all = String::new();
    for format in Format::ALL {
        for report in [&one, &two] {
            all.push_str("== ");
            all.push_str(format.name());
            all.push('\n');
            all.push_str(&written(format, report));
        }
    }
    insta::assert_snapshot!("clean", all);
}

#[test]
fn formats_have_one_name_each() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "yaml".parse::<Format>().unwrap_err();
    insta::assert_snapshot!(error, @r#"unknown format "yaml"; expected one of text, concise, json, sarif, junit, github, gitlab, markdown"#);
}

#[test]
fn long_lines_are_cut_around_the_span() {
    let text =
        format!("{{\"a\": \"{}\", 'b': 1, \"c\": \"{}\"}}", "x".repeat(600), "y".repeat(600));
    let spans = [at(&text, "'b'"), at(&text, &"y".repeat(600)), Some((0, 1)), Some((1, 1))];
    let findings = spans.map(|span| finding(Severity::Error, "r", span, "here")).to_vec();
    let report = report(vec![file("long.hujson", text, findings)]);
    let style = Style { color: false, width: Some(72) };
    insta::assert_snapshot!(String::from_utf8(bytes(Format::Text, style, &report)).unwrap());
}

#[test]
fn an_error_of_the_writer_keeps_its_kind() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for format in Format::ALL {
        let error = reporter(format, Style::default()).report(&sample(), &mut Closed).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{format}");
    }
}
