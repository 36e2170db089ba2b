//! How findings come out, and when they fail a run.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use headscale_acl::{Counts, Finding};

use crate::commands::complete;
use crate::config::Config;
use crate::exit::Exit;
use crate::input::Policy;
use crate::manifests::Embedded;
use crate::output::Output;
use crate::report::{FileReport, Format, Report, counts};
use crate::severity::{FailOn, Levels, RuleLevel};
use crate::ui::Ui;
use crate::version;

/// How findings come out, and when they fail a run.
#[derive(Debug, Args)]
pub(in crate::commands) struct FindingsArgs {
    /// Format of the findings, and the file for them (can be repeated)
    ///
    /// One of text, concise, json, sarif, junit, github, gitlab and markdown; text is the
    /// default. At most one goes to standard output.
    #[arg(
        short,
        long,
        value_name = "FORMAT[=FILE]",
        add = ArgValueCandidates::new(complete::formats)
    )]
    output: Vec<Output>,

    /// Least severity that makes the run fail [default: error]
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,

    /// Severity of a rule's findings (can be repeated)
    ///
    /// Overrides the configuration. LEVEL is off, info, warning or error. Headscale's own rules
    /// cannot be changed.
    #[arg(
        long,
        value_name = "ID=LEVEL",
        add = ArgValueCandidates::new(complete::changeable_rules)
    )]
    rule: Vec<RuleLevel>,

    /// Findings to tell at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_findings: usize,
}

impl FindingsArgs {
    /// Where the findings go.
    pub(in crate::commands) fn outputs(&self) -> Vec<Output> {
        match self.output.as_slice() {
            [] => vec![Output { format: Format::Text, file: None }],
            outputs => outputs.to_vec(),
        }
    }

    /// The severities of the configuration, and over them those of the arguments.
    pub(in crate::commands) fn levels(&self, config: &Config) -> Levels {
        let mut levels = Levels::default();
        self.rules(config).for_each(|rule| levels.set(rule.clone()));
        levels
    }

    /// The rules whose severity is set, the last one last.
    pub(super) fn rules<'r>(&'r self, config: &'r Config) -> impl Iterator<Item = &'r RuleLevel> {
        config.rules.iter().chain(&self.rule)
    }

    /// A report without files yet.
    pub(in crate::commands) fn report(&self) -> Report {
        Report {
            files: Vec::new(),
            plugin_rules: Vec::new(),
            tool_version: version::CLIENT.to_owned(),
            max_findings: self.max_findings,
        }
    }

    /// Writes the report, and returns how it ends the run. A report without files, or without
    /// findings where those are all that is asked for, says nothing to people.
    pub(in crate::commands) fn write(
        &self,
        outputs: &[Output],
        report: &Report,
        config: &Config,
        cwd: &Path,
        ui: &mut Ui<'_>,
    ) -> Exit {
        let counts = counts(report);
        let mut exit = Exit::Success;
        if self.fail_on.or(config.fail_on).unwrap_or(FailOn::Error).fails(counts) {
            exit = Exit::Findings;
        }
        for output in outputs {
            // Where no policy could be read there is nothing to be "ok".
            let nothing_to_say = (ui.quiet && counts.total() == 0) || report.files.is_empty();
            let for_people =
                matches!(output.format, Format::Text | Format::Concise | Format::Markdown);
            if nothing_to_say && output.file.is_none() && for_people {
                continue;
            }
            // One report that cannot be written leaves the others and the verdict.
            if let Err(error) = output.write(report, cwd, ui) {
                ui.error(&error);
                exit = exit.max(error.exit);
            }
        }
        exit
    }
}

/// Reports on files as their policies come: a file with several has one report on all of them, in
/// document order.
pub(super) struct Files<'r> {
    reports: &'r mut Vec<FileReport>,
    /// The text of the last one, if it may have more policies.
    last: Option<Arc<str>>,
}

impl<'r> Files<'r> {
    /// Those of `report`.
    pub(super) fn of(report: &'r mut Report) -> Self {
        Self { reports: &mut report.files, last: None }
    }

    /// Adds what was found in `policy`.
    pub(super) fn add(&mut self, policy: Policy, findings: Vec<Finding>, uncounted: Counts) {
        match (self.reports.last_mut(), &self.last, &policy.embedded) {
            // Not compared, and not copied: there may be thousands in a large one.
            (Some(file), Some(last), Some(embedded))
                if Arc::ptr_eq(last, &embedded.shared_source()) =>
            {
                let first = file.findings.len();
                file.findings.extend(findings.into_iter().map(|found| embedded.finding(found)));
                let new = file.findings.get(first.saturating_sub(1)..).unwrap_or_default();
                // All that came before is in order.
                if !new.is_sorted_by(|one, other| one.document_order(other).is_le()) {
                    file.findings.sort_by(Finding::document_order);
                }
                file.uncounted = file.uncounted.plus(uncounted);
            }
            _ => {
                self.last = policy.embedded.as_ref().map(Embedded::shared_source);
                self.reports.push(policy.report(findings, uncounted));
            }
        }
    }
}
