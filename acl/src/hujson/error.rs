//! Syntax errors in the words of the reference implementation, so that they can be held against
//! its answers, with a help for what people usually meant.

use std::fmt::Write as _;

use super::edit::Edit;
use super::string::quote;
use crate::span::Span;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxErrorKind {
    /// A character that cannot stand here; the text says where "here" is.
    InvalidCharacter(&'static str),
    /// The same for a byte that is not UTF-8.
    InvalidByte(u8, &'static str),
    /// A number, word or string that JSON does not know.
    InvalidLiteral,
    /// The text ends too early; the text says within what.
    UnexpectedEnd(&'static str),
    /// A comment that is not UTF-8.
    InvalidUtf8InComment,
    /// Nesting beyond what Headscale's JSON decoder follows.
    TooDeep,
}

/// What a person most likely meant, where the parser recognises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Strings in single quotes.
    SingleQuotes,
    /// Names without quotes.
    BareName,
    /// `#` comments.
    HashComment,
    /// A comma too many.
    ExtraComma,
    /// A comma forgotten.
    MissingComma,
    /// `=` or nothing where `:` belongs.
    MissingColon,
    /// A byte order mark.
    ByteOrderMark,
    /// A space that is not ASCII.
    OddSpace,
    /// A line comment that ends with the file.
    CommentAtEnd,
    /// `True`, `None`, `undefined`, hex numbers and the like.
    ForeignLiteral,
    /// A YAML document.
    Yaml,
}

/// A place where the text is not HuJSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where the reference implementation points, and the text it is about.
    pub span: Span,
    /// What is wrong.
    pub kind: SyntaxErrorKind,
    /// What was most likely meant.
    pub habit: Option<Habit>,
    /// The offending text, for the message; cut where long.
    pub(super) found: String,
    /// The repair, where it is not at `span`.
    pub(super) elsewhere: Option<Edit>,
}

/// Offending text is quoted up to this many characters.
const QUOTED: usize = 60;

impl SyntaxError {
    pub(super) fn new(span: Span, kind: SyntaxErrorKind, text: &str) -> Self {
        let mut found: String = text.chars().take(QUOTED).collect();
        if found.len() < text.len() {
            found.push('…');
        }
        Self { span, kind, habit: None, found, elsewhere: None }
    }

    pub(super) fn habit(mut self, habit: Habit) -> Self {
        self.habit = Some(habit);
        self
    }

    /// What makes HuJSON of it, where that is beyond doubt: the repair in words, and the edit.
    #[must_use]
    pub fn repair(&self) -> Option<(&'static str, Edit)> {
        let Span { start, end } = self.span;
        let elsewhere = || self.elsewhere.clone();
        let replace = |text: &str| Edit::replace(self.span, text);
        // What was cut for the message is not whole any more.
        let whole = self.found.len() == (end - start) as usize;
        Some(match self.habit? {
            Habit::SingleQuotes => ("write double quotes", elsewhere()?),
            Habit::BareName if whole => ("quote the name", replace(&quote(&self.found))),
            Habit::HashComment => ("start the comment with `//`", replace("//")),
            Habit::ExtraComma => ("remove the comma", replace("")),
            Habit::MissingComma => ("put a comma", elsewhere()?),
            Habit::MissingColon if self.found == "=" => ("write a colon", replace(":")),
            Habit::MissingColon => ("put a colon", elsewhere()?),
            Habit::ByteOrderMark => ("remove the byte order mark", replace("")),
            Habit::OddSpace => ("write a space", replace(" ")),
            Habit::CommentAtEnd => ("end the last line", Edit::insert(end, "\n")),
            Habit::ForeignLiteral => ("write it as JSON does", replace(json_literal(&self.found)?)),
            Habit::BareName | Habit::Yaml => return None,
        })
    }

    /// The message of the reference implementation, without its position.
    #[must_use]
    pub fn message(&self) -> String {
        match self.kind {
            SyntaxErrorKind::InvalidCharacter(place) => {
                format!("invalid character {} {place}", character(&self.found))
            }
            SyntaxErrorKind::InvalidByte(byte, place) => {
                format!("invalid character '\\x{byte:02x}' {place}")
            }
            SyntaxErrorKind::InvalidLiteral => format!("invalid literal: {}", self.found),
            SyntaxErrorKind::UnexpectedEnd(within) => format!("parsing {within}: unexpected EOF"),
            SyntaxErrorKind::InvalidUtf8InComment => "invalid UTF-8 in comment".to_owned(),
            SyntaxErrorKind::TooDeep => "exceeded the maximum nesting depth of 10000".to_owned(),
        }
    }

    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let json5 = "`kubectl headscale policy fmt --from json5` converts the file";
        Some(match (self.habit, self.kind) {
            (Some(Habit::SingleQuotes), _) => {
                format!("HuJSON strings stand in double quotes; {json5}")
            }
            (Some(Habit::BareName), _) => {
                format!("HuJSON names stand in double quotes: \"{}\"; {json5}", self.found)
            }
            (Some(Habit::HashComment), _) => "comments start with `//`".to_owned(),
            (Some(Habit::ExtraComma), _) => "remove this comma".to_owned(),
            (Some(Habit::MissingComma), _) => "put a comma before this".to_owned(),
            (Some(Habit::MissingColon), _) => "put a colon between name and value".to_owned(),
            (Some(Habit::ByteOrderMark), _) => {
                "save the file as UTF-8 without a byte order mark".to_owned()
            }
            (Some(Habit::OddSpace), _) => {
                "only space, tab, CR and LF are white space in HuJSON".to_owned()
            }
            (Some(Habit::CommentAtEnd), _) => {
                "end the last line with a newline: HuJSON reads a `//` comment up to it".to_owned()
            }
            (Some(Habit::Yaml), _) => "this looks like YAML, and a policy is HuJSON; `kubectl \
                                       headscale policy fmt --from yaml` converts the file"
                .to_owned(),
            (Some(Habit::ForeignLiteral), _) => foreign_literal(&self.found),
            (None, SyntaxErrorKind::InvalidLiteral) if self.found.starts_with('"') => {
                "a string ends on its line; in it, write a backslash as `\\\\`, a quote as `\\\"`, \
                 a tab as `\\t`"
                    .to_owned()
            }
            (None, SyntaxErrorKind::UnexpectedEnd("comment")) => {
                "close the comment with `*/`".to_owned()
            }
            (None, SyntaxErrorKind::UnexpectedEnd("string")) => {
                "close the string with `\"`".to_owned()
            }
            (None, SyntaxErrorKind::UnexpectedEnd("value")) => {
                "a value is missing here; is the file cut off?".to_owned()
            }
            (None, SyntaxErrorKind::UnexpectedEnd(_)) => {
                "a closing bracket is missing; is the file cut off?".to_owned()
            }
            (None, SyntaxErrorKind::InvalidCharacter("after top-level value")) => {
                "a policy is one object; remove what follows it".to_owned()
            }
            (None, SyntaxErrorKind::InvalidUtf8InComment | SyntaxErrorKind::InvalidByte(..)) => {
                "save the file as UTF-8".to_owned()
            }
            (None, SyntaxErrorKind::TooDeep) => "no policy needs this".to_owned(),
            (None, _) => return None,
        })
    }
}

/// What JSON calls a literal of another language.
fn json_literal(word: &str) -> Option<&'static str> {
    Some(match word {
        "True" | "TRUE" | "yes" | "on" => "true",
        "False" | "FALSE" | "no" | "off" => "false",
        "None" | "nil" | "undefined" | "NULL" | "Null" => "null",
        _ => return None,
    })
}

fn foreign_literal(word: &str) -> String {
    if let Some(literal) = json_literal(word) {
        return format!("write `{literal}`");
    }
    match word {
        _ if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            "write the number as JSON does: digits without a leading zero or plus".to_owned()
        }
        _ => format!("write text in double quotes: \"{word}\""),
    }
}

/// A character as the reference implementation quotes it: Go's `%q` for printable ones.
fn character(found: &str) -> String {
    let Some(c) = found.chars().next() else {
        return "''".to_owned();
    };
    let mut out = String::from("'");
    let printable = c == ' ' || c.escape_debug().len() == 1;
    match c {
        '\'' => out.push_str("\\'"),
        '\\' => out.push_str("\\\\"),
        _ if printable || c == '"' => out.push(c),
        // Writing to a String cannot fail.
        _ if u32::from(c) <= 0xffff => _ = write!(out, "\\u{:04x}", u32::from(c)),
        _ => _ = write!(out, "\\U{:08x}", u32::from(c)),
    }
    out.push('\'');
    out
}
