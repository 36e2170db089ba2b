//! `kubectl headscale policy check`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::ValueHint;
use clap_complete::engine::ArgValueCandidates;
use headscale_acl::verify::{Verification, verify};
use headscale_acl::{Checked, Finding, Options, Severity, Version};
use headscale_policy_registry::Reference;

use super::findings::{Files, FindingsArgs};
use super::subject::{Decided, read_live, read_snapshot};
use super::test::Suites;
use super::{InputArgs, Places};
use crate::baseline::Baseline;
use crate::commands::sandbox::SandboxArgs;
use crate::commands::{Context, complete};
use crate::config::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::fix::{Fixed, fix};
use crate::input::{Policy, by_file, read_file, write_back};
use crate::instance::InstanceArgs;
use crate::output::{self, Output, write_report};
use crate::plugins::{Judges, Values, Wanted};
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

  # Check what an instance of the cluster has, against its own users and nodes
  kubectl headscale policy check --instance main

  # Check the policies in Kubernetes manifests
  kubectl headscale policy check deploy/headscale.yaml

  # Adopt the check with the findings there are, and fail on new ones only
  kubectl headscale policy check --write-baseline baseline.json policies/
  kubectl headscale policy check --baseline baseline.json policies/

Exit codes:
  0  no findings at or above --fail-on
  1  findings at or above --fail-on
  2  wrong usage or configuration, or input that cannot be read
  3  a plugin failed; the findings of the others are told
  4  a registry of plugins, the instance or the cluster cannot be used
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
    /// 0.30; 0.29 is the default, or the version of --instance, which must be among them.
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

    #[command(flatten)]
    instance: InstanceArgs,

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
        let is_live = self.instance.target().is_some() && self.input.files.is_empty();
        let places = match is_live {
            true => None,
            false => Some(self.input.places("check", &config)?),
        };
        if self.fix && places.as_ref().is_none_or(Places::have_stdin) {
            let what = if is_live { "an instance" } else { "standard input" };
            return Err(CommandError::usage(format!("--fix cannot repair {what}"))
                .hint("write the policy to a file and name that"));
        }
        let live = read_live(&self.instance, is_live, &self.headscale_version, context)?;
        let (mut checker, live_policy) = Checker::new(&self, live, &config, context)?;
        let baseline = match &self.baseline {
            Some(file) => Some(read_baseline(cwd, file)?),
            None => None,
        };

        let mut suites = Suites::read(&[], &config, cwd)?;
        let failed = self.load_plugins(&mut checker.judges, &config, context)?;
        let (policies, mut exit) = match places {
            Some(places) => places.read(context),
            None => (live_policy.into_iter().collect(), Exit::Success),
        };
        exit = exit.max(failed);
        self.spare_inputs(&outputs, &config, &policies, cwd)?;

        let mut report = self.told.report();
        report.plugin_rules = checker.judges.rules().into_values().collect();
        let mut tests = 0;
        let is_one = policies.len() == 1;
        let mut files = Files::of(&mut report);
        for file in by_file(policies) {
            let checked = if self.fix {
                checker.fix(file, context, &mut exit)
            } else {
                file.into_iter().map(|policy| checker.checked(policy)).collect()
            };
            for (policy, checked) in checked {
                let Checked { findings, uncounted, tests: in_policy } = checked;
                tests += in_policy;
                checker.run_suites(&policy, is_one, &mut suites);
                files.add(policy, findings, uncounted);
            }
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
    /// What the arguments say, with the policy of the instance that decides, if one does.
    fn new(
        args: &CheckArgs,
        live: Option<Decided>,
        config: &Config,
        context: &Context<'_>,
    ) -> Result<(Self, Option<Policy>), CommandError> {
        let mut versions = match (args.headscale_version.as_slice(), &live) {
            ([], Some(live)) => vec![live.version],
            ([], None) => config.versions.clone(),
            (versions, _) => versions.to_vec(),
        };
        if versions.is_empty() {
            versions.push(Version::DEFAULT);
        }
        versions.sort_unstable();
        versions.dedup();
        let levels = args.told.levels(config);
        let (snapshot, policy) = match live {
            Some(live) => (Some(live.snapshot), live.policy),
            None => (read_snapshot(args.tailnet.as_deref(), config, context)?, None),
        };
        let today = context.environment.today;
        let newest = versions.last().copied().unwrap_or(Version::DEFAULT);
        let tailnet = snapshot.as_ref().map(|snapshot| Arc::clone(&snapshot.tailnet));
        let judges = Judges::new(newest, tailnet, Some(today));
        Ok((Self { versions, snapshot, today, levels, judges }, policy))
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

    fn checked(&self, policy: Policy) -> (Policy, Checked) {
        let checked = self.check(&policy.label(), &policy.text);
        (policy, checked)
    }

    /// Runs the suites on `policy`, as the newest version reads it. A policy with errors has none to
    /// judge.
    fn run_suites(&self, policy: &Policy, is_one: bool, suites: &mut Suites) {
        if suites.is_empty() {
            return;
        }
        let name = policy.label();
        let verification = Verification {
            name: &name,
            tailnet: self.snapshot.as_ref().map(|snapshot| &*snapshot.tailnet),
            version: self.versions.last().copied().unwrap_or(Version::DEFAULT),
            own_tests: false,
            suites: &suites.to_verify(),
            ..Verification::default()
        };
        if let Ok(verified) = verify(&policy.text, &verification) {
            suites.add(verified.suites, (!is_one).then_some(&*name));
        }
    }

    /// Checks the policies of one file and repairs them there. Where the file cannot be written it
    /// stays what it was, and so does the report.
    fn fix(
        &self,
        policies: Vec<Policy>,
        context: &mut Context<'_>,
        exit: &mut Exit,
    ) -> Vec<(Policy, Checked)> {
        let fixed: Vec<Fixed> = policies
            .iter()
            .map(|policy| fix(policy.text.clone(), |text| self.check(&policy.label(), text)))
            .collect();
        let repaired: usize = fixed.iter().map(|fixed| fixed.repaired).sum();
        if repaired == 0 {
            let checked = fixed.into_iter().map(|fixed| fixed.checked);
            return policies.into_iter().zip(checked).collect();
        }
        let new: Vec<Option<&[u8]>> =
            fixed.iter().map(|fixed| (fixed.repaired > 0).then_some(&*fixed.text)).collect();
        match write_back(&policies, &new) {
            Ok(written) => {
                let name = policies.first().map(|policy| &*policy.name).unwrap_or_default();
                context.ui.note(&format!("repaired {} in {name}", plural(repaired)));
                let checked = fixed.into_iter().map(|fixed| fixed.checked);
                written.into_iter().zip(checked).collect()
            }
            Err(error) => {
                context.ui.error(&error);
                *exit = (*exit).max(error.exit);
                policies.into_iter().map(|policy| self.checked(policy)).collect()
            }
        }
    }
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
