//! The syntax tree and the formatter against the recorded answers of the reference implementation.

use headscale_acl::LineIndex;
use headscale_acl::hujson::{Document, format, minimize, standardize};
use headscale_testkit::conformance::{HujsonCase, committed};
use headscale_testkit::tell;

#[test]
fn errors_stand_where_the_reference_stops_and_outputs_are_its_bytes() {
    let cases: Vec<HujsonCase> = committed("hujson/random.jsonl.gz");
    let mut wrong = Vec::new();
    let mut broken = 0;
    for case in &cases {
        let doc = Document::parse(case.input.as_bytes());
        if let Some(expected) = &case.error {
            broken += 1;
            let got = doc.errors().first().map(|error| {
                let at = LineIndex::new(case.input.as_bytes()).position(error.span.start);
                format!("hujson: line {}, column {}: {}", at.line, at.column, error.message())
            });
            if got.as_ref() != Some(expected) {
                wrong.push(format!("{}: expected {expected}, got {got:?}", case.id));
            }
            continue;
        }
        if let Some(error) = doc.errors().first() {
            wrong.push(format!("{}: unexpected {}", case.id, error.message()));
            continue;
        }
        for (what, expected, got) in [
            ("standardize", &case.standardize, standardize(&doc)),
            ("minimize", &case.minimize, minimize(&doc)),
            ("format", &case.format, format(&doc)),
        ] {
            if expected.as_ref() != Some(&got) {
                wrong.push(format!("{}: {what}:\n{expected:?}\n{got:?}", case.id));
            }
        }
    }
    let agree = cases.len() - wrong.len();
    tell(&format!(
        "conformance hujson/random.jsonl.gz: {agree}/{} agree, {broken} of them broken texts",
        cases.len()
    ));
    assert!(wrong.is_empty(), "{} differ, first:\n{}", wrong.len(), wrong[0]);
}
