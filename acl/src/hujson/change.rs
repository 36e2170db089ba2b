//! Changes of a document by JSON pointers, as edits of its text that keep comments and layout.

use thiserror::Error;

use super::edit::{Edit, EditError, apply};
use super::format::format;
use super::pointer::{Pointers, element_index, unescape};
use super::string::quote;
use super::tree::{Document, Kind, Node};
use crate::span::Span;

/// A change of a document, as RFC 6902 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'c> {
    /// Adds a member, or an element before the one with this index (`-` is the end). A member that
    /// is there is replaced.
    Add {
        /// Where it will stand.
        pointer: &'c str,
        /// The value: plain JSON.
        json: &'c str,
    },
    /// Replaces a value.
    Replace {
        /// Where it stands.
        pointer: &'c str,
        /// The new value: plain JSON.
        json: &'c str,
    },
    /// Removes a member or an element.
    Remove {
        /// Where it stands.
        pointer: &'c str,
    },
}

/// Why a document could not be changed. Nothing was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// There is nothing there, or nothing can be added there.
    #[error("there is no place {0:?}")]
    NoPlace(String),
    /// The value is not plain JSON.
    #[error("the value for {0:?} is not JSON")]
    NotJson(String),
    /// The edits do not fit the text.
    #[error(transparent)]
    Edit(#[from] EditError),
}

/// The edits of the text of `doc` that make `changes`, one after the other: the pointers of each
/// are those of the document that the ones before it leave.
///
/// New values are written in the standard format, on lines of their own where their neighbours are.
/// All comments stay, and so does whether there is a comma after a last element.
///
/// Costs the text for each change.
///
/// # Errors
///
/// When a change has no place in the document, or brings what is no JSON.
///
/// # Examples
///
/// ```
/// use headscale_acl::hujson::{Change, Document, apply, change};
///
/// let doc = Document::parse(b"{\n\t\"hosts\": {\n\t\t\"a\": \"10.0.0.1\", // first\n\t},\n}\n");
/// let add = Change::Add { pointer: "/hosts/b", json: r#""10.0.0.2""# };
/// let edits = change(&doc, &[add]).unwrap();
/// assert_eq!(
///     apply(doc.text(), &edits).unwrap(),
///     "{\n\t\"hosts\": {\n\t\t\"a\": \"10.0.0.1\", // first\n\t\t\"b\": \"10.0.0.2\",\n\t},\n}\n",
/// );
/// ```
pub fn change(doc: &Document<'_>, changes: &[Change<'_>]) -> Result<Vec<Edit>, ChangeError> {
    let [first, rest @ ..] = changes else { return Ok(Vec::new()) };
    let edits = one(doc, first)?;
    if rest.is_empty() {
        return Ok(edits);
    }
    let mut text = apply(doc.text(), &edits)?;
    for next in rest {
        text = apply(&text, &one(&Document::parse(text.as_bytes()), next)?)?;
    }
    Ok(difference(doc.text(), &text).into_iter().collect())
}

/// The one edit that makes `new` of `old`, as short as it gets.
fn difference(old: &str, new: &str) -> Option<Edit> {
    if old == new {
        return None;
    }
    let same = |a: &mut dyn Iterator<Item = (char, char)>| -> usize {
        a.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let start = same(&mut old.chars().zip(new.chars()));
    let (left, fresh) = (old.get(start..)?, new.get(start..)?);
    let end = same(&mut left.chars().rev().zip(fresh.chars().rev()));
    let span = Span::new(start as u32, (old.len() - end) as u32);
    Some(Edit::replace(span, fresh.get(..fresh.len() - end)?))
}

fn one(doc: &Document<'_>, change: &Change<'_>) -> Result<Vec<Edit>, ChangeError> {
    let (Change::Add { pointer, .. }
    | Change::Replace { pointer, .. }
    | Change::Remove { pointer }) = *change;
    let nowhere = || ChangeError::NoPlace(pointer.to_owned());
    let mut pointers = Pointers::new(doc);
    let there = pointers.find(pointer);
    let json = match change {
        Change::Add { json, .. } | Change::Replace { json, .. } => {
            let value = Document::parse(json.as_bytes());
            if !value.is_complete() || !value.errors().is_empty() || !value.is_standard() {
                return Err(ChangeError::NotJson(pointer.to_owned()));
            }
            format(&value).trim_end().to_owned()
        }
        Change::Remove { .. } => String::new(),
    };
    let text = Text(doc.text());
    let parent = pointer.rsplit_once('/').and_then(|(parent, token)| {
        let node = pointers.find(parent)?;
        Some((node, token))
    });
    let replaced = |node: Node<'_>| {
        vec![Edit::replace(node.span(), text.indented(&json, text.indent(node.span().start)))]
    };
    match (change, there, parent) {
        (Change::Remove { .. }, Some(node), Some((parent, _))) => Ok(text.remove(parent, node)),
        (Change::Replace { .. }, Some(node), _) | (Change::Add { .. }, Some(node), None) => {
            Ok(replaced(node))
        }
        (Change::Add { .. }, there, Some((parent, token))) => match (parent.kind(), there) {
            (Kind::Object, Some(node)) => Ok(replaced(node)),
            (Kind::Object, None) => {
                let name = unescape(token).ok_or_else(nowhere)?;
                Ok(text.insert(parent, None, &format!("{}: ", quote(&name)), &json))
            }
            (Kind::Array, Some(node)) => Ok(text.insert(parent, Some(node), "", &json)),
            (Kind::Array, None) => {
                let index = element_index(token);
                if token != "-" && index != Some(parent.elements().count()) {
                    return Err(nowhere());
                }
                Ok(text.insert(parent, None, "", &json))
            }
            _ => Err(nowhere()),
        },
        _ => Err(nowhere()),
    }
}

/// The text of a document, whose layout new values follow.
struct Text<'t>(&'t str);

impl<'t> Text<'t> {
    fn get(&self, start: u32, end: u32) -> &'t str {
        self.0.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The white space at the start of the line of `offset`.
    fn indent(&self, offset: u32) -> &'t str {
        let before = self.get(0, offset);
        let line = before.rsplit_once('\n').map_or(before, |(_, line)| line);
        let end = line.find(|c| c != ' ' && c != '\t').unwrap_or(line.len());
        line.get(..end).unwrap_or_default()
    }

    fn indented(&self, value: &str, indent: &str) -> String {
        value.replace('\n', &format!("\n{indent}"))
    }

    /// Where the line ends on which `gap`, white space and comments, starts: before its first line
    /// feed that is in no block comment.
    fn line_end(&self, gap: Span) -> Option<u32> {
        let text = self.get(gap.start, gap.end);
        let mut at = 0;
        loop {
            let rest = text.get(at..)?;
            let found = rest.find(['\n', '/'])?;
            at += found;
            let rest = text.get(at..)?;
            if rest.starts_with('\n') {
                return Some(gap.start + at as u32);
            }
            at += if rest.starts_with("/*") { rest.find("*/")? + 2 } else { rest.find('\n')? };
        }
    }

    /// Inserts a child with its name before another one, or at the end.
    fn insert(
        &self,
        parent: Node<'_>,
        before: Option<Node<'_>>,
        name: &str,
        value: &str,
    ) -> Vec<Edit> {
        let children: Vec<Node<'_>> = match parent.kind() {
            Kind::Object => parent.members().flat_map(|m| [m.name, m.value]).collect(),
            _ => parent.elements().collect(),
        };
        let closing = parent.closing_gap().unwrap_or_default();
        let (Some(first), Some(last)) = (children.first(), children.last()) else {
            return self.insert_only(parent, closing, name, value);
        };
        let start = first.gap_before();
        let on_lines = self.get(start.start, start.end).contains('\n');
        let indent = self.indent(first.span().start);
        let item = if on_lines {
            format!("\n{indent}{name}{}", self.indented(value, indent))
        } else {
            format!("{name}{}", self.indented(value, self.indent(parent.span().start)))
        };
        let end_of_line = |gap: Span| self.line_end(gap).unwrap_or(gap.start);
        if let Some(before) = before {
            let gap = before.gap_before();
            return vec![if on_lines {
                Edit::insert(end_of_line(gap), format!("{item},"))
            } else if gap.start == gap.end {
                Edit::insert(gap.start, format!("{item}, "))
            } else {
                Edit::insert(gap.start, format!(" {item},"))
            }];
        }
        match (on_lines, parent.has_trailing_comma()) {
            (true, true) => vec![Edit::insert(end_of_line(closing), format!("{item},"))],
            (false, true) => vec![Edit::insert(closing.start, format!(" {item},"))],
            (true, false) => {
                vec![Edit::insert(last.span().end, ","), Edit::insert(end_of_line(closing), item)]
            }
            (false, false) => vec![Edit::insert(last.span().end, format!(", {item}"))],
        }
    }

    /// Inserts the only child.
    fn insert_only(&self, parent: Node<'_>, closing: Span, name: &str, value: &str) -> Vec<Edit> {
        let outer = self.indent(parent.span().start);
        let gap = self.get(closing.start, closing.end);
        match gap.rfind('\n') {
            None => {
                let value = self.indented(value, outer);
                vec![Edit::insert(closing.end, format!("{name}{value}"))]
            }
            Some(at) => {
                let indent = format!("{outer}\t");
                let value = self.indented(value, &indent);
                let at = closing.start + at as u32;
                vec![Edit::insert(at, format!("\n{indent}{name}{value},"))]
            }
        }
    }

    /// Removes a child with its name and its comma; a line that holds nothing else goes too.
    fn remove(&self, parent: Node<'_>, child: Node<'_>) -> Vec<Edit> {
        let head = match parent.kind() {
            Kind::Object => parent
                .members()
                .find(|member| member.value.span() == child.span())
                .map_or(child, |member| member.name),
            _ => child,
        };
        let (start, end) = (head.span().start, child.span().end);
        let after = child.gap_after().end;
        let before = head.gap_before();
        if self.get(after, after + 1) == "," {
            if after == end {
                return vec![self.whole_line(Span::new(start, after + 1))];
            }
            return vec![
                self.whole_line(Span::new(start, end)),
                Edit::replace(Span::new(after, after + 1), ""),
            ];
        }
        // The last one without a comma: that of the one before it goes.
        let comma = before.start.saturating_sub(1);
        if self.get(comma, before.start) != "," {
            return vec![self.whole_line(Span::new(start, end))];
        }
        if self.get(before.start, before.end).trim().is_empty() {
            return vec![Edit::replace(Span::new(comma, end), "")];
        }
        vec![
            Edit::replace(Span::new(comma, before.start), ""),
            self.whole_line(Span::new(start, end)),
        ]
    }

    /// Removes what stands at `span`, and the line if nothing else stands on it, else the blanks
    /// behind it.
    fn whole_line(&self, span: Span) -> Edit {
        let blank = |c: char| c == ' ' || c == '\t' || c == '\r';
        let before = self.get(0, span.start);
        let kept = before.trim_end_matches(blank);
        let rest = self.get(span.end, self.0.len() as u32);
        let trimmed = rest.trim_start_matches(blank);
        let end = span.end + (rest.len() - trimmed.len()) as u32;
        let alone = kept.ends_with('\n') && trimmed.starts_with('\n');
        let span = if alone {
            Span::new(kept.len() as u32, end + 1)
        } else if trimmed.starts_with('\n') {
            Span::new(span.start, span.end)
        } else {
            Span::new(span.start, end)
        };
        Edit::replace(span, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn add<'c>(pointer: &'c str, json: &'c str) -> Change<'c> {
        Change::Add { pointer, json }
    }

    const fn remove(pointer: &str) -> Change<'_> {
        Change::Remove { pointer }
    }

    fn changed(text: &str, changes: &[Change<'_>]) -> String {
        let doc = Document::parse(text.as_bytes());
        match change(&doc, changes) {
            Ok(edits) => apply(text, &edits).unwrap(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn changes_keep_comments_and_layout() {
        let replace = Change::Replace { pointer: "/a/b", json: "[1,2]" };
        for (text, changes, expected) in [
            // One line.
            ("[1, 2]", &[add("/-", "3")][..], "[1, 2, 3]"),
            ("[1, 2]", &[add("/2", "3")], "[1, 2, 3]"),
            ("[1, 2, ]", &[add("/-", "3")], "[1, 2, 3, ]"),
            ("[1, 2]", &[add("/0", "0")], "[0, 1, 2]"),
            ("[1, 3]", &[add("/1", "2")], "[1, 2, 3]"),
            ("[]", &[add("/-", "1")], "[1]"),
            ("{/* none */}", &[add("/a~1b", "{}")], "{/* none */\"a/b\": {}}"),
            ("{\"a\": 1}", &[add("/a", "2")], "{\"a\": 2}"),
            ("{\"a\": 1}", &[add("/b", "2")], "{\"a\": 1, \"b\": 2}"),
            ("{\"a\": {\"b\": 1 /* one */}}", &[replace], "{\"a\": {\"b\": [1, 2] /* one */}}"),
            ("[1, 2, 3]", &[remove("/0")], "[2, 3]"),
            ("[1, 2, 3]", &[remove("/1")], "[1, 3]"),
            ("[1, 2, 3]", &[remove("/2")], "[1, 2]"),
            ("[1]", &[remove("/0")], "[]"),
            // Lines.
            ("[\n\t1, // one\n]", &[add("/-", "2")], "[\n\t1, // one\n\t2,\n]"),
            ("[\n\t1 // one\n]", &[add("/-", "2")], "[\n\t1, // one\n\t2\n]"),
            ("[\n\t1 /* a\n b */\n]", &[add("/-", "2")], "[\n\t1, /* a\n b */\n\t2\n]"),
            ("[ // list\n\t// one\n\t1\n]", &[add("/0", "0")], "[ // list\n\t0,\n\t// one\n\t1\n]"),
            (
                "[\n\t1, // one\n\t// three\n\t3\n]",
                &[add("/1", "2")],
                "[\n\t1, // one\n\t2,\n\t// three\n\t3\n]",
            ),
            ("[\n\t// none\n]", &[add("/-", "1")], "[\n\t// none\n\t1,\n]"),
            ("[\n\t1, // one\n\t2,\n]", &[remove("/0")], "[\n\t// one\n\t2,\n]"),
            ("[\n\t1,\n\t2,\n]", &[remove("/1")], "[\n\t1,\n]"),
            ("[\n\t1,\n\t2\n]", &[remove("/1")], "[\n\t1\n]"),
            ("[\n\t1, // one\n\t2\n]", &[remove("/1")], "[\n\t1 // one\n]"),
            ("{\n\t\"a\": 1,\n\t\"b\": 2,\n}", &[remove("/a")], "{\n\t\"b\": 2,\n}"),
            // One after the other.
            ("[1, 2, 3]", &[remove("/0"), remove("/0")], "[3]"),
            (
                "{}",
                &[add("/a", "{}"), add("/a/b", "[]"), add("/a/b/0", "1")],
                "{\"a\": {\"b\": [1]}}",
            ),
            // What cannot be done.
            ("[1]", &[add("/7", "1")], "there is no place \"/7\""),
            ("[1]", &[remove("")], "there is no place \"\""),
            ("{}", &[add("/a/b", "1")], "there is no place \"/a/b\""),
            ("[1]", &[add("/-", "[1,]")], "the value for \"/-\" is not JSON"),
            ("[1]", &[add("/-", "1 // x")], "the value for \"/-\" is not JSON"),
            ("[1]", &[remove("/0"), remove("/0")], "there is no place \"/0\""),
        ] {
            let changed = changed(text, changes);
            assert_eq!(changed, expected, "{text} with {changes:?}");
        }
    }
}
