//! Which objects and arrays are printed over several lines.

use std::borrow::Cow;

use super::gap::{Gap, Lines};
use crate::hujson::tree::{Document, ESCAPED, Node, UNQUOTED};
use crate::hujson::walk::{Event, Role, Visit, walk};
use crate::hujson::{Kind, quote};

/// An object or array stays on one line up to this many counted bytes. `: ` and `, ` count after
/// every name and value, also after the last.
const WIDTH: usize = 80;

/// How a value is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The members or elements stand on lines of their own.
    pub(super) expanded: bool,
    /// A line break stands within it before its closing bracket. An object or array that holds
    /// nothing but comments never has one, however many lines these take.
    pub(super) broken: bool,
}

/// The layout of each value of `doc`, in document order.
pub(super) fn layouts(doc: &Document<'_>) -> Vec<Layout> {
    let mut layouts = vec![Layout::default(); doc.entries.len()];
    let mut open: Vec<Measure> = Vec::new();
    for event in walk(doc) {
        match event {
            Event::Open(visit) => {
                measure_before(doc, open.last_mut(), &visit);
                open.push(Measure::new());
            }
            Event::Scalar(visit) => {
                measure_before(doc, open.last_mut(), &visit);
                let lines = Lines::single(literal(visit.node).len());
                measure_after(doc, open.last_mut(), &visit, lines, false);
            }
            Event::Close(visit) => {
                let Some(measure) = open.pop() else { continue };
                let (layout, lines) = measure.finish(&visit, Gap::closing(doc, &visit));
                if let Some(slot) = layouts.get_mut(visit.node.index as usize) {
                    *slot = layout;
                }
                measure_after(doc, open.last_mut(), &visit, lines, layout.broken);
            }
        }
    }
    layouts
}

/// A scalar as it is printed: a string with an escape is written anew.
pub(super) fn literal(node: Node<'_>) -> Cow<'_, str> {
    if node.kind() == Kind::String
        && node.entry.flags & (ESCAPED | UNQUOTED) != 0
        && let Some(value) = node.as_str()
    {
        return Cow::Owned(quote(&value));
    }
    Cow::Borrowed(node.raw())
}

fn measure_before(doc: &Document<'_>, parent: Option<&mut Measure>, visit: &Visit<'_>) {
    let Some(parent) = parent else { return };
    let gap = Gap::before(doc, visit);
    let lines = gap.lines();
    // A line break after a colon indents the value and expands nothing.
    parent.expanded |= visit.role != Role::Value && lines.broken;
    parent.broken |= lines.broken;
    if visit.first {
        parent.lead = lines.first;
    }
    parent.add(lines);
}

fn measure_after(
    doc: &Document<'_>,
    parent: Option<&mut Measure>,
    visit: &Visit<'_>,
    value: Lines,
    broken: bool,
) {
    let Some(parent) = parent else { return };
    let after = Gap::after(doc, visit).lines();
    parent.expanded |= visit.last && after.broken;
    parent.broken |= after.broken || broken;
    parent.add(value);
    parent.add(after);
    parent.line += ": ".len();
}

/// What is known of an object or array so far.
struct Measure {
    /// Bytes on its current line.
    line: usize,
    /// Bytes on its first line, once that is over.
    first: Option<usize>,
    /// Bytes on its longest line of those that are over.
    longest: usize,
    /// Bytes of the comments after its opening bracket.
    lead: usize,
    expanded: bool,
    broken: bool,
}

impl Measure {
    const fn new() -> Self {
        Self { line: "{".len(), first: None, longest: 0, lead: 0, expanded: false, broken: false }
    }

    fn add(&mut self, lines: Lines) {
        self.line += lines.first;
        if lines.broken {
            self.first.get_or_insert(self.line);
            self.longest = self.longest.max(self.line);
            self.line = lines.last;
        }
    }

    /// The layout, and the room it takes on the lines of what encloses it.
    fn finish(self, visit: &Visit<'_>, closing: Gap<'_>) -> (Layout, Lines) {
        let last = self.line + "}".len();
        let inline =
            Lines { first: self.first.unwrap_or(last), last, broken: self.first.is_some() };
        let expanded = self.expanded || closing.has_newline() || self.longest.max(last) > WIDTH;
        let layout = Layout { expanded, broken: self.broken || (expanded && !visit.is_empty()) };
        if !expanded {
            return (layout, inline);
        }
        let lead = if visit.is_empty() { closing.lines().first } else { self.lead };
        let lines = Lines { first: "{".len() + lead, last: "}".len(), broken: true };
        (layout, lines)
    }
}
