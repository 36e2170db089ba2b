//! `kubectl headscale policy check`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::ValueHint;
use clap_complete::engine::ArgValueCandidates;
use headscale_acl::verify::{Verification, verify};
use headscale_acl::{Checked, Finding, Options, Severity, Version};
use headscale_policy_registry::Reference;

use super::InputArgs;
use super::findings::FindingsArgs;
use super::subject::read_snapshot;
use super::test::Suites;
use crate::baseline::Baseline;
use crate::commands::sandbox::SandboxArgs;
use crate::commands::{Context, complete};
use crate::config::Config;
use crate::error::{CommandError, io_words};
use crate::exit::Exit;
use crate::fix::fix;
use crate::input::{Policy, read_file};
use crate::output::{self, Output, write_report};
use crate::plugins::{Judges, Values, Wanted};
use crate::replace::replace;
use crate::report::{FileReport, Format, Report};
use crate::severity::Levels;
use crate::snapshot::Snapshot;

const EXAMPLES: &str = "\
Examples:
  # Check a policy for the newest released Headscale
  kubectl headscale policy check policy.hujson

  # Check it for an upgrade, against the users and nodes there are
  kubectl headscale policy check --headscale-version 0.28,0.29 --tailnet tailnet.json policy.hujson

  # In a pipeline: text for the log, SARIF for code scanning, fail on warnings too
  kubectl headscale policy check -o text -o sarif=policy.sarif --fail-on warning policies/

  # Hold it against what must never be reachable
  kubectl headscale policy check --plugin builtin:guardrails --params guardrails.yaml policy.hujson

  # Repair what can be repaired
  kubectl headscale policy check --fix policy.hujson

  # Adopt the check with the findings there are, and fail on new ones only
  kubectl headscale policy check --write-baseline baseline.json policies/
  kubectl headscale policy check --baseline baseline.json policies/

Exit codes:
  0  no findings at or above --fail-on
  1  findings at or above --fail-on
  2  wrong usage or configuration, or input that cannot be read
  3  a plugin failed; the findings of the others are told
  4  a registry of plugins cannot be used
  5  a plugin is not what was agreed to";

/// Check policies as Headscale does, and for what people regret
///
/// Says everything that Headscale would refuse, not only the first thing, and where it would
/// accept a policy, what in it probably is not what was meant. No server is needed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Headscale versions that must take the policy (can be repeated)
    ///
    /// More than one also tells what changes its meaning between them. Known are 0.28, 0.29 and
    /// 0.30; 0.29 is the default.
    #[arg(
        long,
        value_name = "VERSION",
        value_delimiter = ',',
        add = ArgValueCandidates::new(complete::versions)
    )]
    headscale_version: Vec<Version>,

    /// Users and nodes to check against, as JSON or YAML
    ///
    /// The policy's own `tests` and `sshTests` are run against them, and the suites of the
    /// configuration. What is wrong with them is
    /// told too.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    tailnet: Option<PathBuf>,

    #[command(flatten)]
    told: FindingsArgs,

    /// Repair in the files what can be repaired
    #[arg(long)]
    fix: bool,

    /// Leave out the findings of an earlier run, its JSON report
    ///
    /// A finding is known by its rule, file and message, wherever it stands by now.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    baseline: Option<PathBuf>,

    /// Write all findings to a baseline, and leave them out
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,

    /// Plugin that judges too: ./x.wasm, builtin:NAME or oci://REGISTRY/REPOSITORY:TAG (can be
    /// repeated)
    ///
    /// Beside those of the configuration. It judges policies that Headscale takes, as the newest
    /// of the versions does.
    #[arg(long, value_name = "REF", add = ArgValueCandidates::new(complete::plugins))]
    plugin: Vec<Reference>,

    /// Settings of the plugin that --plugin names, as YAML or JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "plugin")]
    params: Option<PathBuf>,

    #[command(flatten)]
    sandbox: SandboxArgs,

    /// Print nothing where there are no findings
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    input: InputArgs,
}

impl CheckArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let cwd = context.environment.cwd.as_path();
        context.ui.quiet = self.quiet;
        let outputs = self.told.outputs();
        output::check(&outputs, self.write_baseline.as_deref())?;
        let config = self.input.config(context)?;
        let places = self.input.places("check", &config)?;
        if self.fix && places.have_stdin() {
            return Err(CommandError::usage("--fix cannot repair standard input")
                .hint("write the policy to a file and name that"));
        }
        let mut checker = Checker::new(&self, &config, context)?;
        let baseline = match &self.baseline {
            Some(file) => Some(read_baseline(cwd, file)?),
            None => None,
        };

        let mut suites = Suites::read(&[], &config, cwd)?;
        let failed = self.load_plugins(&mut checker.judges, &config, context)?;
        let (policies, mut exit) = places.read(context);
        exit = exit.max(failed);
        self.spare_inputs(&outputs, &config, &policies, cwd)?;

        let mut report = self.told.report();
        report.plugin_rules = checker.judges.rules().into_values().collect();
        let mut tests = 0;
        let is_one = policies.len() == 1;
        for policy in policies {
            let (file, tests_in_file) = if self.fix {
                checker.fix(policy, context, &mut exit)
            } else {
                let checked = checker.check(&policy.name, &policy.text);
                file_report(policy.name, policy.text, checked)
            };
            tests += tests_in_file;
            checker.run_suites(&file, is_one, &mut suites);
            report.files.push(file);
        }
        exit = exit.max(checker.judges.tell(&mut context.ui));
        report.files.extend(suites.reports(&checker.levels));
        report.files.extend(checker.snapshot_report());
        if tests > 0 && checker.snapshot.is_none() && !self.quiet {
            let tests = if tests == 1 { "1 test".to_owned() } else { format!("{tests} tests") };
            context.ui.note(&format!(
                "{tests} not run: that needs the nodes, `--tailnet FILE`; `policy test` runs them \
                 on nodes made up from the policy"
            ));
        }

        if let Some(file) = &self.write_baseline {
            if exit == Exit::Success {
                write_baseline(&mut report, cwd, file, context)?;
            } else {
                let message = format!(
                    "{} is not written, because not all policies could be checked",
                    file.display()
                );
                context.ui.warning(&message);
            }
        }
        if let (Some(mut baseline), Some(name)) = (baseline, &self.baseline) {
            let known = subtract(&mut report, &mut baseline);
            if known > 0 {
                let findings = plural(known);
                let message = format!("{findings} known from {} not told", name.display());
                context.ui.note(&message);
            }
        }

        let told = self.told.write(&outputs, &report, &config, cwd, &mut context.ui);
        exit = exit.max(told);
        Ok(exit)
    }

    /// Loads the plugins of the configuration and of the arguments. What cannot be loaded is told,
    /// and the rest judges.
    fn load_plugins(
        &self,
        judges: &mut Judges,
        config: &Config,
        context: &mut Context<'_>,
    ) -> Result<Exit, CommandError> {
        let mut wanted = config.plugins.clone();
        let settings = match (&self.params, self.plugin.as_slice()) {
            (None, _) => Values::new(serde_json::Map::new()),
            (Some(file), [_]) => Values::read(&context.environment.cwd, file)?,
            (Some(_), _) => {
                return Err(CommandError::usage("--params is for one --plugin").hint(
                    "give the others their `params` under `plugins` in .headscale-policy.yaml",
                ));
            }
        };
        wanted.extend(self.plugin.iter().map(|reference| Wanted {
            reference: reference.clone(),
            base: PathBuf::new(),
            settings: settings.clone(),
        }));
        let mut exit = Exit::Success;
        if wanted.is_empty() {
            return Ok(exit);
        }
        let source = self.sandbox.source(config, context)?;
        for wanted in &wanted {
            if let Err(error) = judges.add(&source, wanted, &mut context.ui) {
                context.ui.error(&error);
                exit = exit.max(error.exit);
            }
        }
        judges.check_levels(self.told.rules(config))?;
        Ok(exit)
    }

    /// Refuses to write over what the run reads.
    fn spare_inputs(
        &self,
        outputs: &[Output],
        config: &Config,
        policies: &[Policy],
        cwd: &Path,
    ) -> Result<(), CommandError> {
        let files = outputs.iter().filter_map(|output| Some(("-o", output.file.as_deref()?)));
        let baseline = self.write_baseline.as_deref().map(|file| ("--write-baseline", file));
        let files: Vec<(&str, &Path)> = files.chain(baseline).collect();
        let input =
            |what: &str, file: &PathBuf| (format!("{what} {}", file.display()), file.clone());
        let policies = policies.iter().filter_map(|policy| {
            Some((format!("the policy {}", policy.name), policy.path.clone()?))
        });
        let tailnet = self.tailnet.iter().chain(&config.tailnet);
        let suites = config.suites.iter().map(|file| input("the suite", file));
        let inputs: Vec<(String, PathBuf)> = policies
            .chain(tailnet.map(|file| input("the tailnet", file)))
            .chain(suites)
            .chain(self.baseline.iter().map(|file| input("the baseline", file)))
            .chain(self.params.iter().map(|file| input("the settings", file)))
            .chain(config.file.iter().map(|file| input("the configuration", file)))
            .collect();
        output::not_an_input(&files, &inputs, cwd)
    }
}

/// What to check policies for.
struct Checker {
    versions: Vec<Version>,
    snapshot: Option<Snapshot>,
    today: headscale_acl::Date,
    levels: Levels,
    judges: Judges,
}

impl Checker {
    fn new(args: &CheckArgs, config: &Config, context: &Context<'_>) -> Result<Self, CommandError> {
        let mut versions = match args.headscale_version.as_slice() {
            [] => config.versions.clone(),
            versions => versions.to_vec(),
        };
        if versions.is_empty() {
            versions.push(Version::DEFAULT);
        }
        versions.sort_unstable();
        versions.dedup();
        let levels = args.told.levels(config);
        let snapshot = read_snapshot(args.tailnet.as_deref(), config, context)?;
        let today = context.environment.today;
        let newest = versions.last().copied().unwrap_or(Version::DEFAULT);
        let tailnet = snapshot.as_ref().map(|snapshot| Arc::clone(&snapshot.tailnet));
        let judges = Judges::new(newest, tailnet, Some(today));
        Ok(Self { versions, snapshot, today, levels, judges })
    }

    /// What was found in the snapshot, once.
    fn snapshot_report(&mut self) -> Option<FileReport> {
        let defects = self.snapshot.as_mut()?.defects.take()?;
        defects.report(&self.levels)
    }

    fn check(&self, name: &str, text: &[u8]) -> Checked {
        let options = Options {
            versions: &self.versions,
            tailnet: self.snapshot.as_ref().map(|snapshot| &*snapshot.tailnet),
            today: Some(self.today),
        };
        let mut checked = headscale_acl::check(text, &options);
        let refused = checked.findings.iter().any(|finding| finding.severity == Severity::Error);
        if !self.judges.is_empty() && !refused {
            let (findings, uncounted) = self.judges.judge(name, text);
            checked.findings.extend(findings);
            checked.findings.sort_by(Finding::document_order);
            checked.uncounted = checked.uncounted.plus(uncounted);
        }
        Checked { findings: self.levels.apply(checked.findings), ..checked }
    }

    /// Runs the suites on the policy in `file`, as the newest version reads it. A policy with errors
    /// has none to judge.
    fn run_suites(&self, file: &FileReport, is_one: bool, suites: &mut Suites) {
        if suites.is_empty() {
            return;
        }
        let verification = Verification {
            name: &file.name,
            tailnet: self.snapshot.as_ref().map(|snapshot| &*snapshot.tailnet),
            version: self.versions.last().copied().unwrap_or(Version::DEFAULT),
            own_tests: false,
            suites: &suites.to_verify(),
            ..Verification::default()
        };
        if let Ok(verified) = verify(&file.text, &verification) {
            suites.add(verified.suites, (!is_one).then_some(&*file.name));
        }
    }

    /// Checks `policy` and repairs it in its file. Where the file cannot be written it stays what
    /// it was, and so does the report.
    fn fix(
        &self,
        policy: Policy,
        context: &mut Context<'_>,
        exit: &mut Exit,
    ) -> (FileReport, usize) {
        let fixed = fix(policy.text.clone(), |text| self.check(&policy.name, text));
        let Some(path) = policy.path.filter(|_| fixed.repaired > 0) else {
            return file_report(policy.name, fixed.text, fixed.checked);
        };
        match replace(&path, &policy.text, &fixed.text) {
            Ok(()) => {
                let message = format!("repaired {} in {}", plural(fixed.repaired), policy.name);
                context.ui.note(&message);
                file_report(policy.name, fixed.text, fixed.checked)
            }
            Err(error) => {
                let message = format!("cannot write {}: {}", policy.name, io_words(&error));
                let error = CommandError::usage(message);
                context.ui.error(&error);
                *exit = (*exit).max(error.exit);
                let checked = self.check(&policy.name, &policy.text);
                file_report(policy.name, policy.text, checked)
            }
        }
    }
}

/// The report on a file, and how many tests in it were not run.
fn file_report(name: String, text: Vec<u8>, checked: Checked) -> (FileReport, usize) {
    let Checked { findings, uncounted, tests } = checked;
    (FileReport { name, text, findings, uncounted }, tests)
}

fn read_baseline(cwd: &Path, file: &Path) -> Result<Baseline, CommandError> {
    let name = file.display().to_string();
    let json = read_file(&cwd.join(file), &name)?;
    Baseline::read(&json).map_err(|error| {
        CommandError::usage(format!("cannot read the baseline {name}: {error}"))
            .hint("`--write-baseline FILE` writes one")
    })
}

/// Writes all findings to `file`, and takes them out of `report`.
fn write_baseline(
    report: &mut Report,
    cwd: &Path,
    file: &Path,
    context: &mut Context<'_>,
) -> Result<(), CommandError> {
    let told = std::mem::replace(&mut report.max_findings, 0);
    write_report(Format::Json, report, cwd, file)?;
    report.max_findings = told;
    let known: usize = report.files.iter().map(|file| file.findings.len()).sum();
    for file in &mut report.files {
        file.findings.clear();
    }
    let message = format!("wrote {} to {}", plural(known), file.display());
    context.ui.note(&message);
    Ok(())
}

fn subtract(report: &mut Report, baseline: &mut Baseline) -> usize {
    let mut known = 0;
    for file in &mut report.files {
        known += baseline.subtract(&file.name, &mut file.findings);
    }
    known
}

fn plural(findings: usize) -> String {
    match findings {
        1 => "1 finding".to_owned(),
        findings => format!("{findings} findings"),
    }
}
