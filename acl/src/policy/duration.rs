//! Durations: as Go's `time.ParseDuration` reads and prints them, and as Prometheus reads them.
//!
//! No crate reads exactly either of them (humantime and jiff accept more and less), so both stand
//! here.

use std::fmt::Write as _;

use super::quote::go_quote;

const NANOSECOND: i128 = 1;
const MICROSECOND: i128 = 1_000 * NANOSECOND;
const MILLISECOND: i128 = 1_000 * MICROSECOND;
const SECOND: i128 = 1_000 * MILLISECOND;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;

/// A length of time in nanoseconds; may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanoseconds(pub i64);

impl Nanoseconds {
    /// 168 hours: the longest check period that Headscale takes.
    pub const WEEK: Self = Self((168 * HOUR) as i64);

    /// Reads a Go duration: `1h30m`, `-1.5h`, `0`.
    ///
    /// # Errors
    ///
    /// Go's own sentence.
    pub fn parse_go(text: &str) -> Result<Self, String> {
        let invalid = || format!("time: invalid duration {}", go_quote(text));
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
            let (whole, after) = rest.split_at(digits(rest));
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) => after.split_at(digits(after)),
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return Err(invalid());
            }
            let (unit, after) = after.split_at(
                after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len()),
            );
            let scale = match unit {
                "" => return Err(format!("time: missing unit in duration {}", go_quote(text))),
                "ns" => NANOSECOND,
                "us" | "µs" | "μs" => MICROSECOND,
                "ms" => MILLISECOND,
                "s" => SECOND,
                "m" => MINUTE,
                "h" => HOUR,
                _ => {
                    let (unit, text) = (go_quote(unit), go_quote(text));
                    return Err(format!("time: unknown unit {unit} in duration {text}"));
                }
            };
            let whole: i128 =
                if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
            total =
                whole.checked_mul(scale).and_then(|w| total.checked_add(w)).ok_or_else(invalid)?;
            // Go keeps the digits of a fraction that fit 63 bits; 18 do.
            let kept = fraction.get(..fraction.len().min(18)).unwrap_or_default();
            if let Ok(fraction) = kept.parse::<i128>() {
                total += fraction * scale / 10_i128.pow(kept.len() as u32);
            }
            // Go adds in unsigned 64 bits and allows one more on the negative side.
            if total > i128::from(i64::MAX) + i128::from(negative) {
                return Err(invalid());
            }
            rest = after;
        }
        i64::try_from(if negative { -total } else { total }).map(Self).map_err(|_| invalid())
    }

    /// Reads a Prometheus duration: `1y2w3d4h5m6s7ms` in this order, each at most once; `0`.
    ///
    /// # Errors
    ///
    /// Prometheus' own sentence.
    pub fn parse_prometheus(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Self(0));
        }
        if text.is_empty() {
            return Err("empty duration string".to_owned());
        }
        let invalid = || format!("not a valid duration string: {}", go_quote(text));
        let units = [
            ("y", 365 * 24 * HOUR),
            ("w", 7 * 24 * HOUR),
            ("d", 24 * HOUR),
            ("h", HOUR),
            ("m", MINUTE),
            ("s", SECOND),
            ("ms", MILLISECOND),
        ];
        let mut units = units.into_iter();
        let mut rest = text;
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let (number, after) =
                rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
            let (unit, after) =
                after.split_at(after.bytes().take_while(|b| !b.is_ascii_digit()).count());
            let (_, scale) = units.find(|(name, _)| *name == unit).ok_or_else(invalid)?;
            let number: i128 = number.parse().map_err(|_| invalid())?;
            total = number.checked_mul(scale).map(|n| total + n).ok_or_else(invalid)?;
            if total > i128::from(i64::MAX) {
                return Err("duration out of range".to_owned());
            }
            rest = after;
        }
        i64::try_from(total).map(Self).map_err(|_| invalid())
    }

    /// The shortest way to write it in Go's units, hours at most: `168h`, `90m`.
    #[must_use]
    pub fn in_hours(self) -> String {
        let nanoseconds = i128::from(self.0);
        let units = [("h", HOUR), ("m", MINUTE), ("s", SECOND)];
        match units.into_iter().find(|(_, unit)| nanoseconds % unit == 0) {
            Some((unit, scale)) => format!("{}{unit}", nanoseconds / scale),
            None => self.to_go(),
        }
    }

    /// As Go prints it: `1h0m0s`, `1.5s`, `-1m0s`.
    #[must_use]
    pub fn to_go(self) -> String {
        let nanoseconds = i128::from(self.0);
        let (sign, rest) = if nanoseconds < 0 { ("-", -nanoseconds) } else { ("", nanoseconds) };
        if rest == 0 {
            return "0s".to_owned();
        }
        let fraction = |value: i128, unit: i128| {
            let digits = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
            let digits = digits.trim_end_matches('0');
            let dot = if digits.is_empty() { "" } else { "." };
            format!("{}{dot}{digits}", value / unit)
        };
        let mut out = sign.to_owned();
        // Writing to a String cannot fail.
        _ = match rest {
            _ if rest < MICROSECOND => write!(out, "{rest}ns"),
            _ if rest < MILLISECOND => write!(out, "{}µs", fraction(rest, MICROSECOND)),
            _ if rest < SECOND => write!(out, "{}ms", fraction(rest, MILLISECOND)),
            _ => {
                let (hours, minutes) = (rest / HOUR, rest % HOUR / MINUTE);
                let seconds = fraction(rest % MINUTE, SECOND);
                match (hours, minutes) {
                    (0, 0) => write!(out, "{seconds}s"),
                    (0, _) => write!(out, "{minutes}m{seconds}s"),
                    _ => write!(out, "{hours}h{minutes}m{seconds}s"),
                }
            }
        };
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_and_printed_as_go_does() {
        for (text, printed) in [
            ("1h", "1h0m0s"),
            ("-1m", "-1m0s"),
            ("1.5h", "1h30m0s"),
            ("0", "0s"),
            ("5µs", "5µs"),
            (".5s", "500ms"),
            ("1h1h", "2h0m0s"),
            ("169h", "169h0m0s"),
            ("1m0.25s", "1m0.25s"),
        ] {
            assert_eq!(Nanoseconds::parse_go(text).map(Nanoseconds::to_go), Ok(printed.to_owned()));
        }
        for (text, error) in [
            ("7d", r#"time: unknown unit "d" in duration "7d""#),
            ("5", r#"time: missing unit in duration "5""#),
            ("", r#"time: invalid duration """#),
            ("1 h", r#"time: unknown unit " h" in duration "1 h""#),
            ("9223372036854775808ns", r#"time: invalid duration "9223372036854775808ns""#),
            ("x", r#"time: invalid duration "x""#),
        ] {
            assert_eq!(Nanoseconds::parse_go(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn prometheus_durations_keep_their_order() {
        assert_eq!(Nanoseconds::parse_prometheus("7d"), Ok(Nanoseconds::WEEK));
        assert!(Nanoseconds::parse_prometheus("1h30m").is_ok());
        for bad in ["30m1h", "1.5h", "-1h", "always", "1h1h", "5"] {
            assert!(Nanoseconds::parse_prometheus(bad).is_err(), "{bad}");
        }
        assert_eq!(Nanoseconds::parse_prometheus(""), Err("empty duration string".to_owned()));
    }
}
