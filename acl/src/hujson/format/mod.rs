//! The standard format: what the reference implementation (tailscale/hujson) prints, to the byte.
//!
//! Two passes over the values in document order. The first decides which objects and arrays are
//! printed over several lines ([`layout`]); the second prints, and aligns the values of members in
//! consecutive lines.

mod comment;
mod gap;
mod layout;

use self::comment::{Style, print_gap};
use self::gap::{BLANK, Gap};
use self::layout::{Layout, layouts, literal};
use super::tree::{Document, Kind};
use super::walk::{Event, Role, Visit, walk};

/// `doc` in the standard format: tabs, one final newline, an object or array either on one line or
/// with a line for each member or element. Comments stay; a text that is plain JSON stays plain
/// JSON. Formatting the result again changes nothing.
///
/// A document that is not complete or has errors comes back as it is. Bytes in a string that are
/// not UTF-8 come back as U+007F, as in [`Document::text`]; a lone surrogate as U+FFFD. Both are
/// violations that [`strictness`](super::strictness) reports.
///
/// Time and memory are linear in the result. That is longer than the text mostly by indentation, so
/// by a factor of the depth at worst.
///
/// ```
/// use headscale_acl::hujson::{Document, format};
///
/// let doc = Document::parse(b"{ \"acls\":[],// all\n \"tests\" :[ 1,2 ] }");
/// assert_eq!(format(&doc), "{\n\t\"acls\":  [], // all\n\t\"tests\": [1, 2],\n}\n");
/// ```
#[must_use]
pub fn format(doc: &Document<'_>) -> String {
    if !doc.is_complete() || !doc.errors().is_empty() {
        return doc.text().to_owned();
    }
    let printer = Printer {
        doc,
        layouts: layouts(doc),
        out: String::with_capacity(doc.text().len() + doc.text().len() / 4),
        open: Vec::new(),
        rows: Vec::new(),
    };
    printer.run()
}

/// An object or array whose closing bracket is not printed yet.
struct Level {
    depth: usize,
    expanded: bool,
    member: Member,
}

/// The member or element that is being printed.
#[derive(Clone, Copy, Default)]
struct Member {
    /// Where its name starts in what is printed.
    start: usize,
    /// A blank line or a comment line stands before it.
    apart: bool,
    /// A line break stands between its name and its value.
    broken: bool,
    /// A comment stands between its value and the comma.
    commented: bool,
}

/// A member that is aligned with its neighbours.
struct Row {
    /// Where its value starts in what is printed.
    value: usize,
    /// Bytes from the start of its name to there.
    width: usize,
}

struct Printer<'d, 't> {
    doc: &'d Document<'t>,
    layouts: Vec<Layout>,
    out: String,
    open: Vec<Level>,
    /// Members in consecutive lines that are not aligned yet. A member of several lines ends the
    /// run before anything within it is printed, so one run at a time is enough.
    rows: Vec<Row>,
}

impl<'d> Printer<'d, '_> {
    fn run(mut self) -> String {
        for event in walk(self.doc) {
            match event {
                Event::Open(visit) => self.open(&visit),
                Event::Scalar(visit) => {
                    self.before(&visit);
                    self.out.push_str(&literal(visit.node));
                    self.after(&visit);
                }
                Event::Close(visit) => {
                    self.close(&visit);
                    self.after(&visit);
                }
            }
        }
        let end = self.out.len();
        print_gap(&mut self.out, Gap::end(self.doc), &Style::default());
        let kept = self.out.get(end..).unwrap_or_default().trim_end().len();
        self.out.truncate(end + kept);
        self.out.push('\n');
        self.out
    }

    fn open(&mut self, visit: &Visit<'d>) {
        self.before(visit);
        let depth = self.open.last().map_or(0, |level| {
            level.depth + usize::from(level.expanded) + usize::from(level.member.broken)
        });
        self.open.push(Level {
            depth,
            expanded: self.layout(visit).expanded,
            member: Member::default(),
        });
        self.out.push(match visit.node.kind() {
            Kind::Object => '{',
            _ => '[',
        });
    }

    fn close(&mut self, visit: &Visit<'d>) {
        let Some(level) = self.open.pop() else { return };
        let closing = Gap::closing(self.doc, visit);
        let comma = if level.expanded {
            !self.doc.is_standard()
        } else {
            level.member.commented && closing.has_comment()
        };
        if comma && !visit.is_empty() {
            self.out.push(',');
        }
        let style = Style {
            depth: level.depth + 1,
            end_depth: level.depth,
            break_after: level.expanded,
            tight_start: visit.is_empty(),
            tight_end: true,
            ..Style::default()
        };
        print_gap(&mut self.out, closing, &style);
        // Comments alone do not end the run that encloses them, however many lines they take.
        if level.expanded && !visit.is_empty() {
            self.align();
        }
        self.out.push(match visit.node.kind() {
            Kind::Object => '}',
            _ => ']',
        });
    }

    /// Prints what stands before a value.
    fn before(&mut self, visit: &Visit<'d>) {
        let gap = Gap::before(self.doc, visit);
        let start = self.out.len();
        let Some(level) = self.open.last_mut() else {
            print_gap(&mut self.out, gap, &Style::default());
            let blanks = self.out.len() - self.out.trim_start_matches(BLANK).len();
            self.out.drain(..blanks);
            return;
        };
        if visit.role == Role::Value {
            level.member.broken |= gap.has_newline();
            let depth = level.depth + 2;
            let style = Style {
                depth,
                end_depth: depth,
                tight_start: true,
                tight_end: true,
                spaced: true,
                ..Style::default()
            };
            print_gap(&mut self.out, gap, &style);
            self.add_row(visit);
            return;
        }
        let depth = level.depth + 1;
        let style = Style {
            depth,
            end_depth: depth,
            break_before: level.expanded,
            tight_start: visit.first,
            spaced: !visit.first,
            ..Style::default()
        };
        print_gap(&mut self.out, gap, &style);
        let printed = self.out.get(start..).unwrap_or_default();
        level.member = Member {
            start: self.out.len(),
            apart: printed.bytes().filter(|b| *b == b'\n').count() > 1,
            ..Member::default()
        };
    }

    /// Prints what stands after a value up to the next one or the closing bracket.
    fn after(&mut self, visit: &Visit<'d>) {
        let Some(level) = self.open.last_mut() else {
            return;
        };
        let gap = Gap::after(self.doc, visit);
        if gap.has_comment() {
            let depth = level.depth + 2;
            let style = Style {
                depth,
                end_depth: depth,
                tight_start: true,
                tight_end: true,
                ..Style::default()
            };
            print_gap(&mut self.out, gap, &style);
        }
        if visit.role == Role::Name {
            level.member.broken = gap.has_newline();
            self.out.push(':');
        } else if visit.last {
            level.member.commented = gap.has_comment();
        } else {
            self.out.push(',');
        }
    }

    /// Takes the member whose name was just printed for aligning, or ends the run before it.
    fn add_row(&mut self, value: &Visit<'d>) {
        let Some(&Level { expanded, member, .. }) = self.open.last() else {
            return;
        };
        if !expanded {
            return;
        }
        let broken =
            member.broken || self.layout(value).broken || Gap::after(self.doc, value).has_newline();
        let width = self.out.len() - member.start;
        if broken || member.apart {
            self.align();
        }
        if !broken {
            self.rows.push(Row { value: self.out.len(), width });
        }
    }

    /// Pads the members of the run so that their values start in one column, and ends it.
    fn align(&mut self) {
        let width = self.rows.iter().map(|row| row.width).max().unwrap_or(0);
        let padded = |row: &Row| row.width < width;
        if let Some(first) = self.rows.iter().find(|row| padded(row)).map(|row| row.value) {
            // From the first change on the run is written anew: once for each run, so that all
            // runs together cost no more than the text.
            let tail = self.out.split_off(first);
            let mut rest = tail.as_str();
            for row in self.rows.iter().filter(|row| padded(row)) {
                let done = first + tail.len() - rest.len();
                let (kept, left) = rest.split_at_checked(row.value - done).unwrap_or((rest, ""));
                self.out.push_str(kept);
                self.out.extend(std::iter::repeat_n(' ', width - row.width));
                rest = left;
            }
            self.out.push_str(rest);
        }
        self.rows.clear();
    }

    fn layout(&self, visit: &Visit<'_>) -> Layout {
        let index = visit.node.index as usize;
        self.layouts.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(text: &str) -> String {
        let doc = Document::parse(text.as_bytes());
        assert_eq!(doc.errors(), [], "{text:?}");
        format(&doc)
    }

    #[test]
    fn each_rule_of_the_format_has_its_example() {
        let object = |len: usize| format!("{{\"k\": \"{}\"}}", "x".repeat(len));
        let long = |len: usize| format!("{{\n\t\"k\": \"{}\"\n}}\n", "x".repeat(len));
        let own = |text: &str| text.to_owned();
        let table = [
            ("ends in one newline", own("  1\n\n\n"), own("1\n")),
            ("separators", own(r#"{"a" :1,"b":[1,2]}"#), own("{\"a\": 1, \"b\": [1, 2]}\n")),
            ("other line breaks", own("[\r\n1,\n\r2,\r3\r]"), own("[\n\t1,\n\t2,\n\t3\n]\n")),
            ("one blank line", own("[\n\n1,\n\n\n2\n\n]"), own("[\n\t1,\n\n\t2\n]\n")),
            ("only white space", own("[{\n},[\t]]"), own("[{}, []]\n")),
            ("newline after a bracket", own("[\n1,2]"), own("[\n\t1,\n\t2\n]\n")),
            ("newline after a comma", own("[1,\n2]"), own("[\n\t1,\n\t2\n]\n")),
            ("newline before a bracket", own("[1,2\n]"), own("[\n\t1,\n\t2\n]\n")),
            ("newline after a colon", own("{\"a\":\n1}"), own("{\"a\":\n\t\t1}\n")),
            ("78 bytes", object(69), object(69) + "\n"),
            ("79 bytes", object(70), long(70)),
            (
                "an expanded child does not expand its parent",
                own("{\"a\": {\n\t\"x\": 1\n}, \"b\": 2}"),
                own("{\"a\": {\n\t\"x\": 1\n}, \"b\": 2}\n"),
            ),
            (
                "nor its neighbours",
                own("[{\n\t\"a\": 1\n}, {\"y\": 2}]"),
                own("[{\n\t\"a\": 1\n}, {\"y\": 2}]\n"),
            ),
            ("inline comma goes", own(r#"{"a":[1,2,3,],}"#), own("{\"a\": [1, 2, 3]}\n")),
            ("also after a comment", own(r#"{"a":1,/*x*/}"#), own("{\"a\": 1 /*x*/ }\n")),
            ("it stays between comments", own("[1/*x*/,/*y*/]"), own("[1 /*x*/ , /*y*/ ]\n")),
            ("JSON stays JSON", own("[\n1]"), own("[\n\t1\n]\n")),
            ("HuJSON gets its comma", own("[\n1]//\n"), own("[\n\t1,\n] //\n")),
            (
                "values in a column",
                own("{\n\"a\":1,\n\"bbb\":2,// c\n\"cc\":3}"),
                own("{\n\t\"a\":   1,\n\t\"bbb\": 2, // c\n\t\"cc\":  3,\n}\n"),
            ),
            (
                "a blank line, a comment and a long value end the column",
                own(
                    "{\n\"a\":1,\n\n\"bb\":2,\n//\n\"ccc\":3,\n\"d\":[\n4],\n\"eeee\":5,\n\"f\":6}",
                ),
                own(
                    "{\n\t\"a\": 1,\n\n\t\"bb\": 2,\n\t//\n\t\"ccc\": 3,\n\t\"d\": [\n\t\t4,\n\t],\n\
                     \t\"eeee\": 5,\n\t\"f\":    6,\n}\n",
                ),
            ),
            (
                "columns count bytes",
                own("{\n\"é\":1,\n\"b\":2}"),
                own("{\n\t\"é\": 1,\n\t\"b\":  2\n}\n"),
            ),
            (
                "escapes are written anew",
                own(r#"["\/\u0041\u2028","\u001F\n\"\\","\ud800","/"]"#),
                own("[\"/A\u{2028}\", \"\\u001f\\n\\\"\\\\\", \"\u{fffd}\", \"/\"]\n"),
            ),
            ("numbers are not", own("[1.50, -0, 1E+5]"), own("[1.50, -0, 1E+5]\n")),
            ("trimmed", own("[ // a \u{3000}\n1]"), own("[ // a\n\t1,\n]\n")),
            (
                "block comments move with their lines",
                own("[\n/* a\n     b\n       c */1]"),
                own("[\n\t/* a\n\tb\n\t  c */ 1,\n]\n"),
            ),
            (
                "stars keep their column",
                own("[\n/*\n* a\n* b\n*/\n1]"),
                own("[\n\t/*\n\t * a\n\t * b\n\t */\n\t1,\n]\n"),
            ),
            ("before a comma", own("[\n1\n// a\n,2]"), own("[\n\t1\n\t\t// a\n\t\t,\n\t2,\n]\n")),
        ];
        for (rule, text, expected) in table {
            let once = formatted(&text);
            assert_eq!(once, expected, "{rule}");
            assert_eq!(formatted(&once), once, "{rule}, again");
        }
    }

    #[test]
    fn a_text_with_errors_comes_back_as_it_is() {
        for text in ["", "{a: 1}", "[1 2]", "[1", "// x", "{\"a\":}", "[,]", "'a'"] {
            assert_eq!(format(&Document::parse(text.as_bytes())), text);
        }
    }

    #[test]
    fn the_deepest_text_is_formatted_on_a_small_stack() {
        let text = "[".repeat(10_000) + &"]".repeat(10_000);
        let once = formatted(&text);
        assert_eq!(once.replace(['\n', '\t'], ""), text);
        assert_eq!(formatted(&once), once);
    }
}
