//! Text of plugins, made harmless.
//!
//! Reporters escape for their formats all the same: this keeps out what no message needs.

/// `text` on one line, without characters that nobody sees or that change what stands around them,
/// cut after `bytes`.
///
/// White space of any kind becomes one space, the rest is left out.
pub(crate) fn line(text: &str, bytes: usize) -> String {
    clean(text, bytes, false)
}

/// The same over several lines: line feeds and tabs stay.
pub(crate) fn lines(text: &str, bytes: usize) -> String {
    clean(text, bytes, true)
}

fn clean(text: &str, bytes: usize, keep_lines: bool) -> String {
    // What is left out is read too: no more of it than this.
    let text = prefix(text, bytes.saturating_mul(4));
    let mut out = String::with_capacity(text.len().min(bytes));
    for c in text.chars() {
        let c = match c {
            '\n' | '\t' if keep_lines => c,
            c if c.is_whitespace() => ' ',
            c if is_hidden(c) => continue,
            c => c,
        };
        if c == ' ' && !keep_lines && out.ends_with(' ') {
            continue;
        }
        if out.len() + c.len_utf8() > bytes {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// The first bytes of `text`, whole characters.
pub(crate) fn prefix(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Control characters, those that set directions, and those without a shape. Joiners are not among
/// them: scripts and emoji need them.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_left_out() {
        assert_eq!(line("a\u{1b}[31mb\u{202e}c\r\n::error::d", 99), "a[31mbc ::error::d");
        assert_eq!(lines("a\n\tb\u{7}\r\n", 99), "a\n\tb");
        assert_eq!(line("aé", 2), "a…");
        assert_eq!(line("عربي 👩\u{200d}💻", 99), "عربي 👩\u{200d}💻");
    }
}
