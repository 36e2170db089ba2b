//! Numbers as they are written.

use serde_json::Number;

/// Whether `literal`, a number of JSON5 or YAML in decimal or hexadecimal, is the same number in
/// the JSON that is made of it.
pub(super) fn survives(literal: &str) -> bool {
    let (negative, digits) = match literal.strip_prefix(['+', '-']) {
        Some(digits) => (literal.starts_with('-'), digits),
        None => (false, literal),
    };
    if let Some(hex) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        let limit = if negative { 1 << 63 } else { u64::MAX };
        return u64::from_str_radix(hex, 16).is_ok_and(|value| value <= limit);
    }
    let bare = literal.strip_prefix('+').unwrap_or(literal);
    if bare.parse::<u64>().is_ok() || bare.parse::<i64>().is_ok() {
        return true;
    }
    let number = bare.parse().ok().and_then(Number::from_f64);
    let written = number.map(|number| number.to_string());
    let same = |written: &String| {
        let decimal = decimal(digits);
        decimal.is_some() && decimal == self::decimal(written.trim_start_matches('-'))
    };
    written.as_ref().is_some_and(same)
}

/// The digits of an unsigned decimal number without zeros at either end, and the power of ten of
/// the last one; `None` where it is none.
fn decimal(number: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
        None => (number, 0_i64),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let power = exponent
        .checked_sub(fraction.len() as i64)?
        .checked_add((digits.len() - significant.len()) as i64)?;
    match significant.trim_start_matches('0') {
        "" => Some((String::new(), 0)),
        significant => Some((significant.to_owned(), power)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_survives_if_json_writes_the_same_one() {
        for kept in [
            "0",
            "-0",
            "1.50",
            "+5",
            "1e3",
            ".5",
            "5.",
            "0x7f",
            "-0x8000000000000000",
            "18446744073709551615",
            "-9223372036854775808",
            "0.1",
            "1E-7",
            "0.0e5",
        ] {
            assert!(survives(kept), "{kept}");
        }
        for lost in [
            "18446744073709551616",
            "12345678901234567890123",
            "0.1000000000000000055",
            "1e999",
            "0x10000000000000000",
            "-0x8000000000000001",
            "9007199254740993.0",
        ] {
            assert!(!survives(lost), "{lost}");
        }
    }
}
