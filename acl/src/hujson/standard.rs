//! HuJSON to plain JSON: in place, or as small as it gets.

use super::tree::{Document, Kind};
use super::walk::{Event, Role, Visit, walk};

/// `doc` as JSON of the same length: every byte of a comment and every trailing comma becomes a
/// space, so that offsets, lines and columns stay what they are.
///
/// The document must be complete and without errors; another one gives text of no meaning.
#[must_use]
pub fn standardize(doc: &Document<'_>) -> String {
    if doc.is_standard() {
        return doc.text().to_owned();
    }
    let mut out = doc.text().as_bytes().to_vec();
    let mut blank = |start: u32, end: u32| {
        for byte in out.get_mut(start as usize..end as usize).unwrap_or_default() {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    };
    for node in doc.nodes() {
        let (before, after) = (node.gap_before(), node.gap_after());
        blank(before.start, before.end);
        blank(after.start, after.end);
        if let Some(gap) = node.closing_gap() {
            // The byte before the gap is the trailing comma itself.
            blank(gap.start - u32::from(node.has_trailing_comma()), gap.end);
        }
    }
    // Only whole comments and ASCII commas were replaced, so this is UTF-8 still.
    String::from_utf8(out).unwrap_or_default()
}

/// `doc` without white space, comments and trailing commas; literals as written.
///
/// The document must be complete and without errors; another one gives text of no meaning.
#[must_use]
pub fn minimize(doc: &Document<'_>) -> String {
    let mut out = String::with_capacity(doc.text().len());
    let separate = |out: &mut String, visit: &Visit<'_>| match visit.role {
        Role::Value => out.push(':'),
        _ if !visit.first => out.push(','),
        _ => {}
    };
    for event in walk(doc) {
        match event {
            Event::Open(visit) => {
                separate(&mut out, &visit);
                out.push(match visit.node.kind() {
                    Kind::Object => '{',
                    _ => '[',
                });
            }
            Event::Scalar(visit) => {
                separate(&mut out, &visit);
                out.push_str(visit.node.raw());
            }
            Event::Close(visit) => out.push(match visit.node.kind() {
                Kind::Object => '}',
                _ => ']',
            }),
        }
    }
    out
}
