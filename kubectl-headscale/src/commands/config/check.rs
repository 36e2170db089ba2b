//! `kubectl headscale config check`

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCandidates;
use headscale_acl::rules::CONFIG_UNREADABLE;
use headscale_acl::{Counts, Finding, Version};
use headscale_api::config::{ConfigFinding, check, from_yaml};
use serde_json::Value;

use crate::commands::policy::findings::FindingsArgs;
use crate::commands::{Context, complete};
use crate::config::Config;
use crate::error::{CommandError, io_words};
use crate::exit::Exit;
use crate::input::read_file_up_to;
use crate::locate::{self, Part};
use crate::output;
use crate::report::FileReport;
use crate::severity::Levels;
use crate::yaml;

/// Configurations larger than this are refused unread: 4 MiB, far more than any has.
const MAX_BYTES: u64 = 4 << 20;

const EXAMPLES: &str = "\
Examples:
  # Check a configuration for the newest released Headscale
  kubectl headscale config check config.yaml

  # See what an upgrade will refuse or ignore
  kubectl headscale config check --headscale-version 0.28,0.29,0.30 config.yaml

  # Check the configuration that an instance runs with
  kubectl get cm NAME-config -o jsonpath='{.data.config\\.yaml}' | kubectl headscale config check -

  # In a pipeline: text for the log, SARIF for code scanning, fail on warnings too
  kubectl headscale config check -o text -o sarif=config.sarif --fail-on warning config.yaml

Exit codes:
  0  no findings at or above --fail-on
  1  findings at or above --fail-on
  2  wrong usage, or input that cannot be read";

/// Check a config.yaml as Headscale does, and for what it ignores without a word
///
/// Says everything that Headscale would not start with, not only the first thing; which keys are
/// unknown, renamed or gone; and which values are read as something else than they say. An error is
/// what Headscale refuses, and what it ignores although it decides who may do what. No server is
/// needed, and no database is touched.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Headscale versions that must take the configuration (can be repeated)
    ///
    /// Known are 0.28, 0.29 and 0.30; 0.29 is the default.
    #[arg(
        long,
        value_name = "VERSION",
        value_delimiter = ',',
        add = ArgValueCandidates::new(complete::versions)
    )]
    headscale_version: Vec<Version>,

    #[command(flatten)]
    told: FindingsArgs,

    /// Print nothing where there are no findings
    #[arg(short, long)]
    quiet: bool,

    /// Name to show for standard input
    #[arg(long, value_name = "NAME", default_value = "<stdin>", hide_default_value = true)]
    stdin_filename: String,

    /// Configurations of Headscale, or `-` for standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required = true)]
    files: Vec<PathBuf>,
}

impl CheckArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let cwd = context.environment.cwd.clone();
        context.ui.quiet = self.quiet;
        let outputs = self.told.outputs();
        output::check(&outputs, None)?;
        let files = outputs.iter().filter_map(|output| Some(("-o", output.file.as_deref()?)));
        let inputs = self
            .files
            .iter()
            .map(|file| (format!("the configuration {}", file.display()), file.clone()));
        output::not_an_input(&files.collect::<Vec<_>>(), &inputs.collect::<Vec<_>>(), &cwd)?;

        let config = Config::default();
        let levels = self.told.levels(&config);
        let mut report = self.told.report();
        let mut exit = Exit::Success;
        for file in &self.files {
            match self.file(file, context).and_then(|(name, text)| self.check(name, text, &levels))
            {
                Ok(file) => report.files.push(file),
                Err(error) => {
                    context.ui.error(&error);
                    exit = exit.max(error.exit);
                }
            }
        }
        let told = self.told.write(&outputs, &report, &config, &cwd, &mut context.ui);
        Ok(exit.max(told))
    }

    /// The versions to check for, newest first.
    fn versions(&self) -> Vec<Version> {
        let mut versions = self.headscale_version.clone();
        if versions.is_empty() {
            versions.push(Version::DEFAULT);
        }
        versions.sort_unstable_by(|a, b| b.cmp(a));
        versions.dedup();
        versions
    }

    /// Reads a file or standard input, with the name to show.
    fn file(
        &self,
        file: &PathBuf,
        context: &mut Context<'_>,
    ) -> Result<(String, Vec<u8>), CommandError> {
        if file.to_str() != Some("-") {
            let name = file.display().to_string();
            let text = read_file_up_to(MAX_BYTES, &context.environment.cwd.join(file), &name)?;
            return Ok((name, text));
        }
        let name = self.stdin_filename.clone();
        let mut text = Vec::new();
        context.stdin.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| {
            CommandError::usage(format!("cannot read {name}: {}", io_words(&error)))
        })?;
        if text.len() as u64 > MAX_BYTES {
            let message = format!("cannot read {name}: it is larger than {} MiB", MAX_BYTES >> 20);
            return Err(CommandError::usage(message));
        }
        Ok((name, text))
    }

    /// The report on one configuration.
    fn check(
        &self,
        name: String,
        text: Vec<u8>,
        levels: &Levels,
    ) -> Result<FileReport, CommandError> {
        let Ok(yaml) = std::str::from_utf8(&text) else {
            return Err(CommandError::usage(format!("cannot read {name}: it is not UTF-8")));
        };
        let findings = match from_yaml(yaml) {
            Ok(config) => {
                refuse_objects(&name, &config)?;
                placed(yaml, &config, by_version(&config, &self.versions()))
            }
            Err(error) => {
                let (location, message) = yaml::placed(&error);
                vec![Finding::new(&CONFIG_UNREADABLE, yaml::span(yaml, location), message)]
            }
        };
        let findings = levels.apply(findings);
        Ok(FileReport { name, text, findings, uncounted: Counts::default() })
    }
}

/// Refuses what is an object of Kubernetes and not a configuration.
fn refuse_objects(name: &str, config: &Value) -> Result<(), CommandError> {
    let member = |member: &str| config.get(member).and_then(Value::as_str);
    let (Some(_), Some(kind)) = (member("apiVersion"), member("kind")) else { return Ok(()) };
    Err(CommandError::usage(format!("{name} is a {kind} of Kubernetes, and no config.yaml"))
        .hint("name the file that Headscale reads, such as `config.yaml` of its ConfigMap"))
}

/// What the versions, newest first, make of a configuration. What more than one of them says of the
/// same rule at the same place is told once, in the words of the newest, and what not all of them
/// say names those that do.
fn by_version(config: &Value, versions: &[Version]) -> Vec<ConfigFinding> {
    let mut told: Vec<(ConfigFinding, Vec<Version>)> = Vec::new();
    for version in versions {
        // What was told of this version, so that what it says twice is not taken for the same.
        let mut taken = Vec::new();
        for finding in check(config, *version) {
            let same = told.iter().enumerate().position(|(at, (known, _))| {
                !taken.contains(&at)
                    && known.pointer == finding.pointer
                    && known.finding.rule == finding.finding.rule
            });
            match same.and_then(|at| Some((at, told.get_mut(at)?))) {
                Some((at, (known, by))) => {
                    taken.push(at);
                    known.finding.severity = known.finding.severity.max(finding.finding.severity);
                    by.push(*version);
                }
                None => {
                    taken.push(told.len());
                    told.push((finding, vec![*version]));
                }
            }
        }
    }
    let told = told.into_iter().map(|(mut found, mut by)| {
        if by.len() < versions.len() {
            by.sort_unstable();
            let names: Vec<&str> = by.iter().map(|version| version.as_str()).collect();
            let only = format!("for Headscale {}", names.join(" and "));
            found.finding.help = Some(match found.finding.help {
                Some(help) => format!("{only}: {help}"),
                None => only,
            });
        }
        found
    });
    told.collect()
}

/// The findings with their places in `text`, in document order. What is missing at the top of the
/// configuration is about the whole file, and what is missing in a group about the group's name.
fn placed(text: &str, config: &Value, found: Vec<ConfigFinding>) -> Vec<Finding> {
    let part = |found: &ConfigFinding| {
        let is_group = config.pointer(&found.pointer).is_some_and(Value::is_object);
        if found.about_key || is_group { Part::Name } else { Part::Value }
    };
    let pointers = found.iter().map(|found| (&*found.pointer, part(found)));
    let spans = locate::parts(text, pointers);
    let placed = found.into_iter().zip(spans).map(|(found, span)| {
        let span = span.filter(|_| !found.pointer.is_empty());
        Finding { span, ..found.finding }
    });
    let mut findings: Vec<Finding> = placed.collect();
    findings.sort_by(Finding::document_order);
    findings
}
