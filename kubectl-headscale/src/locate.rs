//! Where values stand in a text of JSON or YAML.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use headscale_acl::Span;
use headscale_acl::hujson::{Document, Kind, Node};
use serde_saphyr::granit_parser::{Event, Parser};

/// What a text is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// Where `paths` stand in `text`, a snapshot that can be read. A path is an RFC 6901 pointer into
/// `{"users": […], "nodes": […]}` with members in camelCase, as
/// [`Defect::path`](headscale_acl::Defect::path) has it; the text may have any shape of a snapshot.
///
/// What stands nowhere has the place of what it would stand in, up to its user or node; `None`
/// where that is not there either.
///
/// Linear in the text.
pub(crate) fn spans<'p>(
    text: &str,
    language: Language,
    paths: impl Iterator<Item = &'p str>,
) -> Vec<Option<Span>> {
    let forms: Vec<Vec<Form>> = paths.map(forms).collect();
    locate(text, language, &forms)
}

/// The place of the first form of each path that has one. Linear in the text.
fn locate(text: &str, language: Language, forms: &[Vec<Form>]) -> Vec<Option<Span>> {
    let mut wanted = Wanted::default();
    forms.iter().flatten().for_each(|form| wanted.add(&form.path));
    match language {
        Language::Json => {
            if let Some(root) = Document::parse(text.as_bytes()).root() {
                wanted.json(root, &mut String::new());
            }
        }
        Language::Yaml => wanted.yaml(text),
    }
    forms.iter().map(|forms| forms.iter().find_map(|form| wanted.span(form))).collect()
}

/// Where `pointers`, RFC 6901, lead in `text`, which can be read. What stands nowhere has the place
/// of what it would stand in.
///
/// Linear in the text.
pub(crate) fn pointers<'p>(
    text: &str,
    language: Language,
    pointers: impl Iterator<Item = &'p str>,
) -> Vec<Option<Span>> {
    let forms: Vec<Vec<Form>> = pointers.map(|pointer| vec![form(pointer)]).collect();
    locate(text, language, &forms)
}

/// What is wanted of the place that an RFC 6901 pointer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The value there.
    Value,
    /// The name before it; the value where it has none.
    Name,
}

/// Where pointers lead in a YAML text, which can be read. What stands nowhere has the place of what
/// it would stand in.
///
/// Linear in the text.
pub(crate) fn parts<'p>(
    text: &str,
    pointers: impl Iterator<Item = (&'p str, Part)> + Clone,
) -> Vec<Option<Span>> {
    let forms: Vec<Form> = pointers.clone().map(|(pointer, _)| form(pointer)).collect();
    let mut wanted = Wanted::default();
    forms.iter().for_each(|form| wanted.add(&form.path));
    wanted.yaml(text);
    let places = forms.iter().zip(pointers).map(|(form, (_, part))| {
        let name = wanted.names.get(&form.path).filter(|_| part == Part::Name);
        name.copied().or_else(|| wanted.span(form))
    });
    places.collect()
}

/// The one form of an RFC 6901 pointer.
fn form(pointer: &str) -> Form {
    let mut path = String::new();
    for token in pointer.split('/').skip(1) {
        push_name(&mut path, &token.replace("~1", "/").replace("~0", "~"));
    }
    Form { record: 0, path }
}

/// What a path may be in a document.
struct Form {
    path: String,
    /// Length of the path of the user or node.
    record: usize,
}

/// The forms of a path: within an answer about one user or node, within lists, and within a bare
/// list. A document has one of these shapes.
fn forms(path: &str) -> Vec<Form> {
    let mut tokens = path.splitn(4, '/').skip(1);
    let (Some(list), Some(index)) = (tokens.next(), tokens.next()) else { return Vec::new() };
    let rest = tokens.next().map(|rest| format!("/{rest}")).unwrap_or_default();
    let one = (index == "0").then(|| format!("/{}", list.trim_end_matches('s')));
    let records = one.into_iter().chain([format!("/{list}/{index}"), format!("/{index}")]);
    records.map(|record| Form { record: record.len(), path: record + &rest }).collect()
}

/// Paths with their places, as far as these are known.
#[derive(Default)]
struct Wanted {
    values: HashMap<String, Option<Span>>,
    /// The places of their names, in YAML.
    names: HashMap<String, Span>,
}

impl Wanted {
    /// Wants `path`, and all that it stands in.
    fn add(&mut self, path: &str) {
        let mut path = path;
        while !self.values.contains_key(path) {
            self.values.insert(path.to_owned(), None);
            path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }

    /// The place of a path, or of the nearest one that it stands in.
    fn span(&self, form: &Form) -> Option<Span> {
        let mut path = form.path.as_str();
        loop {
            if let Some(Some(span)) = self.values.get(path) {
                return Some(*span);
            }
            path = path.rsplit_once('/').map(|(parent, _)| parent)?;
            if path.len() < form.record {
                return None;
            }
        }
    }

    /// Takes the places from `node`, which stands at `path`.
    fn json(&mut self, node: Node<'_>, path: &mut String) {
        let Some(span) = self.values.get_mut(path) else { return };
        *span = Some(node.span());
        let length = path.len();
        match node.kind() {
            Kind::Object => {
                for member in node.members() {
                    push_name(path, &member.name.as_str().unwrap_or_default());
                    self.json(member.value, path);
                    path.truncate(length);
                }
            }
            Kind::Array => {
                for (index, element) in node.elements().enumerate() {
                    push_index(path, index);
                    self.json(element, path);
                    path.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// Takes the places from the first document of a YAML text.
    fn yaml(&mut self, text: &str) {
        let mut path = String::new();
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str(text) {
            // What the parser refuses was refused before.
            let Ok((event, span)) = event else { return };
            let scalar = match &event {
                Event::Scalar(text, ..) => Some(&**text),
                Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => None,
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::DocumentEnd => return,
                _ => continue,
            };
            let is_value = match open.last_mut() {
                None => true,
                Some(open) => open.begin(&mut path, scalar),
            };
            if let Some(place) = self.values.get_mut(&path) {
                let line = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
                let found = span.byte_range().and_then(|range| first_line(text, range, line));
                if is_value {
                    *place = found;
                } else if let Some(found) = found {
                    self.names.insert(path.clone(), found);
                }
            }
            match event {
                Event::SequenceStart(..) => open.push(Open::Sequence { path: path.len(), next: 0 }),
                Event::MappingStart(..) => {
                    open.push(Open::Mapping { path: path.len(), value: None });
                }
                _ => {}
            }
        }
    }
}

/// A YAML collection that is not at its end, with the length of its path.
enum Open {
    Sequence {
        path: usize,
        /// Index of the next element.
        next: usize,
    },
    Mapping {
        path: usize,
        /// Length of the path of the value that comes next; `None` where a key comes.
        value: Option<usize>,
    },
}

impl Open {
    /// Sets `path` to that of the node that begins, `scalar` being its text if it is one. Returns
    /// whether it is a value, not a key.
    fn begin(&mut self, path: &mut String, scalar: Option<&str>) -> bool {
        match self {
            Self::Sequence { path: length, next } => {
                path.truncate(*length);
                push_index(path, *next);
                *next += 1;
                true
            }
            Self::Mapping { path: length, value } => match value.take() {
                Some(length) => {
                    path.truncate(length);
                    true
                }
                None => {
                    path.truncate(*length);
                    // No path has an empty name, so none is found in what has a key of many parts.
                    push_name(path, scalar.unwrap_or_default());
                    *value = Some(path.len());
                    false
                }
            },
        }
    }
}

/// What of `range` stands on its first line, or the `whole` rest of that line.
fn first_line(text: &str, range: Range<usize>, whole: bool) -> Option<Span> {
    let line = text.get(range.start..)?.lines().next().unwrap_or_default().trim_end();
    let length = if whole { line.len() } else { line.len().min(range.len()) };
    let start = u32::try_from(range.start).ok()?;
    Some(Span::new(start, start.checked_add(u32::try_from(length).ok()?)?))
}

fn push_index(path: &mut String, index: usize) {
    // Writing to a String cannot fail.
    _ = write!(path, "/{index}");
}

/// Adds a member's name in camelCase, escaped as RFC 6901 has it.
fn push_name(path: &mut String, name: &str) {
    path.push('/');
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            c if std::mem::take(&mut upper) => path.push(c.to_ascii_uppercase()),
            c => path.push(c),
        }
    }
}
