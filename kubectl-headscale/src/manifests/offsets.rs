//! Where in a YAML text the parts of a scalar stand.

use serde_saphyr::granit_parser::ScalarStyle;

use super::tree::Scalar;

/// From offsets in what a scalar means to offsets in the text that it is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offsets {
    /// Pairs of both offsets, ascending; from one pair to the next both go byte by byte.
    segments: Vec<(u32, u32)>,
    /// Where the end of the scalar is.
    end: (u32, u32),
}

impl Offsets {
    /// Those of a scalar of the YAML text `source`.
    ///
    /// Exact for blocks with `|` and for quotes. In what is folded, the white space that folding
    /// makes stands at the end of the line before.
    pub(super) fn new(scalar: &Scalar, source: &str) -> Self {
        let found = match scalar.style {
            ScalarStyle::Literal => literal(scalar, source),
            _ => Walk::over(scalar, source),
        };
        // What cannot be followed stands where its scalar begins.
        found.unwrap_or_else(|| {
            let start = offset(scalar.range.start);
            Self { segments: Vec::new(), end: (u32::MAX, start) }
        })
    }

    /// The place of a byte of the scalar, or of its end.
    pub(super) fn place(&self, at: u32) -> u32 {
        let (end, end_place) = self.end;
        if at >= end {
            return end_place;
        }
        let next = self.segments.partition_point(|(decoded, _)| *decoded <= at);
        match next.checked_sub(1).and_then(|index| self.segments.get(index)) {
            Some((decoded, place)) => place.saturating_add(at - decoded).min(end_place),
            None => end_place,
        }
    }

    /// Starts a segment where the two no longer go together.
    fn push(&mut self, decoded: usize, place: usize) {
        let (decoded, place) = (offset(decoded), offset(place));
        let goes_on = self.segments.last().is_some_and(|(last, last_place)| {
            decoded.checked_sub(*last) == place.checked_sub(*last_place)
        });
        if !goes_on {
            self.segments.push((decoded, place));
        }
    }
}

/// Texts are bounded far below what has no such offset.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Line by line: each has lost its indentation.
fn literal(scalar: &Scalar, source: &str) -> Option<Offsets> {
    let line_start = |at: usize| {
        let before = source.get(..at)?;
        Some(before.rfind('\n').map_or(0, |newline| newline + 1))
    };
    let mut start = line_start(scalar.range.start)?;
    let text = scalar.text.as_str();
    if !text.trim_matches([' ', '\n']).is_empty() {
        // Whether the empty lines before the first other one are in the range is the parser's
        // business: that line is found first, and they stand before it.
        let lines = source.get(start..)?.split_inclusive('\n');
        let empty = lines.take_while(|line| line.trim_matches([' ', '\r', '\n']).is_empty());
        start += empty.map(str::len).sum::<usize>();
        for _ in 0..leading_lines(text).matches('\n').count() {
            start = line_start(start.checked_sub(1)?)?;
        }
    }
    lines(text, source, start)
}

/// The empty lines that a text begins with.
pub(super) fn leading_lines(text: &str) -> &str {
    let blank = text.len() - text.trim_start_matches([' ', '\n']).len();
    let blank = text.get(..blank).unwrap_or_default();
    let end = blank.rfind('\n').map_or(0, |newline| newline + 1);
    blank.get(..end).unwrap_or_default()
}

fn lines(text: &str, source: &str, start: usize) -> Option<Offsets> {
    let mut offsets = Offsets { segments: Vec::new(), end: (0, 0) };
    let mut rest = source.get(start..)?.split_inclusive('\n');
    let (mut decoded, mut place) = (0, start);
    let last = text.trim_end_matches('\n').len();
    for line in text.split_inclusive('\n') {
        let whole = rest.next().unwrap_or_default();
        let content = whole.strip_suffix('\n').unwrap_or(whole);
        let content = content.strip_suffix('\r').unwrap_or(content);
        let line_text = line.strip_suffix('\n').unwrap_or(line);
        let indent = content.len().checked_sub(line_text.len())?;
        if !content.ends_with(line_text) || !content.get(..indent)?.trim_matches(' ').is_empty() {
            return None;
        }
        offsets.push(decoded, place + indent);
        // The line end, which may be two bytes.
        offsets.push(decoded + line_text.len(), place + content.len());
        if decoded <= last {
            // After its last line the block is over, and what follows is not its.
            offsets.end = (offset(text.len()), offset(place + content.len()));
        }
        decoded += line.len();
        place += whole.len();
    }
    Some(offsets)
}

/// Follows what a scalar means through the text that it is written in.
struct Walk<'t> {
    source: &'t str,
    at: usize,
    /// Where the blanks end that were looked at last.
    blanks_end: usize,
    style: ScalarStyle,
    offsets: Offsets,
}

impl<'t> Walk<'t> {
    fn over(scalar: &Scalar, source: &'t str) -> Option<Offsets> {
        let quoted = matches!(scalar.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        let mut walk = Self {
            source,
            at: scalar.range.start + usize::from(quoted),
            blanks_end: 0,
            style: scalar.style,
            offsets: Offsets { segments: Vec::new(), end: (0, 0) },
        };
        for (decoded, c) in scalar.text.char_indices() {
            walk.step(decoded, c)?;
        }
        walk.offsets.end = (offset(scalar.text.len()), offset(walk.at));
        Some(walk.offsets)
    }

    fn rest(&self) -> &'t str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Takes the next character of what the scalar means.
    fn step(&mut self, decoded: usize, c: char) -> Option<()> {
        self.skip_continuations();
        let folded = matches!(c, ' ' | '\n') && self.is_at_line_end();
        if folded {
            self.offsets.push(decoded, self.at);
            self.at = self.blanks_end();
            self.at += self.line_end()?;
            return Some(());
        }
        loop {
            if let Some(length) = self.spelled(c) {
                self.offsets.push(decoded, self.at);
                self.at += length;
                return Some(());
            }
            // Indentation, and lines that folding took away.
            let skipped = self.rest().chars().next().filter(|skip| skip.is_ascii_whitespace());
            match skipped {
                Some(skipped) => self.at += skipped.len_utf8(),
                // White space of folding that stands nowhere.
                None if matches!(c, ' ' | '\n') => {
                    self.offsets.push(decoded, self.at);
                    return Some(());
                }
                None => return None,
            }
            self.skip_continuations();
        }
    }

    /// How many bytes stand for `c` here; `None` where something else stands.
    fn spelled(&self, c: char) -> Option<usize> {
        let rest = self.rest();
        match self.style {
            ScalarStyle::DoubleQuoted if rest.starts_with('\\') => {
                let kind = rest.get(1..)?.chars().next()?;
                let length = match kind {
                    'x' => 4,
                    'u' if c > '\u{ffff}' => 12,
                    'u' => 6,
                    'U' => 10,
                    kind => 1 + kind.len_utf8(),
                };
                (length <= rest.len()).then_some(length)
            }
            ScalarStyle::SingleQuoted if c == '\'' => rest.starts_with("''").then_some(2),
            _ => rest.starts_with(c).then_some(c.len_utf8()),
        }
    }

    /// Whether nothing but white space stands before the end of the line.
    fn is_at_line_end(&mut self) -> bool {
        let end = self.blanks_end();
        self.source.get(end..).unwrap_or_default().starts_with(['\n', '\r'])
    }

    /// Where the blanks end that begin here. Kept while the walk is among them: each of many would
    /// look at all the others.
    fn blanks_end(&mut self) -> usize {
        if self.at >= self.blanks_end {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            self.blanks_end = self.at + blanks;
        }
        self.blanks_end
    }

    /// The length of the line end that stands here.
    fn line_end(&self) -> Option<usize> {
        ["\r\n", "\n", "\r"].iter().find(|end| self.rest().starts_with(**end)).map(|end| end.len())
    }

    /// In double quotes a backslash before the line end stands for nothing, with the white space
    /// that begins the next line.
    fn skip_continuations(&mut self) {
        while self.style == ScalarStyle::DoubleQuoted
            && let Some(next) = self.rest().strip_prefix('\\')
            && next.starts_with(['\n', '\r'])
        {
            self.at += self.rest().len() - next.trim_start().len();
        }
    }
}
