//! YAML documents as trees, with the place of every scalar.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError};

use crate::place::PlacedError;

/// Objects of Kubernetes are not nested as deeply.
const MAX_DEPTH: usize = 500;

/// A value of a YAML document.
#[derive(Debug)]
pub(super) enum Node {
    /// A scalar.
    Scalar(Rc<Scalar>),
    /// A mapping, in order.
    Mapping(Vec<(Self, Self)>),
    /// A sequence.
    Sequence(Vec<Self>),
    /// An alias of a mapping or a sequence, and its line and column from 1. Nothing here looks into
    /// it: aliases of aliases could be without end.
    Alias(u64, u64),
}

/// A scalar of a YAML document.
#[derive(Debug)]
pub(super) struct Scalar {
    /// What it means.
    pub(super) text: String,
    /// How it is written.
    pub(super) style: ScalarStyle,
    /// Where its content stands, in bytes; of a block without the line with the indicator.
    pub(super) range: Range<usize>,
}

impl Node {
    /// The value of a key; the first where a key stands twice.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The keys and values of a mapping; none of anything else.
    pub(super) fn entries(&self) -> &[(Self, Self)] {
        match self {
            Self::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a sequence; none of anything else.
    pub(super) fn elements(&self) -> &[Self] {
        match self {
            Self::Sequence(elements) => elements,
            _ => &[],
        }
    }

    /// Why what an alias stands for is not known, if this is one.
    pub(super) fn unfollowed(&self) -> Option<PlacedError> {
        let Self::Alias(line, column) = self else { return None };
        let message = "what this alias stands for is not looked into: write it out here, or anchor \
                       the text of the policy alone";
        Some(PlacedError::at(*line, *column, message))
    }

    /// The scalar, if it is one and not null.
    pub(super) fn scalar(&self) -> Option<&Rc<Scalar>> {
        match self {
            Self::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }
}

impl Scalar {
    fn is_null(&self) -> bool {
        self.style == ScalarStyle::Plain
            && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

/// The documents of a YAML text.
///
/// # Errors
///
/// Where the text is not YAML, or nested more deeply than any object of Kubernetes.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, PlacedError> {
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, Rc<Scalar>> = HashMap::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        let node = match event {
            Event::Scalar(value, style, anchor, _) => {
                let range = span.byte_range().unwrap_or_default();
                let scalar = Rc::new(Scalar { text: value.into_owned(), style, range });
                if anchor > 0 {
                    anchors.insert(anchor, Rc::clone(&scalar));
                }
                Node::Scalar(scalar)
            }
            Event::Alias(anchor) => match anchors.get(&anchor) {
                Some(scalar) => Node::Scalar(Rc::clone(scalar)),
                None => {
                    let at = span.start;
                    Node::Alias(at.line() as u64, at.col() as u64 + 1)
                }
            },
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() >= MAX_DEPTH {
                    return Err(PlacedError::whole(format!(
                        "it is nested more deeply than {MAX_DEPTH} levels"
                    )));
                }
                open.push(match event {
                    Event::SequenceStart(..) => Open::Sequence(Vec::new()),
                    _ => Open::Mapping(Vec::new(), None),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence(elements)) => Node::Sequence(elements),
                Some(Open::Mapping(entries, _)) => Node::Mapping(entries),
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            Some(open) => open.push(node),
            None => documents.push(node),
        }
    }
    Ok(documents)
}

/// A collection that is not at its end.
enum Open {
    Sequence(Vec<Node>),
    /// With the key whose value comes next.
    Mapping(Vec<(Node, Node)>, Option<Node>),
}

impl Open {
    fn push(&mut self, node: Node) {
        match self {
            Self::Sequence(elements) => elements.push(node),
            Self::Mapping(entries, key) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
        }
    }
}

fn not_yaml(error: &ScanError) -> PlacedError {
    let at = error.marker();
    let message = error.kind().to_string();
    PlacedError::at(at.line() as u64, at.col() as u64 + 1, format!("it is not YAML: {message}"))
}
