//! The text of a description, laid out as `kubectl describe` does.

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::report::visible::printable;

/// Spaces between columns.
const GAP: usize = 2;
pub(super) const NONE: &str = "<none>";

/// A description as it is written: fields, whose values stand below one another, and blocks.
#[derive(Debug, Default)]
pub(super) struct Text {
    fields: Vec<(String, String)>,
    blocks: String,
}

impl Text {
    /// A field with one line.
    pub(super) fn field(&mut self, label: &str, value: impl AsRef<str>) {
        let value = printable(value.as_ref()).into_owned();
        self.fields.push((format!("{label}:"), value));
    }

    /// A field with a line for each of `values`; `<none>` where there are none.
    pub(super) fn fields(&mut self, label: &str, values: impl IntoIterator<Item = String>) {
        let mut values = values.into_iter();
        self.field(label, values.next().unwrap_or_else(|| NONE.to_owned()));
        for value in values {
            self.fields.push((String::new(), printable(&value).into_owned()));
        }
    }

    /// Rows below headers; `<none>` where there are none.
    pub(super) fn rows<const N: usize>(
        &mut self,
        title: &str,
        headers: [&str; N],
        rows: Vec<[String; N]>,
    ) {
        // Writing to a String cannot fail.
        if rows.is_empty() {
            _ = writeln!(self.blocks, "{title}:  {NONE}");
            return;
        }
        let rule = headers.map(|header| "-".repeat(header.chars().count()));
        let shown = rows.into_iter().map(|row| row.map(|cell| one_line(&cell)));
        let lines: Vec<[String; N]> =
            [headers.map(str::to_owned), rule].into_iter().chain(shown).collect();
        let mut widths = [0; N];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        _ = writeln!(self.blocks, "{title}:");
        for line in &lines {
            let cells = line.iter().zip(widths);
            let padded: String =
                cells.map(|(cell, width)| format!("{cell:<pad$}", pad = width + GAP)).collect();
            _ = writeln!(self.blocks, "  {}", padded.trim_end());
        }
    }

    /// The conditions of an object.
    pub(super) fn conditions(&mut self, conditions: &[Condition]) {
        let row = |condition: &Condition| {
            [
                condition.type_.clone(),
                condition.status.clone(),
                condition.reason.clone(),
                condition.message.clone(),
            ]
        };
        let rows = conditions.iter().map(row).collect();
        self.rows("Conditions", ["Type", "Status", "Reason", "Message"], rows);
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        let width = self.fields.iter().map(|(label, _)| label.chars().count()).max();
        let width = width.unwrap_or_default() + GAP;
        let fields = self.fields.iter().map(|(label, value)| {
            let line = format!("{label:<width$}{value}");
            format!("{}\n", line.trim_end())
        });
        fields.chain([self.blocks]).collect()
    }
}

fn one_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = printable(lines.next().unwrap_or_default()).into_owned();
    if lines.next().is_some() { format!("{first}...") } else { first }
}

/// `time`, and how far it is from `now`.
pub(super) fn moment(time: Timestamp, now: Timestamp) -> String {
    let seconds = time.as_second() - now.as_second();
    let distance = human(seconds.unsigned_abs());
    if seconds > 0 { format!("{time} (in {distance})") } else { format!("{time} ({distance} ago)") }
}

/// A time in RFC 3339, and how far it is from `now`; what is no time stays as it is.
pub(super) fn moment_text(text: &str, now: Timestamp) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |time| moment(time, now))
}

/// `time`, or `<unknown>`.
pub(super) fn created(time: Option<&Time>, now: Timestamp) -> String {
    time.map_or_else(|| "<unknown>".to_owned(), |time| moment(time.0, now))
}

/// A duration in seconds, as kubectl shows ages: in the two units that matter.
pub(super) fn human(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |big: u64, unit: char, small: u64, other: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{other}") }
    };
    match (seconds, minutes, hours, days) {
        (0..120, ..) => format!("{seconds}s"),
        (_, 0..10, ..) => two(minutes, 'm', seconds % 60, 's'),
        (_, 0..180, ..) => format!("{minutes}m"),
        (_, _, 0..8, _) => two(hours, 'h', minutes % 60, 'm'),
        (_, _, 0..48, _) => format!("{hours}h"),
        (_, _, 0..192, _) => two(days, 'd', hours % 24, 'h'),
        (.., 0..730) => format!("{days}d"),
        _ => two(days / 365, 'y', days % 365, 'd'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_those_of_kubectl() {
        let shown = |seconds| human(seconds);
        assert_eq!(shown(95), "95s");
        assert_eq!(shown(185), "3m5s");
        assert_eq!(shown(180), "3m");
        assert_eq!(shown(59 * 60), "59m");
        assert_eq!(shown(3 * 3_600 + 300), "3h5m");
        assert_eq!(shown(30 * 3_600), "30h");
        assert_eq!(shown(5 * 86_400 + 3 * 3_600), "5d3h");
        assert_eq!(shown(400 * 86_400), "400d");
        assert_eq!(shown(765 * 86_400), "2y35d");
    }

    #[test]
    fn a_moment_says_how_far_it_is() {
        let now: Timestamp = "2030-01-01T00:00:00Z".parse().expect("a time");
        assert_eq!(moment_text("2030-01-01T01:00:00Z", now), "2030-01-01T01:00:00Z (in 60m)");
        assert_eq!(moment_text("2029-12-31T23:59:00Z", now), "2029-12-31T23:59:00Z (60s ago)");
        assert_eq!(moment_text("soon", now), "soon");
    }
}
