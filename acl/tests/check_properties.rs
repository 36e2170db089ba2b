//! The whole check on policies that were cut, spliced and misspelt.

use std::sync::LazyLock;

use headscale_acl::hujson::apply;
use headscale_acl::{Options, Source, Tailnet, Version, check};
use headscale_testkit::conformance::{PolicyCase, committed};
use proptest::prelude::*;

static CASES: LazyLock<Vec<PolicyCase>> =
    LazyLock::new(|| committed("random/headscale-0.29.2.jsonl.gz"));

/// What is spliced in: punctuation, names, and what people confuse with them.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "//",
    "/*",
    "*/",
    "#",
    "\n",
    "\\",
    "\u{feff}",
    "é",
    "null",
    "True",
    "1e999",
    "\"*\"",
    "\"alice\"",
    "\" alice@\"",
    "\"group:x\"",
    "\"tag:1\"",
    "\"autogroup:self\"",
    "\"10.1.2.3/8\"",
    "\"::/0\"",
    "\"tag:web:0-65536\"",
    "\"\\ud800\"",
    "\"acls\":",
    "\"SRC\":",
    "\"#x\":",
    "// policy-ignore: unused-tag -- x\n",
];

/// One edit: where, how much goes, and which piece comes.
fn edits() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((any::<usize>(), 0..12_usize, 0..PIECES.len()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_checked_and_what_is_said_fits_it(
        case in 0..1_500_usize,
        edits in edits(),
        with_tailnet: bool,
    ) {
        let case = CASES.get(case % CASES.len()).unwrap();
        let mut bytes = case.policy.clone().into_bytes();
        for (at, gone, piece) in edits {
            let at = at % (bytes.len() + 1);
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, PIECES.get(piece).unwrap().bytes());
        }
        let tailnet = Tailnet::from_value(&case.tailnet).unwrap();
        let tailnet = with_tailnet.then_some(&tailnet);
        let options = |versions| Options { versions, tailnet, ..Options::default() };
        for versions in [&Version::ALL[..], &[Version::V0_28], &[Version::V0_30]] {
            for finding in check(&bytes, &options(versions)).findings {
                let span = finding.span.unwrap_or_default();
                prop_assert!(span.start <= span.end && span.end as usize <= bytes.len());
                // Edits count bytes of UTF-8; a text that is none is repaired by nobody.
                if let (Some(fix), Ok(text)) = (&finding.fix, std::str::from_utf8(&bytes)) {
                    prop_assert!(apply(text, &fix.edits).is_ok(), "{finding:?}");
                }
            }
        }
        // All versions together refuse what one of them refuses.
        let refused = |versions| {
            let findings = check(&bytes, &options(versions)).findings;
            findings.iter().any(|finding| finding.source == Source::Headscale)
        };
        let one = Version::ALL.iter().any(|version| refused(std::slice::from_ref(version)));
        prop_assert_eq!(refused(&Version::ALL), one);
    }
}
