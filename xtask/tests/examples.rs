//! Every policy under examples/ is what examples/README.md says of it.

#![expect(clippy::panic, reason = "a helper of a test fails by a panic, as the test does")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use headscale_acl::Version::{self, V0_28, V0_29, V0_30};
use headscale_acl::hujson::{Document, format};
use headscale_acl::{Options, Severity, Tailnet, check};

/// Each policy with the versions that take it; the others refuse it.
const EXAMPLES: [(&str, &[Version]); 6] = [
    ("keystone/original.hujson", &[]),
    ("keystone/policy-0.29.hujson", &[V0_29, V0_30]),
    ("keystone/policy.hujson", &[V0_28, V0_29, V0_30]),
    ("keystone/proposed.hujson", &[V0_28, V0_29, V0_30]),
    ("large/policy.hujson", &[V0_28, V0_29, V0_30]),
    ("small/policy.hujson", &[V0_29, V0_30]),
];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(examples().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn no_example_goes_unchecked() {
    let mut found = BTreeSet::new();
    for directory in fs::read_dir(examples()).expect("examples") {
        let directory = directory.expect("an entry").path();
        for file in fs::read_dir(&directory).into_iter().flatten() {
            let file = file.expect("an entry").path();
            if file.extension().is_some_and(|extension| extension == "hujson") {
                let name = file.strip_prefix(examples()).expect("below").display().to_string();
                found.insert(name);
            }
        }
    }
    let listed: BTreeSet<String> = EXAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn each_is_taken_by_the_versions_that_it_is_for() {
    for (name, takes) in EXAMPLES {
        for version in Version::ALL {
            let options = Options { versions: &[version], ..Options::default() };
            let findings = check(&read(name), &options).findings;
            let errors: Vec<_> =
                findings.iter().filter(|found| found.severity == Severity::Error).collect();
            assert_eq!(errors.is_empty(), takes.contains(&version), "{name} {version} {errors:#?}");
        }
    }
}

#[test]
fn each_correct_one_is_in_the_standard_format() {
    for (name, takes) in EXAMPLES {
        let text = read(name);
        if !takes.is_empty() {
            let formatted = format(&Document::parse(&text));
            assert_eq!(formatted, String::from_utf8_lossy(&text), "{name}");
        }
    }
}

#[test]
fn nothing_is_said_against_the_correct_ones() {
    for (name, takes) in EXAMPLES {
        for &version in takes {
            let options = Options { versions: &[version], ..Options::default() };
            let findings = check(&read(name), &options).findings;
            let told: Vec<_> =
                findings.iter().map(|found| (found.severity, &*found.rule)).collect();
            // What 0.28 takes has no `tests`, and every later version misses them.
            let expected: &[_] = match version {
                V0_28 => &[],
                _ if takes.contains(&V0_28) => &[(Severity::Info, "tests-missing")],
                _ => &[],
            };
            assert_eq!(told, expected, "{name} {version} {findings:#?}");
        }
    }
}

#[test]
fn tests_pass_in_the_tailnets_beside_them() {
    for (policy, tailnet, size) in [
        ("small/policy.hujson", "small/tailnet.json", (2, 5)),
        ("keystone/policy-0.29.hujson", "keystone/tailnet.json", (3, 8)),
    ] {
        let tailnet = serde_json::from_slice(&read(tailnet)).expect("JSON");
        let tailnet = Tailnet::from_value(&tailnet).expect("a tailnet");
        assert_eq!((tailnet.users.len(), tailnet.nodes.len()), size, "{policy}");
        let options = Options { tailnet: Some(&tailnet), ..Options::default() };
        let checked = check(&read(policy), &options);
        assert!(checked.findings.is_empty(), "{policy}: {:#?}", checked.findings);
        assert_eq!(checked.tests, 0, "{policy}");
    }
}
