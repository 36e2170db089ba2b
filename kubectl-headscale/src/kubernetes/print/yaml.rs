//! YAML as kubectl prints it, byte for byte: lists stand under their key without an indent, long
//! text is folded after 80 columns, text of several lines is a block.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::scalar::{Style, is_printable, style};

/// Columns after which text is folded.
const WIDTH: usize = 80;
const INDENT: usize = 2;

/// `value` as one document.
pub(crate) fn yaml(value: &Value) -> String {
    let mut out = Writer::default();
    match value {
        Value::Object(members) if !members.is_empty() => out.mapping(members, 0, false),
        Value::Array(items) if !items.is_empty() => out.sequence(items, 0, false),
        scalar => {
            out.scalar(scalar, 0);
            out.put("\n");
        }
    }
    out.text
}

#[derive(Default)]
struct Writer {
    text: String,
    column: usize,
}

impl Writer {
    fn put(&mut self, text: &str) {
        for c in text.chars() {
            self.push(c);
        }
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        self.column = if c == '\n' { 0 } else { self.column + 1 };
    }

    fn new_line(&mut self, indent: usize) {
        self.push('\n');
        self.spaces(indent);
    }

    fn spaces(&mut self, count: usize) {
        for _ in 0..count {
            self.push(' ');
        }
    }

    /// The members at `indent`; the first of them on the line that is begun, where `begun`.
    fn mapping(&mut self, members: &Map<String, Value>, indent: usize, mut begun: bool) {
        let mut members: Vec<(&String, &Value)> = members.iter().collect();
        members.sort_by(|(a, _), (b, _)| natural(a, b));
        for (name, value) in members {
            if !begun {
                self.spaces(indent);
            }
            begun = false;
            self.string(name, indent, true);
            self.push(':');
            match value {
                Value::Object(members) if !members.is_empty() => {
                    self.push('\n');
                    self.mapping(members, indent + INDENT, false);
                }
                Value::Array(items) if !items.is_empty() => {
                    self.push('\n');
                    self.sequence(items, indent, false);
                }
                scalar => {
                    self.push(' ');
                    self.scalar(scalar, indent + INDENT);
                    self.push('\n');
                }
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize, mut begun: bool) {
        for item in items {
            if !begun {
                self.spaces(indent);
            }
            begun = false;
            self.put("- ");
            match item {
                Value::Object(members) if !members.is_empty() => {
                    self.mapping(members, indent + INDENT, true);
                }
                Value::Array(items) if !items.is_empty() => {
                    self.sequence(items, indent + INDENT, true);
                }
                scalar => {
                    self.scalar(scalar, indent + INDENT);
                    self.push('\n');
                }
            }
        }
    }

    /// What has no members; lines after its first are at `indent`.
    fn scalar(&mut self, value: &Value, indent: usize) {
        match value {
            Value::String(text) => self.string(text, indent, false),
            Value::Object(_) => self.put("{}"),
            Value::Array(_) => self.put("[]"),
            other => self.put(&other.to_string()),
        }
    }

    fn string(&mut self, text: &str, indent: usize, key: bool) {
        match style(text, key) {
            Style::Plain => self.folded(text, indent, !key, ""),
            Style::Single => self.folded(text, indent, !key, "'"),
            Style::Double => self.double(text, indent, !key),
            Style::Literal => self.literal(text, indent),
        }
    }

    /// Text that stands for itself, between `quotes`. A space where the line is too long becomes a
    /// line break, unless there are more of them.
    fn folded(&mut self, text: &str, indent: usize, may_break: bool, quotes: &str) {
        self.put(quotes);
        let mut before = None;
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            let within = quotes.is_empty() || (at > 0 && next.is_some());
            let fold = may_break && before != Some(' ') && self.column > WIDTH && within;
            match c {
                ' ' if fold && next != Some(' ') => self.new_line(indent),
                '\'' if !quotes.is_empty() => self.put("''"),
                c => self.push(c),
            }
            before = Some(c);
        }
        self.put(quotes);
    }

    /// Text with escapes, between double quotes.
    fn double(&mut self, text: &str, indent: usize, may_break: bool) {
        self.push('"');
        let mut spaces = false;
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            if c == ' ' {
                let within = at > 0 && next.is_some();
                if may_break && !spaces && self.column > WIDTH && within {
                    self.new_line(indent);
                    if next == Some(' ') {
                        self.push('\\');
                    }
                } else {
                    self.push(' ');
                }
                spaces = true;
                continue;
            }
            spaces = false;
            match escape(c) {
                Some(escaped) => self.put(&escaped),
                None => self.push(c),
            }
        }
        self.push('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.push('|');
        if text.starts_with([' ', '\n']) {
            self.put(&INDENT.to_string());
        }
        let body = text.trim_end_matches('\n');
        match text.len() - body.len() {
            0 => self.push('-'),
            1 if !body.is_empty() => {}
            _ => self.push('+'),
        }
        let lines = text.strip_suffix('\n').unwrap_or(text);
        for line in lines.split('\n') {
            self.push('\n');
            if !line.is_empty() {
                self.spaces(indent);
                self.put(line);
            }
        }
    }
}

fn escape(c: char) -> Option<String> {
    let short = match c {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{a0}' => "\\_",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        c if is_printable(c) => return None,
        c => {
            return Some(match u32::from(c) {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            });
        }
    };
    Some(short.to_owned())
}

/// The order of members: as people count, so that `a2` stands before `a10`, and what is no letter
/// before letters.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut digits = false;
    for (at, (x, y)) in a.iter().zip(&b).enumerate() {
        if x == y {
            digits = x.is_numeric();
            continue;
        }
        match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => return x.cmp(y),
            (true, false) => {
                return if digits { Ordering::Less } else { Ordering::Greater };
            }
            (false, true) => {
                return if digits { Ordering::Greater } else { Ordering::Less };
            }
            (false, false) => {}
        }
        let number = |text: &[char]| -> Option<(usize, u128)> {
            let tail = text.get(at..)?;
            let digits: String = tail.iter().take_while(|c| c.is_ascii_digit()).collect();
            Some((digits.len(), digits.parse().ok()?))
        };
        return match (number(&a), number(&b)) {
            (Some((a_len, a)), Some((b_len, b))) => a.cmp(&b).then(a_len.cmp(&b_len)),
            _ => x.cmp(y),
        };
    }
    a.len().cmp(&b.len())
}
