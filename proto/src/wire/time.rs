//! Times: RFC 3339 with up to nine digits of fraction. Where Headscale has none it may say null, or
//! the year 1.

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Deserializer, Serializer, de};

/// 1900-01-01T00:00:00Z in seconds from 1970. Before it there is no time that anybody meant.
const YEAR_1900: i64 = -2_208_988_800;

/// In UTC, with all its nanoseconds.
pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Any offset; nothing for null, an empty text and a time before 1900.
///
/// The year 9999 goes on for longer in Headscale: its last hours are the last time that there is.
pub(crate) fn deserialize<'de, D>(deserializer: D) -> Result<Option<Timestamp>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let time = text.parse().ok().or_else(|| last(&text));
    Ok(since_1900(time.ok_or_else(|| de::Error::custom("not a time of RFC 3339"))?))
}

/// The last time there is here, for those few hours of the year 9999 that only Headscale has.
fn last(text: &str) -> Option<Timestamp> {
    let (local, _) = text.split_at_checked("9999-12-31T23:59:59".len())?;
    let local: DateTime = local.parse().ok()?;
    (local.year() == 9999).then_some(Timestamp::MAX)
}

/// A time that somebody meant.
pub(crate) fn since_1900(time: Timestamp) -> Option<Timestamp> {
    (time.as_second() >= YEAR_1900).then_some(time)
}
