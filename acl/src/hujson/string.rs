//! JSON strings: decoding escapes, and writing a value back.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Decodes the escapes in the inside of a string literal. Lone surrogates become U+FFFD; an unknown
/// escape keeps its character, which happens only in JSON5 that the parser read across.
pub(super) fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(first) = inner.find('\\') else {
        return Cow::Borrowed(inner);
    };
    let (plain, mut rest) = inner.split_at(first);
    let mut out = String::with_capacity(inner.len());
    out.push_str(plain);
    while let Some(after) = rest.strip_prefix('\\') {
        let mut chars = after.chars();
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (c, left) = unicode_escape(chars.as_str());
                out.push(c.unwrap_or('\u{fffd}'));
                chars = left.chars();
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = chars.as_str();
        let next = rest.find('\\').unwrap_or(rest.len());
        let (plain, left) = rest.split_at(next);
        out.push_str(plain);
        rest = left;
    }
    Cow::Owned(out)
}

/// Reads the four hex digits after `\u`, and the low half of a pair where one follows. Returns the
/// character, `None` for a lone surrogate, and what is left.
fn unicode_escape(rest: &str) -> (Option<char>, &str) {
    let Some((high, left)) = hex4(rest) else {
        return (None, rest);
    };
    if !(0xd800..0xdc00).contains(&high) {
        return (char::from_u32(high), left);
    }
    let low = left.strip_prefix("\\u").and_then(hex4);
    match low {
        Some((low, left)) if (0xdc00..0xe000).contains(&low) => {
            (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), left)
        }
        _ => (None, left),
    }
}

fn hex4(text: &str) -> Option<(u32, &str)> {
    let digits = text.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(digits, 16).ok()?, text.get(4..)?))
}

/// Whether the inside of a string literal is what JSON allows: no raw control character, only known
/// escapes. Returns whether it also holds a lone surrogate.
pub(super) fn validate(inner: &str) -> Result<bool, ()> {
    if inner.bytes().any(|b| b < 0x20) {
        return Err(());
    }
    let mut lone = false;
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let after = rest.get(at + 1..).unwrap_or_default();
        rest = match after.as_bytes().first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                after.get(1..).unwrap_or_default()
            }
            Some(b'u') => {
                let digits = after.get(1..).unwrap_or_default();
                hex4(digits).ok_or(())?;
                let (c, left) = unicode_escape(digits);
                lone |= c.is_none();
                left
            }
            _ => return Err(()),
        };
    }
    Ok(lone)
}

/// `value` as a JSON string literal with its quotes, escaping only what must be: `"`, `\` and
/// control characters.
///
/// ```
/// assert_eq!(headscale_acl::hujson::quote("a\"\n/é"), r#""a\"\n/é""#);
/// ```
#[must_use]
pub fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x20 => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_decode_to_their_characters() {
        assert_eq!(unescape(r"a\/b\u0041\n\ud83d\ude00"), "a/bA\n😀");
        assert_eq!(unescape(r"\ud800x"), "\u{fffd}x");
        assert_eq!(unescape(r"\ud800\u0041"), "\u{fffd}A");
    }

    #[test]
    fn only_what_json_allows_is_valid() {
        assert_eq!(validate(r"a\u00e9"), Ok(false));
        assert_eq!(validate(r"\udc00"), Ok(true));
        assert_eq!(validate(r"\x41"), Err(()));
        assert_eq!(validate(r"\u12"), Err(()));
        assert_eq!(validate("a\tb"), Err(()));
    }
}
