//! Which findings a bounded format prints.

use headscale_acl::{Counts, Finding, Severity};

use super::{FileReport, Report, counts};

/// The findings that are printed of a report: at most `max_findings`, the worst first in line, told
/// in document order. So a hundred warnings never hide an error.
pub(super) struct Selection<'a> {
    report: &'a Report,
    budget: Counts,
}

impl<'a> Selection<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        let mut kept = Counts::default();
        for finding in report.files.iter().flat_map(|file| &file.findings) {
            kept.add(finding.severity);
        }
        let mut left = match report.max_findings {
            0 => u64::MAX,
            max => max as u64,
        };
        let mut take = |kept: u64| {
            let taken = kept.min(left);
            left -= taken;
            taken
        };
        let budget = Counts {
            errors: take(kept.errors),
            warnings: take(kept.warnings),
            infos: take(kept.infos),
        };
        Self { report, budget }
    }

    /// The files that have findings to print, with these.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'a FileReport, Vec<&'a Finding>)> {
        let mut left = self.budget;
        self.report.files.iter().filter_map(move |file| {
            let taken: Vec<_> = file.findings.iter().filter(|f| take(&mut left, f)).collect();
            (!taken.is_empty()).then_some((file, taken))
        })
    }

    /// How many findings of each severity are printed.
    pub(super) fn printed(&self) -> Counts {
        self.budget
    }

    /// How many findings are not printed when `printed` are, and what would show more of them:
    /// `… and 900 more findings (--max-findings 0 shows all)`. `None` where none is left.
    pub(super) fn rest(&self, printed: u64) -> Option<String> {
        let all = counts(self.report).total();
        let kept: u64 = self.report.files.iter().map(|file| file.findings.len() as u64).sum();
        let rest = all - printed;
        if rest == 0 {
            return None;
        }
        let findings = super::summary::counted(rest, "more finding");
        let bound = self.budget.total();
        Some(if printed < bound || bound == kept {
            // Not the bound holds them back, so the flag would not help.
            format!("… and {findings}")
        } else if kept == all {
            format!("… and {findings} (--max-findings 0 shows all)")
        } else {
            let kept = super::summary::grouped(kept);
            format!("… and {findings} (--max-findings 0 shows the first {kept})")
        })
    }
}

fn take(left: &mut Counts, finding: &Finding) -> bool {
    let left = match finding.severity {
        Severity::Error => &mut left.errors,
        Severity::Warning => &mut left.warnings,
        Severity::Info => &mut left.infos,
    };
    let taken = *left > 0;
    *left = left.saturating_sub(1);
    taken
}
