//! Text quoted as Go's `%q` does: Headscale's sentences quote names so.

use std::fmt::Write as _;

/// `text` in double quotes with Go's escapes.
pub(crate) fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let code = u32::from(c);
        // Writing to a String cannot fail.
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            ' ' | '\'' => out.push(c),
            _ if c.escape_debug().len() == 1 => out.push(c),
            _ if code < 0x80 => _ = write!(out, "\\x{code:02x}"),
            _ if code <= 0xffff => _ = write!(out, "\\u{code:04x}"),
            _ => _ = write!(out, "\\U{code:08x}"),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::go_quote;

    #[test]
    fn escapes_are_those_of_go() {
        assert_eq!(go_quote("a\"\\\u{0}\u{7f}é\u{a0}'"), r#""a\"\\\x00\x7fé\u00a0'""#);
    }
}
