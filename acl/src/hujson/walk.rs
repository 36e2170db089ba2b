//! The tree in document order with its nesting: what writing a document anew goes by.

use super::tree::{Document, Kind, Node};

/// What a value is to what encloses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The top-level value.
    TopLevel,
    /// An element of an array.
    Element,
    /// The name of an object's member.
    Name,
    /// The value of an object's member.
    Value,
}

/// A value with its place among its siblings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit<'d> {
    pub(super) node: Node<'d>,
    pub(super) role: Role,
    /// Nothing stands before it in its object or array.
    pub(super) first: bool,
    /// Nothing but a trailing comma stands after it in its object or array.
    pub(super) last: bool,
    /// A colon or comma follows it in the text.
    pub(super) punctuated: bool,
}

impl Visit<'_> {
    /// Whether an object or array has neither members nor elements.
    pub(super) const fn is_empty(&self) -> bool {
        self.node.entry.next == self.node.index + 1
    }
}

/// One step through a document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'d> {
    /// An object or array starts.
    Open(Visit<'d>),
    /// A value that is neither.
    Scalar(Visit<'d>),
    /// The object or array that was opened last ends.
    Close(Visit<'d>),
}

/// An object or array that is not closed yet.
struct Frame<'d> {
    visit: Visit<'d>,
    /// How many names, values and elements of it were visited.
    visited: u32,
}

/// The steps through `doc`. Each takes constant time.
pub(super) fn walk<'d>(doc: &'d Document<'_>) -> impl Iterator<Item = Event<'d>> {
    let mut open: Vec<Frame<'d>> = Vec::new();
    let mut index = 0;
    std::iter::from_fn(move || {
        if let Some(closed) = open.pop_if(|frame| frame.visit.node.entry.next <= index) {
            return Some(Event::Close(closed.visit));
        }
        let node = doc.node(index)?;
        index += 1;
        let visit = match open.last_mut() {
            None => {
                Visit { node, role: Role::TopLevel, first: true, last: true, punctuated: false }
            }
            Some(frame) => {
                let parent = frame.visit.node;
                let role = match (parent.kind(), frame.visited % 2) {
                    (Kind::Object, 0) => Role::Name,
                    (Kind::Object, _) => Role::Value,
                    _ => Role::Element,
                };
                let first = frame.visited == 0;
                let last = node.entry.next == parent.entry.next;
                frame.visited += 1;
                Visit { node, role, first, last, punctuated: !last || parent.has_trailing_comma() }
            }
        };
        if matches!(node.kind(), Kind::Object | Kind::Array) {
            open.push(Frame { visit, visited: 0 });
            Some(Event::Open(visit))
        } else {
            Some(Event::Scalar(visit))
        }
    })
}
