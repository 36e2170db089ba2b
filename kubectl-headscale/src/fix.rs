//! `--fix`: the repairs that findings bring with them.

use headscale_acl::hujson::{Document, Edit, apply};
use headscale_acl::{Checked, Finding};

/// A repair can make room for the next one, and a pair of them could go on for ever.
const ROUNDS: usize = 10;

/// A text after its repairs.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    /// The text.
    pub(crate) text: Vec<u8>,
    /// What is left to say about it.
    pub(crate) checked: Checked,
    /// How many findings were repaired.
    pub(crate) repaired: usize,
}

/// Repairs `text`, round by round, until `check` brings no more repairs.
///
/// Of repairs that overlap the first is made in a round. A round whose result has more errors than
/// before, or is less HuJSON, is not made.
pub(crate) fn fix(text: Vec<u8>, check: impl Fn(&[u8]) -> Checked) -> Fixed {
    let checked = check(&text);
    let mut fixed = Fixed { text, checked, repaired: 0 };
    for _ in 0..ROUNDS {
        let Some((text, repaired)) = round(&fixed.text, &fixed.checked.findings) else {
            break;
        };
        let checked = check(&text);
        if syntax_errors(&text) > syntax_errors(&fixed.text)
            || errors(&checked) > errors(&fixed.checked)
        {
            break;
        }
        fixed = Fixed { text, checked, repaired: fixed.repaired + repaired };
    }
    fixed
}

/// The text with the repairs of one round, and how many they are; `None` where there is none.
fn round(text: &[u8], findings: &[Finding]) -> Option<(Vec<u8>, usize)> {
    // An edit counts bytes of a text that is UTF-8.
    let text = std::str::from_utf8(text).ok()?;
    let mut taken: Vec<Edit> = Vec::new();
    let mut repaired = 0;
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()) {
        if fix.edits.is_empty() || fix.edits.iter().all(|edit| taken.contains(edit)) {
            continue;
        }
        let clash = |edit: &Edit| {
            taken
                .iter()
                .any(|other| edit.span.start <= other.span.end && other.span.start <= edit.span.end)
        };
        if fix.edits.iter().any(clash) {
            continue;
        }
        taken.extend(fix.edits.iter().cloned());
        repaired += 1;
    }
    let new = apply(text, &taken).ok()?;
    (repaired > 0 && new != text).then(|| (new.into_bytes(), repaired))
}

/// How far the text is from HuJSON; worst where reading stops before its end.
fn syntax_errors(text: &[u8]) -> (bool, u64) {
    let doc = Document::parse(text);
    (!doc.is_complete(), doc.errors().len() as u64 + doc.more_errors())
}

fn errors(checked: &Checked) -> u64 {
    let kept = checked
        .findings
        .iter()
        .filter(|finding| finding.severity == headscale_acl::Severity::Error);
    kept.count() as u64 + checked.uncounted.errors
}

#[cfg(test)]
mod tests {
    use headscale_acl::{Counts, Span, rules};

    use super::*;

    fn finding(rule: &'static rules::Rule, at: usize, length: usize, new: &str) -> Finding {
        let span = Span::new(at as u32, (at + length) as u32);
        Finding::new(rule, span, String::new()).fix("", vec![Edit::replace(span, new)])
    }

    fn checked(findings: Vec<Finding>) -> Checked {
        Checked { findings, uncounted: Counts::default(), tests: 0 }
    }

    /// Brings a repair of every `old` in the text.
    fn replacing(old: &'static str, new: &'static str) -> impl Fn(&[u8]) -> Checked {
        move |text| {
            let text = std::str::from_utf8(text).unwrap();
            let found = text.match_indices(old);
            checked(found.map(|(at, _)| finding(&rules::UNUSED_TAG, at, old.len(), new)).collect())
        }
    }

    #[test]
    fn repairs_go_on_until_there_are_no_more() {
        let fixed = fix(b"[1, 1]".to_vec(), replacing("1", "22"));
        assert_eq!((fixed.text.as_slice(), fixed.repaired), (&b"[22, 22]"[..], 2));
        // A repair of repairs.
        let fixed = fix(b"[[[0]]]".to_vec(), replacing("[0]", "0"));
        assert_eq!((fixed.text.as_slice(), fixed.repaired), (&b"0"[..], 3));
        assert_eq!(fixed.checked.findings, []);
    }

    #[test]
    fn repairs_that_never_end_are_stopped() {
        let fixed = fix(b"[1]".to_vec(), replacing("1", "11"));
        assert!(fixed.repaired >= ROUNDS, "{fixed:?}");
        let flip = |text: &[u8]| match text {
            b"[1]" => checked(vec![finding(&rules::UNUSED_TAG, 1, 1, "2")]),
            _ => checked(vec![finding(&rules::UNUSED_TAG, 1, 1, "1")]),
        };
        assert_eq!(fix(b"[1]".to_vec(), flip).repaired, ROUNDS);
    }

    #[test]
    fn of_repairs_that_overlap_the_first_is_made_in_a_round() {
        let check = |text: &[u8]| match text {
            b"[123]" => checked(vec![
                finding(&rules::UNUSED_TAG, 1, 2, "9"),
                finding(&rules::UNUSED_TAG, 2, 2, "8"),
            ]),
            _ => checked(vec![]),
        };
        let fixed = fix(b"[123]".to_vec(), check);
        assert_eq!((fixed.text.as_slice(), fixed.repaired), (&b"[93]"[..], 1));
    }

    #[test]
    fn a_round_that_makes_it_worse_is_not_made() {
        let broken = fix(b"[1]".to_vec(), replacing("]", ""));
        assert_eq!((broken.text.as_slice(), broken.repaired), (&b"[1]"[..], 0));
        let refused = |text: &[u8]| match text {
            b"[1]" => checked(vec![finding(&rules::UNUSED_TAG, 1, 1, "2")]),
            _ => checked(vec![finding(&rules::SYNTAX, 1, 1, "1")]),
        };
        let fixed = fix(b"[1]".to_vec(), refused);
        assert_eq!((fixed.text.as_slice(), fixed.repaired), (&b"[1]"[..], 0));
        // Nothing is changed in what is not UTF-8.
        let latin1 = |_: &[u8]| checked(vec![finding(&rules::UNUSED_TAG, 0, 1, "x")]);
        assert_eq!(fix(b"[\"\xe9\"]".to_vec(), latin1).repaired, 0);
    }
}
