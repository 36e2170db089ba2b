//! Many findings and long lines.

use headscale_acl::Severity;
use kubectl_headscale::report::{Format, Report};

use crate::{file, finding, parsed, report, written};

/// A report of `count` findings on lines of their own, with long hostile messages.
fn many(count: u32) -> Report {
    let text = "\"é\",\n".repeat(count as usize);
    let message = "|@a`\u{202e}<b>".repeat(400);
    let findings = (0..count)
        .map(|at| {
            let severity = if at % 2 == 0 { Severity::Warning } else { Severity::Error };
            finding(severity, "many", Some((at * 6, at * 6 + 4)), &message).help("do not")
        })
        .collect();
    report(vec![file("many.hujson", text, findings)])
}

#[test]
fn twenty_thousand_findings_stay_bounded() {
    let mut report = many(20_000);
    for format in [Format::Text, Format::Concise, Format::Github] {
        let out = written(format, &report);
        assert!(out.len() < 2_000_000, "{format}: {}", out.len());
        let rest = "… and 19,900 more findings (--max-findings 0 shows all)\n";
        assert!(out.contains(rest), "{format}");
    }
    let text = written(Format::Text, &report);
    assert!(text.ends_with("10,000 errors, 10,000 warnings in 1 file\n"));
    assert_eq!(text.matches("warning[many]").count(), 0, "errors come before warnings");

    for max_findings in [0, 100, 5000] {
        report.max_findings = max_findings;
        let out = written(Format::Markdown, &report);
        assert!(out.len() < 65_536 && out.contains("\n\n… and 19,9"), "{}", out.len());
    }

    report.max_findings = 100;
    report.files[0].uncounted.warnings = 980_000;
    let text = written(Format::Text, &report);
    let rest = "… and 999,900 more findings (--max-findings 0 shows the first 20,000)\n";
    assert!(text.contains(rest));
    let json = parsed(Format::Json, &report);
    assert_eq!(json["findings"].as_array().unwrap().len(), 20_000);
    assert_eq!(json["omitted"], 980_000);
    assert_eq!(json["summary"]["warnings"], 990_000);

    report.max_findings = 0;
    let concise = written(Format::Concise, &report);
    assert_eq!(concise.lines().count(), 20_001);
    assert!(concise.ends_with("\n… and 980,000 more findings\n"));
}

#[test]
fn one_very_long_line_floods_nothing_and_costs_little() {
    let unit = "\"é😀\u{1b}\", ";
    let text = unit.repeat((8 << 20) / unit.len());
    let step = (text.len() / 10_000) as u32;
    let mut findings: Vec<_> = (0..10_000)
        .map(|at| finding(Severity::Error, "r", Some((at * step, at * step + 3)), "m"))
        .collect();
    findings.push(finding(Severity::Error, "r", Some((7, text.len() as u32)), &text));
    let report = Report { max_findings: 0, ..report(vec![file("long.hujson", text, findings)]) };
    for format in [Format::Text, Format::Concise, Format::Github, Format::Markdown] {
        let out = written(format, &report);
        let longest = out.lines().map(str::len).max().unwrap();
        assert!(longest < 15_000, "{format}: {longest}");
    }
    // A count from the start of the line for each of them would take minutes.
    for format in [Format::Sarif, Format::Gitlab, Format::Json, Format::Junit] {
        assert!(!written(format, &report).is_empty());
    }
}
