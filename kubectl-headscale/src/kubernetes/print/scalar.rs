//! How kubectl's YAML library writes a string: when it needs quotes, and which.

/// How a string is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// The style of `text`; `key` is one that must stand on one line.
pub(super) fn style(text: &str, key: bool) -> Style {
    let found = Found::of(text);
    if text.contains('\n') && !key && found.block {
        return Style::Literal;
    }
    if text.contains('\n') || !is_string(text) || !found.single {
        return Style::Double;
    }
    if found.plain { Style::Plain } else { Style::Single }
}

/// Whether the library takes `c` for one that can be shown.
pub(super) const fn is_printable(c: char) -> bool {
    // Not the separators of lines and paragraphs: unquoted they would be read as other text.
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{fefe}')
        || matches!(c, '\u{ff00}'..='\u{fffd}')
}

/// What a string allows.
struct Found {
    plain: bool,
    single: bool,
    block: bool,
}

impl Found {
    fn of(text: &str) -> Self {
        let mut found = Self { plain: true, single: true, block: true };
        let blank = |c: Option<char>| matches!(c, None | Some(' ' | '\t'));
        if text.starts_with("---") || text.starts_with("...") {
            found.plain = false;
        }
        let mut before = None;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            let indicator = match (before, c) {
                (None, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'') => {
                    true
                }
                (None, '"' | '%' | '@' | '`') => true,
                (None, '?' | ':' | '-') | (Some(_), ':') => blank(next),
                (Some(' ' | '\t' | '\n'), '#') => true,
                _ => false,
            };
            found.plain &= !indicator;
            if !is_printable(c) {
                (found.plain, found.single, found.block) = (false, false, false);
            }
            match (before, c, next) {
                (None, ' ', _) => found.plain = false,
                (_, ' ', None) => (found.plain, found.block) = (false, false),
                (Some('\n'), ' ', _) => (found.plain, found.single) = (false, false),
                (Some(' '), '\n', _) => {
                    (found.plain, found.single, found.block) = (false, false, false);
                }
                (_, '\n', _) => found.plain = false,
                _ => {}
            }
            before = Some(c);
        }
        found
    }
}

/// Whether `text` without quotes would be a string for the library.
fn is_string(text: &str) -> bool {
    const WORDS: [&str; 30] = [
        "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO",
        "on", "On", "ON", "off", "Off", "OFF", "true", "True", "TRUE", "false", "False", "FALSE",
        ".nan", ".NaN", ".NAN",
    ];
    if WORDS.contains(&text) {
        return false;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return false;
    }
    let first = unsigned.chars().next();
    if !first.is_some_and(|c| c.is_ascii_digit() || c == '.') {
        return true;
    }
    !(is_number(unsigned) || is_base_60(unsigned) || is_time(text))
}

fn is_number(unsigned: &str) -> bool {
    let plain: String = unsigned.chars().filter(|c| *c != '_').collect();
    let lower = plain.to_lowercase();
    let digits =
        |text: &str, radix: u32| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .any(|(prefix, radix)| lower.strip_prefix(prefix).is_some_and(|rest| digits(rest, radix)));
    prefixed || digits(&plain, 10) || is_float(&lower)
}

fn is_float(lower: &str) -> bool {
    let (mantissa, exponent) = match lower.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (lower, None),
    };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let whole = match mantissa.split_once('.') {
        Some((before, after)) => {
            digits(before) && digits(after) && !(before.is_empty() && after.is_empty())
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let power = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    whole && power
}

/// `1:30`, which YAML 1.1 takes for 90.
fn is_base_60(unsigned: &str) -> bool {
    let (whole, _) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let sixty = |part: &&str| part.len() <= 2 && part.parse::<u8>().is_ok_and(|n| n < 60);
    first.chars().all(|c| c.is_ascii_digit() || c == '_')
        && !rest.is_empty()
        && rest.iter().all(sixty)
}

/// `2030-01-31`, alone or with a time behind it.
fn is_time(text: &str) -> bool {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let date = match parts.as_slice() {
        [year, month, day] => {
            year.len() == 4
                && [year, month, day].iter().all(|part| part.chars().all(|c| c.is_ascii_digit()))
                && (1..=2).contains(&month.len())
                && (1..=2).contains(&day.len())
        }
        _ => false,
    };
    let clock = |time: &str| {
        time.contains(':')
            && time.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.' | 'Z' | '+' | '-'))
    };
    date && time.is_none_or(clock)
}
