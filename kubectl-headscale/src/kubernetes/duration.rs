//! Durations as Go writes them.

use std::time::Duration;

/// Reads `1h30m`, `250ms`, `1.5s` or `0`, as Go does; `None` where it is none, is negative, or is
/// longer than can be counted.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c: char| c.is_ascii_digit() || c == '.');
        let (unit, tail) = split(tail, |c: char| !c.is_ascii_digit() && c != '.');
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
        rest = tail;
    }
    Some(total)
}

/// Reads a flag that takes a duration.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    go_duration(text).ok_or("expected a duration such as 30s, 5m or 1h")
}

/// Reads what `--request-timeout` takes: a duration, or whole seconds.
pub(super) fn request_timeout(text: &str) -> Result<Duration, &'static str> {
    let seconds = || text.parse().ok().map(Duration::from_secs);
    go_duration(text).or_else(seconds).ok_or(
        "Timeout must be a single integer in seconds, or an integer followed by a corresponding \
         time unit (e.g. 1s | 2m | 3h)",
    )
}

fn split(text: &str, part: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let seconds = |text| go_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("0"), Some(0.0));
        assert_eq!(seconds("1h30m"), Some(5_400.0));
        assert_eq!(seconds("1.5s"), Some(1.5));
        assert_eq!(seconds("250ms"), Some(0.25));
        for none in ["", "1", "s", "-1s", "1x", "1..5s", "1e9h", "99999999999999999999h", "1 s"] {
            assert_eq!(seconds(none), None, "{none}");
        }
        assert_eq!(request_timeout("30"), Ok(Duration::from_secs(30)));
        assert_eq!(request_timeout("2m"), Ok(Duration::from_secs(120)));
        assert!(request_timeout("soon").is_err());
    }
}
