//! Texts that are made to fool people, terminals, browsers and CI runners.

use headscale_acl::hujson::Edit;
use headscale_acl::{Finding, Severity, Span};
use kubectl_headscale::report::{Format, Report, counts};

use crate::{file, finding, report, written};

/// What a policy author can put into names and messages.
const HOSTILE: &[&str] = &[
    "line one\nline two\r\nline three\rfour",
    "\n::error file=x::owned",
    "::stop-commands::token",
    "x ##[add-mask]secret ##vso[task.complete]",
    "a|b\\|c||",
    "<script>alert(1)</script><!-- x --> &amp; &lt;",
    "\u{1b}[31mred\u{1b}]8;;https://evil.example\u{7}link\u{9b}2J\u{1b}]0;never closed",
    "abc\u{202e}cba\u{2066}\u{200b}\u{feff}\u{2028}\u{e0041}",
    "nul\0bell\u{7}del\u{7f}\u{fffe}\u{ffff}",
    "@everyone @org/team #1 GH-1 https://evil.example [click](https://evil.example) ![i](x)",
    "`code` ``two`` ` *bold* _it_ ~~s~~ \\",
    "]]> --> <!DOCTYPE x> %0A %25 , : ; = {0} {{",
    "",
    " ",
    "`",
    "\t\ttabs",
];

/// Every hostile text as message, help, rule, file name, source line and repair; then texts that
/// are not UTF-8 and spans that no check gives.
pub(crate) fn hostile() -> Report {
    let mut files: Vec<_> = HOSTILE
        .iter()
        .map(|text| {
            let len = text.len() as u32;
            let mut findings = Vec::new();
            for severity in [Severity::Error, Severity::Warning, Severity::Info] {
                let bad = finding(severity, text, Some((0, len)), text).help(*text);
                findings.push(bad.clone());
                let edit = Edit::replace(Span::new(0, len), *text);
                findings.push(Finding { span: None, ..bad }.fix(*text, vec![edit]));
            }
            file(text, *text, findings)
        })
        .collect();
    let invalid = b"{\"a\": \"\xff\xfe\xc3\", \"\xf0\x9f\x98\x80\": \x80}".to_vec();
    let spans = (0..30).map(|at| finding(Severity::Error, "utf8", Some((at, at + 3)), "not UTF-8"));
    files.push(file("invalid.hujson", invalid, spans.collect()));
    let odd =
        [(0, 0), (1, 1), (3, 2), (3, 3), (4, 4), (9, 99), (u32::MAX, u32::MAX), (0, u32::MAX)];
    let odd = odd.map(|span| finding(Severity::Error, "span", Some(span), "odd span"));
    files.push(file("odd.hujson", "é\n\r\n", odd.to_vec()));
    files.push(file("empty.hujson", "", odd.to_vec()));
    Report { max_findings: 0, ..report(files) }
}

/// Whether a terminal or a reader could be fooled by `c`.
fn is_active(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{200b}'
            | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{e0041}')
}

/// The formats that are read by people, in terminals and in logs.
const FOR_PEOPLE: [Format; 5] =
    [Format::Text, Format::Concise, Format::Github, Format::Markdown, Format::Junit];

#[test]
fn nothing_active_reaches_people() {
    let hostile = hostile();
    for format in FOR_PEOPLE {
        let out = written(format, &hostile);
        let active: Vec<_> = out.lines().filter(|line| line.contains(is_active)).collect();
        assert!(active.is_empty(), "{format}: {active:#?}");
    }
}

#[test]
fn no_user_text_is_a_command_of_a_ci_runner() {
    let hostile = hostile();
    for format in FOR_PEOPLE {
        for line in written(format, &hostile).lines() {
            let ours = format == Format::Github
                && ["::error ", "::warning ", "::notice "].iter().any(|own| line.starts_with(own));
            assert!(ours || !line.trim_start().starts_with("::"), "{format}: {line}");
            assert!(!line.contains("##[") && !line.contains("##vso["), "{format}: {line}");
        }
    }
}

#[test]
fn hostile_texts_as_people_see_them() {
    let mut hostile = hostile();
    for file in &mut hostile.files {
        // With and without a span; the other severities look the same.
        file.findings.truncate(2);
    }
    for format in [Format::Text, Format::Concise, Format::Github, Format::Markdown] {
        insta::assert_snapshot!(format!("hostile_{format}"), written(format, &hostile));
    }
}

#[test]
fn github_writes_a_line_for_each_finding_and_one_for_all() {
    let hostile = hostile();
    let out = written(Format::Github, &hostile);
    assert_eq!(out.lines().count() as u64, counts(&hostile).total() + 1);
}

#[test]
fn every_markdown_row_has_four_cells_and_no_live_text() {
    let hostile = hostile();
    let out = written(Format::Markdown, &hostile);
    let rows: Vec<_> = out.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len() as u64, counts(&hostile).total() + 2);
    for row in rows {
        let bars = row.match_indices('|').filter(|(at, _)| !row[..*at].ends_with('\\')).count();
        assert_eq!(bars, 5, "{row}");
        let live = outside_code(row);
        let live = live.replace("<br>", "").replace("| --- ", "");
        assert!(!live.contains(['@', '<', '*', '[', '#']), "{row}\n{live}");
    }
}

/// `row` without its code spans: a run of backticks up to the next run of the same length.
fn outside_code(row: &str) -> String {
    let mut out = String::new();
    let mut rest = row;
    while let Some(start) = rest.find('`') {
        out.push_str(&rest[..start]);
        let run = |text: &str| text.chars().take_while(|c| *c == '`').count();
        let fence = run(&rest[start..]);
        rest = &rest[start + fence..];
        loop {
            rest = &rest[rest.find('`').expect("a code span ends")..];
            let end = run(rest);
            rest = &rest[end..];
            if end == fence {
                break;
            }
        }
    }
    out.push_str(rest);
    out
}
