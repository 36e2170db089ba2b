//! Which version comes next.

use headscale_operator::headscale::upgrade::{Course, Question, ahead, course, minor};

fn question<'a>(running: Option<&'a str>, wanted: &'a str) -> Question<'a> {
    Question {
        wanted,
        running,
        is_healthy: true,
        is_off: false,
        is_pinned: false,
        is_postgres: false,
        consent: None,
    }
}

/// `run`, `step` or the reason for which it stays, with the version that is run.
fn came(course: &Course) -> String {
    match course {
        Course::Run(version) => format!("run {version}"),
        Course::Step(version) => format!("step {version}"),
        Course::Stay { version, why } => {
            format!("{} {}", why.reason(), version.as_deref().unwrap_or("-"))
        }
    }
}

#[test]
fn each_pair_of_versions_has_its_course() {
    let cases = [
        // What runs, what is wanted, what comes of it.
        (None, "0.28.0", "run 0.28.0"),
        (None, "v0.30.0-beta.1", "run v0.30.0-beta.1"),
        (None, "0.29", "run 0.29"),
        (None, "0.27.1", "VersionUnsupported -"),
        (None, "0.31.0", "VersionUnsupported -"),
        (None, "1.0.0", "VersionUnsupported -"),
        (None, "*", "VersionUnsupported -"),
        (None, "0.29.*", "VersionUnsupported -"),
        (None, "29", "VersionUnsupported -"),
        (None, "", "VersionUnsupported -"),
        (None, "0.29.2.1", "VersionUnsupported -"),
        (Some("0.28.0"), "*", "VersionUnsupported 0.28.0"),
        (Some("0.28.0"), "0.28.0", "run 0.28.0"),
        (Some("0.28.0"), "0.28.3", "run 0.28.3"),
        (Some("0.29.2"), "0.29.0", "run 0.29.0"),
        (Some("0.28.0"), "0.29.1", "step 0.29.1"),
        (Some("0.28.0"), "0.30.0", "step 0.29.2"),
        (Some("v0.28.0"), "v0.30.0", "step v0.29.2"),
        (Some("0.29.2"), "0.30.0", "step 0.30.0"),
        (Some("0.27.1"), "0.28.0", "step 0.28.0"),
        (Some("0.27.1"), "0.30.0", "step 0.28.0"),
        (Some("0.26.0"), "0.28.0", "UpgradeRefused -"),
        (Some("latest"), "0.28.0", "UpgradeRefused -"),
        (Some("0.30.0"), "0.29.2", "DowngradeRefused 0.30.0"),
        (Some("0.29.2"), "0.28.0", "DowngradeRefused 0.29.2"),
        (Some("0.31.0"), "0.30.0", "DowngradeRefused -"),
        (Some("0.30.0"), "0.31.0", "VersionUnsupported 0.30.0"),
    ];
    for (running, wanted, expected) in cases {
        let is = course(&question(running, wanted));
        assert_eq!(came(&is), expected, "{running:?} -> {wanted}");
        if let Course::Stay { why, .. } = is {
            assert!(why.to_string().contains("spec.") || running == Some("latest"), "{why}");
        }
    }
}

#[test]
fn a_step_needs_health_a_server_a_tag_and_a_backup() {
    let base = question(Some("0.28.0"), "0.30.0");
    let consent = |consent| Question { is_postgres: true, consent, ..base };
    let cases = [
        (Question { is_healthy: false, ..base }, "UpgradeWaiting 0.28.0"),
        (Question { is_off: true, ..base }, "ScaledToZero 0.28.0"),
        (Question { is_off: true, is_healthy: false, ..base }, "ScaledToZero 0.28.0"),
        (Question { is_pinned: true, ..base }, "UpgradeRefused 0.28.0"),
        (consent(None), "BackupNotConfirmed 0.28.0"),
        (consent(Some("0.28")), "BackupNotConfirmed 0.28.0"),
        (consent(Some("0.29")), "step 0.29.2"),
        (consent(Some("v0.30")), "step 0.29.2"),
        (consent(Some("0.31")), "BackupNotConfirmed 0.28.0"),
        (Question { is_postgres: true, is_healthy: false, ..base }, "BackupNotConfirmed 0.28.0"),
    ];
    for (question, expected) in cases {
        assert_eq!(came(&course(&question)), expected, "{question:?}");
    }
    // One minor version can be stepped to with an image that has a digest.
    let next = Question { is_pinned: true, ..question(Some("0.28.0"), "0.29.2") };
    assert_eq!(came(&course(&next)), "step 0.29.2");
    // A patch version needs none of it.
    let patch = Question {
        is_healthy: false,
        is_off: true,
        is_postgres: true,
        is_pinned: true,
        ..question(Some("0.29.0"), "0.29.2")
    };
    assert_eq!(came(&course(&patch)), "run 0.29.2");
}

pub(crate) const VERSIONS: [&str; 14] = [
    "0.26.3",
    "0.27.1",
    "0.28.0",
    "v0.28.0",
    "0.28",
    "0.29.0",
    "0.29.2",
    "0.30.0",
    "v0.30.0-beta.1",
    "0.31.0",
    "1.0.0",
    "*",
    "latest",
    "",
];

/// A minor version as a number.
pub(crate) fn number(version: &str) -> Option<u64> {
    let minor = minor(version)?;
    minor.strip_prefix("0.")?.parse().ok()
}

#[test]
fn whatever_there_is_no_course_goes_back_or_skips_a_minor_version() {
    let mut steps = 0;
    for wanted in VERSIONS {
        for running in VERSIONS.map(Some).into_iter().chain([None]) {
            for bits in 0..16_u8 {
                for consent in [None, Some("0.29"), Some("0.30"), Some("nonsense")] {
                    let is = |bit: u8| bits & (1 << bit) != 0;
                    let asked = Question {
                        wanted,
                        running,
                        is_healthy: is(0),
                        is_off: is(1),
                        is_pinned: is(2),
                        is_postgres: is(3),
                        consent,
                    };
                    let (next, is_step) = match course(&asked) {
                        Course::Run(version) => (Some(version), false),
                        Course::Step(version) => (Some(version), true),
                        Course::Stay { version, .. } => (version, false),
                    };
                    let Some(next) = next else { continue };
                    let to = number(&next).unwrap_or_else(|| panic!("{next} is a version"));
                    assert!((28..=30).contains(&to), "{asked:?}: {next} is known");
                    let Some(from) = running.and_then(number) else { continue };
                    assert!(to == from || is_step && to == from + 1, "{asked:?}: {next}");
                    if is_step {
                        steps += 1;
                        assert!(asked.is_healthy && !asked.is_off, "{asked:?}");
                        assert!(!asked.is_postgres || consent.is_some(), "{asked:?}");
                        assert!(number(wanted).unwrap() >= to, "{asked:?}: {next}");
                    }
                }
            }
        }
    }
    assert!(steps > 100, "{steps}");
}

#[test]
fn what_is_ahead_ends_with_what_is_wanted() {
    assert_eq!(ahead("0.28.0", "0.30.0"), ["0.29.2", "0.30.0"]);
    assert_eq!(ahead("0.27.0", "v0.30.0"), ["0.28.0", "0.29.2", "v0.30.0"]);
    assert_eq!(ahead("0.29.2", "0.30.0"), ["0.30.0"]);
    assert_eq!(ahead("0.29.2", "0.29.0"), Vec::<String>::new());
    assert_eq!(ahead("0.30.0", "0.29.0"), Vec::<String>::new());
    assert_eq!(ahead("latest", "0.29.0"), Vec::<String>::new());
}
