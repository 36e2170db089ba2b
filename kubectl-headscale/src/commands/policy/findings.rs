//! How findings come out, and when they fail a run.

use std::path::Path;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::commands::complete;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::Output;
use crate::report::{Format, Report, counts};
use crate::severity::{FailOn, Levels, RuleLevel};
use crate::ui::Ui;
use crate::version;

/// How findings come out, and when they fail a run.
#[derive(Debug, Args)]
pub(super) struct FindingsArgs {
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
    pub(super) fn outputs(&self) -> Vec<Output> {
        match self.output.as_slice() {
            [] => vec![Output { format: Format::Text, file: None }],
            outputs => outputs.to_vec(),
        }
    }

    /// The severities of the configuration, and over them those of the arguments.
    pub(super) fn levels(&self, config: &Config) -> Levels {
        let mut levels = Levels::default();
        self.rules(config).for_each(|rule| levels.set(rule.clone()));
        levels
    }

    /// The rules whose severity is set, the last one last.
    pub(super) fn rules<'r>(&'r self, config: &'r Config) -> impl Iterator<Item = &'r RuleLevel> {
        config.rules.iter().chain(&self.rule)
    }

    /// A report without files yet.
    pub(super) fn report(&self) -> Report {
        Report {
            files: Vec::new(),
            plugin_rules: Vec::new(),
            tool_version: version::CLIENT.to_owned(),
            max_findings: self.max_findings,
        }
    }

    /// Writes the report, and returns how it ends the run. A report without files, or without
    /// findings where those are all that is asked for, says nothing to people.
    pub(super) fn write(
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
