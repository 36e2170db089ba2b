//! A file of the report with what reporters ask of it: places, lines, and its name as a path.

use std::borrow::Cow;

use headscale_acl::{LineIndex, Position, Span};

use super::FileReport;

/// Whether `name` is that of what stands in no file: `<stdin>`, `<headscale/main>`.
fn is_no_file(name: &str) -> bool {
    name.starts_with('<') && name.ends_with('>')
}

/// A file whose lines are indexed; making it costs a pass over the text.
pub(super) struct Source<'a> {
    text: &'a [u8],
    lines: LineIndex,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a FileReport) -> Self {
        Self { text: &file.text, lines: LineIndex::new(&file.text) }
    }

    /// First and last place of `span`; the last is exclusive. What lies past the end of the text
    /// is its end.
    pub(super) fn places(&self, span: Span) -> (Position, Position) {
        let len = u32::try_from(self.text.len()).unwrap_or(u32::MAX - 1);
        let start = span.start.min(len);
        let end = span.end.clamp(start, len);
        (self.lines.position(start), self.lines.position(end))
    }

    /// The bytes of the line with number `line`, without its line end.
    pub(super) fn line(&self, line: u32) -> &'a [u8] {
        let line = self.lines.line(self.text, line).unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// The whole text.
    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }
}

/// `file:line:column`, or only the file where the finding is about all of it. `name` is written as
/// it comes.
pub(super) fn location(name: &str, source: &Source<'_>, span: Option<Span>) -> String {
    match span.map(|span| source.places(span)) {
        Some((at, _)) => format!("{name}:{}:{}", at.line, at.column),
        None => name.to_owned(),
    }
}

/// `name` as the path that CI systems match with the repository: with slashes, without a leading
/// `./`; `None` for standard input and for instances, which are no files of it.
pub(super) fn repository_path(name: &str) -> Option<Cow<'_, str>> {
    if is_no_file(name) {
        return None;
    }
    let path =
        if cfg!(windows) { Cow::Owned(name.replace('\\', "/")) } else { Cow::Borrowed(name) };
    Some(match path {
        Cow::Borrowed(path) => Cow::Borrowed(without_dot(path)),
        Cow::Owned(path) => Cow::Owned(without_dot(&path).to_owned()),
    })
}

fn without_dot(mut path: &str) -> &str {
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    path
}
