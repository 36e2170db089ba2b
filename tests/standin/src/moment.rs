//! Points in time as Headscale keeps and writes them.

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::options::Version;

/// Seconds from the epoch to Go's zero time.
const ZERO_SECONDS: i64 = -62_135_596_800;

/// A point in time, with the offset from UTC that it was given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    at: Timestamp,
    /// In seconds, east is positive.
    #[serde(default)]
    offset: i32,
}

impl Moment {
    /// Go's zero time, the first instant of the year 1: what is stored where none was given.
    pub(crate) fn zero() -> Self {
        Self::from(Timestamp::from_second(ZERO_SECONDS).expect("the year 1 is representable"))
    }

    /// Reads RFC 3339.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let ends_well = text.ends_with('Z') || bytes.iter().nth_back(2) == Some(&b':');
        let is_strict = bytes.get(10) == Some(&b'T') && ends_well;
        let pieces = jiff::fmt::temporal::Pieces::parse(text).ok().filter(|_| is_strict)?;
        let offset = pieces.to_numeric_offset()?.seconds();
        Some(Self { at: text.parse().ok()?, offset })
    }

    /// Of protobuf's seconds and nanoseconds.
    pub(crate) fn from_parts(seconds: i64, nanos: i32) -> Option<Self> {
        Timestamp::new(seconds, nanos).ok().map(Self::from)
    }

    /// The instant.
    pub(crate) fn timestamp(self) -> Timestamp {
        self.at
    }

    /// As `version` writes it: 0.30 echoes the offset, older ones write UTC with 0, 3, 6 or 9
    /// digits.
    pub(crate) fn written(self, version: Version) -> String {
        let offset = if version.has_grpc() { 0 } else { self.offset };
        let local = Offset::from_seconds(offset).unwrap_or(Offset::UTC).to_datetime(self.at);
        let nanos = self.at.as_nanosecond().rem_euclid(1_000_000_000);
        let digits = format!("{nanos:09}");
        let fraction = if version.has_grpc() {
            let kept =
                [0, 3, 6].into_iter().find(|kept| digits[*kept..].bytes().all(|b| b == b'0'));
            &digits[..kept.unwrap_or(9)]
        } else {
            digits.trim_end_matches('0')
        };
        let point = if fraction.is_empty() { "" } else { "." };
        let zone = if offset == 0 {
            "Z".to_owned()
        } else {
            let minutes = offset.abs() / 60;
            let sign = if offset < 0 { '-' } else { '+' };
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        };
        let (date, time) = (local.date(), local.time());
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{point}{fraction}{zone}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
        )
    }

    /// Whether it is before `now`, as an expired key's is.
    pub(crate) fn is_past(self, now: Timestamp) -> bool {
        now.duration_since(self.at) > SignedDuration::ZERO
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self { at, offset: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_writes_times_in_its_own_form() {
        for (sent, old, new) in [
            (
                "2027-01-01T02:00:00.5+02:00",
                "2027-01-01T00:00:00.500Z",
                "2027-01-01T02:00:00.5+02:00",
            ),
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (
                "2027-01-01T00:00:00.123456Z",
                "2027-01-01T00:00:00.123456Z",
                "2027-01-01T00:00:00.123456Z",
            ),
            (
                "2027-01-01T00:00:00.12345678Z",
                "2027-01-01T00:00:00.123456780Z",
                "2027-01-01T00:00:00.12345678Z",
            ),
        ] {
            let moment = Moment::parse(sent).unwrap();
            assert_eq!(moment.written(Version::V0_29), old);
            assert_eq!(moment.written(Version::V0_30), new);
        }
        assert_eq!(Moment::zero().written(Version::V0_28), "0001-01-01T00:00:00Z");
        assert_eq!(Moment::zero().written(Version::V0_30), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn a_day_or_a_time_without_offset_is_no_time() {
        for text in [
            "2027-01-01",
            "2027-01-01T00:00:00",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:00+0200",
            "soon",
            "",
        ] {
            assert!(Moment::parse(text).is_none(), "{text}");
        }
    }
}
