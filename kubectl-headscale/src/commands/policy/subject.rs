//! The one policy that a question is about, and the tailnet that it is for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCandidates;
use headscale_acl::engine::{self, Network, QueryError};
use headscale_acl::{Checked, LineIndex, Position, Severity, Span, Tailnet, Version};

use super::{FromArgs, InputArgs};
use crate::commands::{Context, complete};
use crate::config::{self, Config};
use crate::data::DataFormat;
use crate::error::CommandError;
use crate::input::Policy;
use crate::instance::{self, InstanceArgs, Want, at_server};
use crate::report::{FileReport, Format, Report, reporter};
use crate::severity::Levels;
use crate::snapshot::{self, Snapshot};
use crate::ui::Ui;
use crate::version;

/// How many findings are told of a policy that answers nothing, or of a snapshot.
const TOLD: usize = 20;

/// What is told where there is no tailnet.
pub(super) const MADE_UP: &str =
    "the nodes are made up from the policy; name the real ones with --tailnet";

/// A format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerFormat {
    Text,
    Json,
    Yaml,
}

impl AnswerFormat {
    /// The format for programs, if it is one.
    pub(crate) const fn data(self) -> Option<DataFormat> {
        match self {
            Self::Text => None,
            Self::Json => Some(DataFormat::Json),
            Self::Yaml => Some(DataFormat::Yaml),
        }
    }
}

/// Why a question has no answer, in the words of a command.
pub(super) fn answer_error(error: QueryError) -> CommandError {
    let QueryError { message, hint, .. } = error;
    CommandError { hints: hint.into_iter().collect(), ..CommandError::usage(message) }
}

/// Which policy a question is about, and for which tailnet and version.
#[derive(Debug, Args)]
pub(super) struct SubjectArgs {
    /// Policy file, or `-` for standard input
    ///
    /// Without FILE: the policy of --instance, or `files` of .headscale-policy.yaml, if that is one
    /// policy.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    #[command(flatten)]
    about: AboutArgs,

    #[command(flatten)]
    from: FromArgs,
}

/// For which tailnet and version of Headscale to answer.
#[derive(Debug, Args)]
pub(super) struct AboutArgs {
    /// Users and nodes, as JSON or YAML
    ///
    /// Without them nodes are made up from what the policy names: one for each user and tag, and
    /// routers for its networks.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    tailnet: Option<PathBuf>,

    /// Headscale version: 0.28, 0.29 or 0.30 [default: 0.29]
    #[arg(long, value_name = "VERSION", add = ArgValueCandidates::new(complete::versions))]
    headscale_version: Option<Version>,

    #[command(flatten)]
    instance: InstanceArgs,
}

/// What an answer is for.
pub(super) struct About {
    pub(super) tailnet: Option<Arc<Tailnet>>,
    pub(super) version: Version,
    /// The policy of the instance, where one is asked and its policy was wanted.
    pub(super) policy: Option<Policy>,
}

impl AboutArgs {
    /// The tailnet's file, if one is named.
    pub(super) fn tailnet(&self) -> Option<&Path> {
        self.tailnet.as_deref()
    }

    /// Whether an instance is asked.
    pub(super) fn is_live(&self) -> bool {
        self.instance.target().is_some()
    }

    /// What the instance says, or the arguments, or else the configuration. What is wrong with the
    /// tailnet is told.
    pub(super) fn read(
        self,
        config: &Config,
        want_policy: bool,
        context: &mut Context<'_>,
    ) -> Result<About, CommandError> {
        let asked: Vec<Version> = self.headscale_version.into_iter().collect();
        let live = read_live(&self.instance, want_policy, &asked, context)?;
        let (version, snapshot, policy) = match live {
            Some(Decided { version, snapshot, policy }) => (version, Some(snapshot), policy),
            None => {
                let version = one_version(self.headscale_version, config)?;
                let snapshot = read_snapshot(self.tailnet.as_deref(), config, context)?;
                (version, snapshot, None)
            }
        };
        let tailnet = match snapshot {
            Some(snapshot) => {
                let Snapshot { tailnet, defects } = snapshot;
                let mut levels = Levels::default();
                config.rules.iter().for_each(|rule| levels.set(rule.clone()));
                if let Some(report) = defects.and_then(|defects| defects.report(&levels)) {
                    tell_warnings(report, &mut context.ui);
                }
                Some(tailnet)
            }
            None => None,
        };
        Ok(About { tailnet, version, policy })
    }
}

/// A policy with what is needed to ask it.
pub(super) struct Subject {
    policy: Policy,
    about: About,
}

/// Lines and columns of places in a policy.
pub(super) struct Places<'p> {
    policy: &'p Policy,
    lines: LineIndex,
}

impl Places<'_> {
    /// Where `span` of the policy begins and ends in its file.
    pub(super) fn of(&self, span: Span) -> (Position, Position) {
        let span = self.policy.place(span);
        (self.lines.position(span.start), self.lines.position(span.end))
    }
}

impl SubjectArgs {
    /// Reads the policy for the command of this name; `None` where it cannot be read, which is
    /// then told.
    pub(super) fn read(
        self,
        command: &str,
        context: &mut Context<'_>,
    ) -> Result<Option<Subject>, CommandError> {
        let Self { file, about, from } = self;
        let input = InputArgs { files: file.into_iter().collect(), from };
        let config = input.config(context)?;
        let is_live = about.is_live() && input.files.is_empty();
        if is_live {
            let mut about = about.read(&config, true, context)?;
            return Ok(about.policy.take().map(|policy| Subject { policy, about }));
        }
        let places = input.places(command, &config)?;
        let about = about.read(&config, false, context)?;
        let (policies, _) = places.read(context);
        let count = policies.len();
        let mut policies = policies.into_iter();
        match (policies.next(), policies.next()) {
            (Some(policy), None) => Ok(Some(Subject { policy, about })),
            (None, _) => Ok(None),
            _ => Err(CommandError::usage(format!(
                "`policy {command}` is about one policy, and these are {count}"
            ))
            .hint("name one file")),
        }
    }
}

/// The version asked for, or the one of the configuration, or the default.
fn one_version(asked: Option<Version>, config: &Config) -> Result<Version, CommandError> {
    match (asked, config.versions.as_slice()) {
        (Some(version), _) => Ok(version),
        (None, [version]) => Ok(*version),
        (None, []) => Ok(Version::DEFAULT),
        (None, versions) => {
            let names: Vec<&str> = versions.iter().map(|version| version.as_str()).collect();
            let message = format!("the answer depends on the version: {}", names.join(" or "));
            Err(CommandError::usage(message).hint("choose one with --headscale-version"))
        }
    }
}

/// What an instance decides.
pub(super) struct Decided {
    pub(super) version: Version,
    pub(super) snapshot: Snapshot,
    /// Its policy, where that was wanted.
    pub(super) policy: Option<Policy>,
}

/// Asks the instance that the arguments name; `None` where they name none. `asked` are the versions
/// of the arguments, of which it must be one.
pub(super) fn read_live(
    args: &InstanceArgs,
    policy: bool,
    asked: &[Version],
    context: &Context<'_>,
) -> Result<Option<Decided>, CommandError> {
    let Some(target) = args.target() else { return Ok(None) };
    let want = Want { policy, tailnet: true };
    let live = instance::read(&target, want, context.environment).map_err(at_server)?;
    let version = live.version;
    if !asked.is_empty() && !asked.contains(&version) {
        let asked: Vec<&str> = asked.iter().map(|version| version.as_str()).collect();
        let message = format!(
            "--headscale-version {} is not what {} runs: {}",
            asked.join(","),
            live.name,
            live.reported
        );
        return Err(
            CommandError::usage(message).hint("leave it out: the instance decides its version")
        );
    }
    let json = DataFormat::Json.render(&live.tailnet)?;
    let name = format!("<users and nodes of {}>", live.name);
    let snapshot = snapshot::from_text(name, json.into_bytes())?;
    let shown = live.shown();
    let policy = live.policy.map(|text| Policy::new(shown, text));
    Ok(Some(Decided { version, snapshot, policy }))
}

/// The snapshot in `file`, or the one of the configuration.
pub(super) fn read_snapshot(
    file: Option<&Path>,
    config: &Config,
    context: &Context<'_>,
) -> Result<Option<Snapshot>, CommandError> {
    let cwd = &context.environment.cwd;
    match (file, &config.tailnet) {
        (Some(file), _) => snapshot::read(cwd, file).map(Some),
        (None, Some(file)) => snapshot::read(cwd, file).map(Some).map_err(|error| {
            let config = config.file.as_deref().unwrap_or(Path::new(config::NAME));
            error.hint(format!("it is the `tailnet` of {}", config.display()))
        }),
        (None, None) => Ok(None),
    }
}

impl Subject {
    /// The policy's name, as shown.
    pub(super) fn name(&self) -> &str {
        &self.policy.name
    }

    /// The policy's text.
    pub(super) fn text(&self) -> &[u8] {
        &self.policy.text
    }

    /// Which lines and columns places of the policy are told with: those of its file.
    pub(super) fn places(&self) -> Places<'_> {
        Places { policy: &self.policy, lines: LineIndex::new(self.policy.source()) }
    }

    /// Asks the policy; `None` where Headscale would refuse it, which is then told as
    /// `policy check` tells it.
    pub(super) fn ask<T>(
        &self,
        ui: &mut Ui<'_>,
        question: impl FnOnce(&Network<'_, '_>) -> T,
    ) -> Option<T> {
        let About { tailnet, version, .. } = &self.about;
        match engine::ask(self.text(), tailnet.as_deref(), *version, question) {
            Ok(answer) => Some(answer),
            Err(checked) => {
                tell(&self.policy, checked, ui);
                None
            }
        }
    }
}

/// Tells what is wrong with a policy that Headscale would refuse, as `policy check` does.
pub(super) fn tell(policy: &Policy, checked: Checked, ui: &mut Ui<'_>) {
    tell_file(policy.clone().report(checked.findings, checked.uncounted), ui);
}

/// Tells the warnings about a snapshot, whose answers are given all the same; an error is one by
/// configuration, and no more than a warning here.
fn tell_warnings(mut report: FileReport, ui: &mut Ui<'_>) {
    for finding in &mut report.findings {
        finding.severity = finding.severity.min(Severity::Warning);
    }
    report.findings.retain(|finding| finding.severity == Severity::Warning);
    // No flag of these commands shows more.
    for finding in report.findings.drain(TOLD.min(report.findings.len())..) {
        report.uncounted.add(finding.severity);
    }
    report.uncounted.warnings += std::mem::take(&mut report.uncounted.errors);
    report.uncounted.infos = 0;
    if !report.findings.is_empty() {
        tell_file(report, ui);
    }
}

fn tell_file(file: FileReport, ui: &mut Ui<'_>) {
    let report = Report {
        files: vec![file],
        tool_version: version::CLIENT.to_owned(),
        max_findings: TOLD,
        ..Report::default()
    };
    let mut told = Vec::new();
    // Nothing fails to be written to a vector.
    reporter(Format::Text, ui.error_style()).report(&report, &mut told).ok();
    ui.tell(&String::from_utf8_lossy(&told));
}
