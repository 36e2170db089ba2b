//! Lints that are proved on what a policy means: in words, and against what every node is told.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "reference/case.rs"]
mod case;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use headscale_acl::engine::{Verdict, diff};
use headscale_acl::hujson::{Document, standardize};
use headscale_acl::{Options, Severity, Tailnet, Version, check, compile};
use headscale_testkit::tailnets::Random;
use serde_json::{Value, json};

use case::Case;

/// The lints that are proved.
const PROVED: &[&str] = &[
    "rule-covered",
    "ssh-without-network",
    "ssh-partly-without-network",
    "route-missing",
    "approver-never-matches",
    "via-without-router",
    "test-unsound",
];

/// What the proved lints say of a policy, each as `rule: message (help)`.
fn told(policy: &str, tailnet: Option<&Tailnet>, versions: &[Version]) -> Vec<String> {
    let options = Options { versions, tailnet, ..Options::default() };
    let findings = check(policy.as_bytes(), &options).findings;
    let error = findings.iter().find(|finding| finding.severity == Severity::Error);
    assert_eq!(error, None, "{policy}");
    let proved = findings.iter().filter(|finding| PROVED.contains(&&*finding.rule));
    let proved = proved.map(|finding| {
        let help = finding.help.as_deref().unwrap_or_default();
        format!("{}: {} ({help})", finding.rule, finding.message)
    });
    proved.collect()
}

#[test]
fn findings_are_as_expected() {
    let text = standardize(&Document::parse(include_bytes!("lints.hujson")));
    let cases: Value = serde_json::from_str(&text).unwrap();
    let tailnet = Tailnet::from_value(&cases["tailnet"]).unwrap();
    let mut wrong = String::new();
    for case in cases["cases"].as_array().unwrap() {
        let tailnet = (case["snapshot"] == true).then_some(&tailnet);
        let versions: Vec<Version> = match case["versions"].as_array() {
            Some(versions) => {
                versions.iter().map(|v| v.as_str().unwrap().parse().unwrap()).collect()
            }
            None => vec![Version::DEFAULT],
        };
        let told = told(&case["policy"].to_string(), tailnet, &versions);
        let expected: Vec<&str> =
            case["findings"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
        if told != expected {
            writeln!(wrong, "{}:\n{:#}", case["name"], json!(told)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// SSH rules beside what the case has.
fn ssh(random: &mut Random, old: bool) -> Value {
    let pick = |random: &mut Random, from: &[&str]| from[random.below(from.len())].to_owned();
    let rules = (0..random.below(5)).map(|_| {
        let sources = ["ann@", "bob@", "group:x", "group:y", "autogroup:member"];
        let (sources, destinations): (_, &[&str]) = match random.below(4) {
            0 => (&sources[..], &["autogroup:self"]),
            1 => (&["tag:a", "tag:b", "autogroup:tagged"], &["tag:a", "tag:c", "autogroup:tagged"]),
            _ => (&sources[..], &["tag:a", "tag:b", "autogroup:tagged"]),
        };
        let mut some = |from: &[&str]| -> BTreeSet<String> {
            (0..=random.below(2)).map(|_| pick(random, from)).collect()
        };
        let (src, dst) = (some(sources), some(destinations));
        let users = some(&["root", "autogroup:nonroot", "deploy", "ubuntu"]);
        let action = pick(random, &["accept", "accept", "check"]);
        let mut rule = json!({"action": action, "src": src, "dst": dst, "users": users});
        if !old && random.below(4) == 0 {
            rule["acceptEnv"] = json!(["LANG"]);
        }
        if action == "check" && random.below(2) == 0 {
            rule["checkPeriod"] = json!("2h");
        }
        rule
    });
    rules.collect()
}

/// The covered entries by section and index.
fn covered(policy: &Value, tailnet: Option<&Tailnet>, version: Version) -> Vec<(String, usize)> {
    let told = told(&policy.to_string(), tailnet, &[version]);
    let covered = told.iter().filter_map(|told| {
        let (entry, _) = told.strip_prefix("rule-covered: `")?.split_once("]` changes nothing")?;
        let (section, index) = entry.split_once('[').unwrap();
        Some((section.to_owned(), index.parse().unwrap()))
    });
    covered.collect()
}

/// The policy without these entries.
fn without(policy: &Value, entries: &[(String, usize)]) -> Value {
    let mut policy = policy.clone();
    let mut entries = entries.to_vec();
    entries.sort_unstable_by(|a, b| b.cmp(a));
    for (section, index) in entries {
        policy[section].as_array_mut().unwrap().remove(index);
    }
    policy
}

#[test]
fn without_covered_entries_nothing_changes() {
    let mut found = [0; 3];
    for seed in 0..1_500 {
        let case = Case::of(seed);
        let version: Version = case.version().parse().unwrap();
        let mut policy = case.policy();
        policy["ssh"] = ssh(&mut Random(seed | 1), case.old);
        let tailnet = Tailnet::from_value(&case.tailnet()).unwrap();
        let covered = covered(&policy, None, version);
        assert_eq!(covered, self::covered(&policy, Some(&tailnet), version), "{policy:#}");
        let each = covered.iter().map(|entry| without(&policy, std::slice::from_ref(entry)));
        for fewer in each.chain([without(&policy, &covered)]) {
            let (old, new) = (policy.to_string(), fewer.to_string());
            for tailnet in [None, Some(&tailnet)] {
                let diff = diff(old.as_bytes(), new.as_bytes(), tailnet, version);
                let diff = diff.unwrap_or_else(|refused| panic!("{seed}: {refused:?}"));
                assert_eq!(
                    diff.verdict,
                    Verdict::Same,
                    "{seed}, symbolic: {}, {covered:?}, {diff:?} {policy:#}",
                    tailnet.is_none()
                );
            }
            let peers = |policy: &str| -> Vec<Vec<String>> {
                let compiled = compile(policy.as_bytes(), &tailnet, version).unwrap();
                compiled.nodes.into_iter().map(|node| node.peers).collect()
            };
            assert_eq!(peers(&old), peers(&new), "{seed}, {covered:?}, {policy:#}");
        }
        for (section, _) in &covered {
            found[["acls", "grants", "ssh"].iter().position(|name| name == section).unwrap()] += 1;
        }
    }
    assert!(found.iter().all(|found| *found > 50), "{found:?}");
}
