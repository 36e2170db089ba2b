//! How long a key is good for.

const HOUR: f64 = 3_600.0;
const DAY: f64 = 24.0 * HOUR;

/// Reads a duration as Go or Prometheus writes them (`24h`, `1h30m`, `90d`, `1w2d`), and gives it
/// as the definitions take it: in hours, minutes and seconds. A day has 24 hours, a year 365 days.
pub(super) fn expiration(text: &str) -> Result<String, String> {
    let wrong = || {
        format!("{text:?} is no duration: expected hours, minutes, days or weeks, as in 12h or 90d")
    };
    let mut rest = text;
    let mut seconds = 0.0;
    let mut is_converted = false;
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, tail) = split(tail, |c| !c.is_ascii_digit() && c != '.');
        let (unit, converted) = match unit {
            "s" => (1.0, false),
            "m" => (60.0, false),
            "h" => (HOUR, false),
            "d" => (DAY, true),
            "w" => (7.0 * DAY, true),
            "y" => (365.0 * DAY, true),
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        seconds += number * unit;
        is_converted |= converted;
        rest = tail;
    }
    // Go counts nanoseconds in 64 bits, which is 292 years.
    if seconds <= 0.0 || seconds > 292.0 * 365.0 * DAY {
        return Err(wrong());
    }
    if !is_converted {
        return Ok(text.to_owned());
    }
    // Whole seconds: nobody wants a part of one beside days.
    let seconds = seconds.round();
    let (hours, rest) = ((seconds / HOUR).floor(), seconds % HOUR);
    let (minutes, seconds) = ((rest / 60.0).floor(), rest % 60.0);
    let parts = [(hours, "h"), (minutes, "m"), (seconds, "s")];
    let parts = parts.iter().filter(|(number, _)| *number > 0.0);
    Ok(parts.map(|(number, unit)| format!("{number}{unit}")).collect())
}

fn split(text: &str, part: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks_become_hours() {
        for (given, expected) in [
            ("24h", "24h"),
            ("1h30m", "1h30m"),
            ("1.5h", "1.5h"),
            ("90d", "2160h"),
            ("1w2d", "216h"),
            ("1y", "8760h"),
            ("1d30m", "24h30m"),
            ("1.5d10s", "36h10s"),
        ] {
            assert_eq!(expiration(given).as_deref(), Ok(expected));
        }
        for wrong in ["", "0", "0h", "90", "d", "-1h", "1 d", "1mo", "5ms", "1..5h", "400y"] {
            assert!(expiration(wrong).is_err(), "{wrong}");
        }
    }
}
