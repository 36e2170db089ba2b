//! The verdict in one line.

use headscale_acl::Counts;

use super::{Report, counts, visible};

/// `2 errors, 1 warning in 1 file`, or `policy.hujson: ok`.
pub(super) fn summary(report: &Report) -> String {
    let all = report.files.len() as u64;
    let found = listed(counts(report));
    if found.is_empty() {
        return match report.files.as_slice() {
            [file] => format!("{}: ok", visible::name(&file.name)),
            _ => format!("{}: ok", counted(all, "file")),
        };
    }
    let with = report
        .files
        .iter()
        .filter(|file| !file.findings.is_empty() || file.uncounted.total() > 0)
        .count() as u64;
    if with == all {
        format!("{found} in {}", counted(all, "file"))
    } else {
        format!("{found} in {} of {}", grouped(with), counted(all, "file"))
    }
}

/// `2 errors, 1 warning`; empty where there is nothing.
pub(super) fn listed(counts: Counts) -> String {
    [(counts.errors, "error"), (counts.warnings, "warning"), (counts.infos, "info")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| counted(count, noun))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A number with a comma between groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
