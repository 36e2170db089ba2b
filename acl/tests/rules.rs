//! Every rule by its own example: the bad one breaks the rule, the good one breaks no rule of its
//! source. What the bad examples are told is a snapshot, so that every sentence and help that users
//! read stands in one file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use headscale_acl::rules::{self, Rule};
use headscale_acl::{
    Date, Finding, LineIndex, Options, Severity, Source, Tailnet, Version, check, hujson,
};

/// alice, bob, and two users named dup, of whom one has the e-mail address dup@example.com. alice
/// and bob have a node each, web1 carries tag:web, and router1, with tag:router, leads to 10.0.0.0/8
/// and announces another route, which nobody approved.
fn tailnet() -> Tailnet {
    let value = serde_json::json!({"users": [
        {"id": "1", "name": "alice", "email": "alice@example.com"},
        {"id": "2", "name": "bob"},
        {"id": "3", "name": "dup", "email": "dup@example.com"},
        {"id": "4", "name": "dup"},
    ], "nodes": [
        {"id": "1", "name": "alice-laptop", "user": {"id": "1"}, "ipAddresses": ["100.64.0.1"]},
        {"id": "2", "name": "bob-laptop", "user": {"id": "2"}, "ipAddresses": ["100.64.0.2"]},
        {"id": "3", "name": "web1", "tags": ["tag:web"], "ipAddresses": ["100.64.0.3"]},
        {"id": "4", "name": "router1", "tags": ["tag:router"], "ipAddresses": ["100.64.0.4"],
         "availableRoutes": ["10.0.0.0/8", "192.168.1.0/24"], "approvedRoutes": ["10.0.0.0/8"]},
    ]});
    Tailnet::from_value(&value).unwrap()
}

fn findings(rule: &Rule, text: &str) -> Vec<Finding> {
    let versions: Vec<Version> = match rule.versions {
        "" => vec![Version::DEFAULT],
        versions => versions.split(',').map(|version| version.parse().unwrap()).collect(),
    };
    let tailnet = tailnet();
    let today = Some(Date { year: 2026, month: 11, day: 22 });
    check(text.as_bytes(), &Options { versions: &versions, tailnet: Some(&tailnet), today })
        .findings
}

#[test]
fn bad_examples_break_their_rule_and_good_ones_do_not() {
    for rule in rules::all().filter(|rule| !rule.bad.is_empty()) {
        let bad = findings(rule, rule.bad);
        assert!(bad.iter().any(|f| f.rule == rule.id), "{}: bad example: {bad:?}", rule.id);
        let good = findings(rule, rule.good);
        let same_source = good.iter().find(|f| f.rule == rule.id || f.severity == Severity::Error);
        assert_eq!(same_source, None, "{}: good example", rule.id);
    }
}

#[test]
fn only_what_cannot_be_written_in_an_example_has_none() {
    let without = rules::all().filter(|rule| rule.bad.is_empty()).map(|rule| rule.id);
    // A policy cannot show what is wrong with a snapshot or a configuration, or what tests beside it
    // do not prove.
    let beside = ["tailnet-", "suite-", "config-"];
    let without = without.filter(|id| !beside.iter().any(|prefix| id.starts_with(prefix)));
    let without: Vec<&str> = without.collect();
    assert_eq!(without, ["invalid-utf8", "rule-untested", "name-untested", "mutant-survives"]);
    let half = rules::all().find(|rule| rule.bad.is_empty() && !rule.good.is_empty());
    assert_eq!(half, None, "a good example without a bad one");
}

#[test]
fn ids_are_unique_kebab_case() {
    let mut ids: Vec<&str> = rules::all().map(|rule| rule.id).collect();
    ids.sort_unstable();
    assert!(ids.is_sorted_by(|a, b| a < b), "an id stands twice");
    let kebab = |id: &str| {
        id.split('-').all(|p| {
            !p.is_empty() && p.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
    };
    assert!(ids.iter().all(|id| kebab(id)));
}

#[test]
fn lints_are_never_errors() {
    for rule in rules::all() {
        match rule.source {
            Source::Headscale => assert_eq!(rule.severity, Severity::Error, "{}", rule.id),
            Source::Lint => assert_ne!(rule.severity, Severity::Error, "{}", rule.id),
            Source::Suite => {}
            Source::Plugin(_) => panic!("{} is of a plugin", rule.id),
        }
    }
}

#[test]
fn what_the_bad_examples_are_told() {
    let mut told = String::new();
    for rule in rules::all().filter(|rule| !rule.bad.is_empty()) {
        let index = LineIndex::new(rule.bad.as_bytes());
        writeln!(told, "{}", rule.bad).unwrap();
        for finding in findings(rule, rule.bad) {
            let at = finding.span.map_or("file".to_owned(), |span| {
                let start = index.position(span.start);
                let text = rule.bad.get(span.range()).unwrap();
                format!("{}:{} {text:.60}", start.line, start.column)
            });
            writeln!(told, "  {}[{}] at {at}", finding.severity, finding.rule).unwrap();
            writeln!(told, "    {}", finding.message.replace('\n', "\n    ")).unwrap();
            if let Some(help) = &finding.help {
                writeln!(told, "    help: {help}").unwrap();
            }
            if let Some(fix) = &finding.fix {
                let fixed = hujson::apply(rule.bad, &fix.edits).unwrap();
                writeln!(told, "    fix: {}: {fixed}", fix.title).unwrap();
            }
        }
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}
