//! What the JSON decoder behind HuJSON refuses in every object and string of a policy
//! (go-json-experiment/json, used by Headscale 0.27 and newer).

use foldhash::HashMap;

use super::tree::{Document, Kind, Node};
use crate::span::Span;

/// Something that HuJSON lets pass and Headscale's JSON decoder does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A second member with the same name; `first` is where the first one's name stands.
    DuplicateName {
        /// The name, decoded.
        name: String,
        /// Where the repeated name stands.
        span: Span,
        /// Where the name stands first.
        first: Span,
    },
    /// An escaped surrogate (`\ud800`) without its other half.
    LoneSurrogate(Span),
    /// Bytes in a string that are not UTF-8: the first one.
    InvalidUtf8(Span),
}

/// Objects with more members than this are searched with a hash table.
const SMALL: usize = 12;

/// Calls `report` for every violation in `doc`, in no particular order. Linear in the text.
pub fn check(doc: &Document<'_>, mut report: impl FnMut(Violation)) {
    for node in doc.nodes() {
        match node.kind() {
            Kind::Object => duplicates(node, &mut report),
            Kind::String if node.has_lone_surrogate() => {
                report(Violation::LoneSurrogate(node.span()));
            }
            _ => {}
        }
    }
    // Comments have their own error; what is left stands in strings.
    let in_string = |at: u32| {
        let after = doc.entries.partition_point(|entry| entry.start <= at);
        let last = after.checked_sub(1).and_then(|index| doc.entries.get(index));
        last.is_some_and(|entry| entry.kind == Kind::String && at < entry.end)
    };
    let mut last_end = 0;
    for at in doc.invalid_utf8.iter().copied().filter(|at| in_string(*at)) {
        // One report for a run of them.
        if at != last_end {
            report(Violation::InvalidUtf8(Span::new(at, at + 1)));
        }
        last_end = at + 1;
    }
}

fn duplicates(object: Node<'_>, report: &mut impl FnMut(Violation)) {
    let mut names = object.members().map(|member| member.name);
    let mut seen: Vec<Node<'_>> = Vec::new();
    for name in names.by_ref() {
        let Some(text) = name.as_str() else { continue };
        let same = |other: &&Node<'_>| {
            other.raw() == name.raw() || other.as_str().is_some_and(|other| other == text)
        };
        match seen.iter().find(same) {
            Some(first) => report(duplicate(text.into_owned(), name, *first)),
            None => seen.push(name),
        }
        if seen.len() > SMALL {
            break;
        }
    }
    if seen.len() <= SMALL {
        return;
    }
    let mut first: HashMap<_, Node<'_>> =
        seen.into_iter().filter_map(|name| Some((name.as_str()?, name))).collect();
    for name in names {
        let Some(text) = name.as_str() else { continue };
        match first.get(&text) {
            Some(first) => report(duplicate(text.into_owned(), name, *first)),
            None => _ = first.insert(text, name),
        }
    }
}

fn duplicate(name: String, again: Node<'_>, first: Node<'_>) -> Violation {
    Violation::DuplicateName { name, span: again.span(), first: first.span() }
}
