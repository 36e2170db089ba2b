//! HuJSON in its standard format, written from the top: tabs, an object or array on one line where
//! it fits, values of neighbouring members in one column.

/// An object or array stays on one line up to this many bytes, counted as the format does.
const WIDTH: usize = 80;

/// Comments are wrapped at this many characters, without indentation.
const COMMENT_WIDTH: usize = 96;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A string.
    Text(String),
    /// Elements without comments: on one line if they fit.
    List(Vec<Self>),
    /// Elements with comments, each on lines of its own.
    Sections(Vec<(String, Self)>),
    /// Members: on one line if they fit.
    Inline(Vec<(String, Self)>),
    /// Members on lines of their own.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// What stands before it; empty where nothing does.
    pub(crate) comment: String,
    /// Whether a blank line stands before it.
    pub(crate) apart: bool,
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl Member {
    pub(crate) fn new(name: &str, value: Value) -> Self {
        Self { comment: String::new(), apart: false, name: name.to_owned(), value }
    }
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::text(text.as_ref())).collect())
    }

    /// The value on one line, and whether it may stand so.
    fn line(&self) -> Option<String> {
        let (open, items, close) = match self {
            Self::Text(text) => return Some(quoted(text)),
            Self::Sections(_) | Self::Object(_) => return None,
            Self::List(items) => {
                ('[', items.iter().map(Self::line).collect::<Option<Vec<_>>>()?, ']')
            }
            Self::Inline(members) => {
                let lines = members.iter().map(|(name, value)| {
                    value.line().map(|value| format!("{}: {value}", quoted(name)))
                });
                ('{', lines.collect::<Option<Vec<_>>>()?, '}')
            }
        };
        // A separator counts after the last one too.
        let width: usize = items.iter().map(|item| item.len() + 2).sum();
        (width + 2 <= WIDTH).then(|| format!("{open}{}{close}", items.join(", ")))
    }

    fn write(&self, depth: usize, out: &mut String) {
        if let Some(line) = self.line() {
            out.push_str(&line);
            return;
        }
        match self {
            Self::Text(_) => {}
            Self::List(items) => {
                out.push_str("[\n");
                for item in items {
                    indent(depth + 1, out);
                    item.write(depth + 1, out);
                    out.push_str(",\n");
                }
                indent(depth, out);
                out.push(']');
            }
            Self::Sections(items) => {
                out.push_str("[\n");
                for (text, item) in items {
                    comment(text, depth + 1, out);
                    indent(depth + 1, out);
                    item.write(depth + 1, out);
                    out.push_str(",\n");
                }
                indent(depth, out);
                out.push(']');
            }
            Self::Inline(members) => {
                let members: Vec<Member> =
                    members.iter().map(|(name, value)| Member::new(name, value.clone())).collect();
                write_members(&members, depth, out);
            }
            Self::Object(members) => write_members(members, depth, out),
        }
    }
}

/// A document: a comment and an object.
pub(crate) fn document(head: &str, members: Vec<Member>) -> String {
    let mut out = String::new();
    comment(head, 0, &mut out);
    Value::Object(members).write(0, &mut out);
    out.push('\n');
    out
}

fn write_members(members: &[Member], depth: usize, out: &mut String) {
    out.push_str("{\n");
    let mut rest = members;
    while let Some(first) = rest.first() {
        // A run of members whose values stand in one column: a blank line, a comment or a value of
        // several lines ends it.
        let tail = rest.get(1..).unwrap_or_default();
        let joins = |member: &&Member| {
            !member.apart && member.comment.is_empty() && member.value.line().is_some()
        };
        let run = match first.value.line() {
            Some(_) => 1 + tail.iter().take_while(joins).count(),
            None => 1,
        };
        let (run, left) = rest.split_at_checked(run).unwrap_or((rest, &[]));
        let width = run.iter().map(|member| quoted(&member.name).len()).max().unwrap_or_default();
        for member in run {
            if member.apart {
                out.push('\n');
            }
            comment(&member.comment, depth + 1, out);
            indent(depth + 1, out);
            let name = quoted(&member.name);
            out.push_str(&name);
            out.push_str(": ");
            out.extend(std::iter::repeat_n(' ', width - name.len()));
            member.value.write(depth + 1, out);
            out.push_str(",\n");
        }
        rest = left;
    }
    indent(depth, out);
    out.push('}');
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Names have no control characters: they are refused before.
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n('\t', depth));
}

/// Writes a comment of one or more lines, wrapped; nothing for an empty text.
fn comment(text: &str, depth: usize, out: &mut String) {
    for line in text.lines() {
        let mut width = 0;
        for word in line.split(|c: char| c.is_whitespace() || c.is_control()) {
            if word.is_empty() {
                continue;
            }
            let length = word.chars().count() + 1;
            if width > 0 && width + length > COMMENT_WIDTH {
                out.push('\n');
                width = 0;
            }
            if width == 0 {
                indent(depth, out);
                out.push_str("//");
            }
            out.push(' ');
            out.push_str(word);
            width += length;
        }
        if width > 0 {
            out.push('\n');
        }
    }
}
