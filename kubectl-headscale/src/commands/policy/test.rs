//! `kubectl headscale policy test`

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use headscale_acl::Finding;
use headscale_acl::verify::{self, Tally, Verification, Verified, verify};

use super::InputArgs;
use super::findings::{Files, FindingsArgs};
use super::subject::{AboutArgs, MADE_UP};
use crate::commands::Context;
use crate::config::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::report::FileReport;
use crate::report::visible::folded;
use crate::severity::Levels;
use crate::suite::Suite;

const EXAMPLES: &str = "\
Examples:
  # Run the policy's own tests, on nodes made up from the policy
  kubectl headscale policy test policy.hujson

  # Run a suite too, on the nodes there are
  kubectl headscale policy test policy.hujson --suite suite.yaml --tailnet tailnet.json

  # Say which rules no test goes through, and which mistakes no test would notice
  kubectl headscale policy test policy.hujson --suite suite.yaml --coverage --mutate

  # Make untested rules fail a pipeline
  kubectl headscale policy test policy.hujson --coverage --rule rule-untested=error

A suite:
  version: 1
  tests:
  - {from: group:dev, to: 'tag:web:443', expect: accept}
  - {from: group:dev, to: 'tag:db:5432', expect: deny}
  invariants:
  - never: {from: group:contractors, to: tag:db}
  - only: {to: 'tag:db:22', from: [group:admins]}

Exit codes:
  0  all tests pass
  1  tests fail, or findings at or above --fail-on
  2  wrong usage or configuration, or input that cannot be read";

/// Run the tests of a policy, and suites beside it
///
/// The policy's own `tests` and `sshTests` run as Headscale runs them when it saves a policy. They
/// prove little, so suites can say more: an entry of a suite is about all sources and all
/// destinations unless it says `match: any`, by the exact protocol and in both address families,
/// with `autogroup:self` and `via`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// Suite to run, as YAML or HuJSON (can be repeated)
    ///
    /// Without it `suites` of .headscale-policy.yaml.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    suite: Vec<PathBuf>,

    /// Tell which rules, and which of their names, no test goes through
    #[arg(long)]
    coverage: bool,

    /// Break the policy rule by rule, and tell what no test notices
    #[arg(long)]
    mutate: bool,

    #[command(flatten)]
    told: FindingsArgs,

    #[command(flatten)]
    about: AboutArgs,

    #[command(flatten)]
    input: InputArgs,
}

impl TestArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let outputs = self.told.outputs();
        output::check(&outputs, None)?;
        let config = self.input.config(context)?;
        let is_live = self.about.is_live() && self.input.files.is_empty();
        let places = match is_live {
            true => None,
            false => Some(self.input.places("test", &config)?),
        };
        let levels = self.told.levels(&config);
        let cwd = context.environment.cwd.clone();
        let mut suites = Suites::read(&self.suite, &config, &cwd)?;
        let spared = spared(&self.about, &suites, &config);
        let mut about = self.about.read(&config, is_live, context)?;
        let (policies, mut exit) = match places {
            Some(places) => places.read(context),
            None => (about.policy.take().into_iter().collect(), Exit::Success),
        };
        let policy_files = policies.iter().filter_map(|policy| {
            Some((format!("the policy {}", policy.name), policy.path.clone()?))
        });
        let files: Vec<(&str, &Path)> =
            outputs.iter().filter_map(|output| Some(("-o", output.file.as_deref()?))).collect();
        let inputs: Vec<(String, PathBuf)> = policy_files.chain(spared).collect();
        output::not_an_input(&files, &inputs, &cwd)?;

        let mut report = self.told.report();
        let is_one = policies.len() == 1;
        // Findings about what is not tested are an answer too.
        let mut has_tests = self.coverage || self.mutate || policies.is_empty();
        let mut files = Files::of(&mut report);
        for policy in policies {
            let (coverage, mutate) = (self.coverage, self.mutate);
            let label = policy.label();
            let ui = RefCell::new(&mut context.ui);
            let progress = |done: usize, all: usize| {
                if done.is_multiple_of(10) {
                    let line = format!("{}: mistake {done} of {all}", folded(&label));
                    ui.borrow_mut().progress(Some(&line));
                }
            };
            let verification = Verification {
                name: &label,
                tailnet: about.tailnet.as_deref(),
                version: about.version,
                own_tests: true,
                suites: &suites.to_verify(),
                coverage,
                mutate,
                today: Some(context.environment.today),
                progress: &progress,
            };
            let verified = verify(&policy.text, &verification);
            if mutate {
                context.ui.progress(None);
            }
            let (findings, uncounted) = match verified {
                Err(refused) => {
                    has_tests = true;
                    (refused.findings, refused.uncounted)
                }
                Ok(verified) => {
                    has_tests |= verified.own_tests + verified.entries > 0;
                    let made_up = about.tailnet.is_none();
                    context.ui.note(&summary(&label, &verified, made_up));
                    let Verified { policy: checked, suites: found, .. } = verified;
                    suites.add(found, (!is_one).then_some(&*label));
                    (checked.findings, checked.uncounted)
                }
            };
            let findings = levels.apply(findings);
            files.add(policy, findings, uncounted);
        }
        if !has_tests {
            return Err(CommandError::usage("there is nothing to test").hint(
                "give the policy `tests`, or name a suite with --suite or under `suites` in \
                 .headscale-policy.yaml",
            ));
        }
        report.files.extend(suites.reports(&levels));

        let told = self.told.write(&outputs, &report, &config, &cwd, &mut context.ui);
        exit = exit.max(told);
        Ok(exit)
    }
}

/// The files that a run reads beside the policies, with what they are.
fn spared(about: &AboutArgs, suites: &Suites, config: &Config) -> Vec<(String, PathBuf)> {
    let named = |what: &str, file: &Path| (format!("{what} {}", file.display()), file.to_owned());
    let tailnet = about.tailnet().or(config.tailnet.as_deref());
    let tailnet = tailnet.map(|file| named("the tailnet", file));
    let suites = suites.suites.iter().map(|suite| named("the suite", Path::new(&suite.name)));
    let config = config.file.iter().map(|file| named("the configuration", file));
    tailnet.into_iter().chain(suites).chain(config).collect()
}

/// The suites of a run, with what was found in them.
pub(super) struct Suites {
    suites: Vec<Suite>,
    findings: Vec<Vec<Finding>>,
}

impl Suites {
    /// Reads `files`, or else those of the configuration.
    pub(super) fn read(
        files: &[PathBuf],
        config: &Config,
        cwd: &Path,
    ) -> Result<Self, CommandError> {
        let listed = files.is_empty();
        let files = if listed { &config.suites } else { files };
        let suites = files.iter().map(|file| {
            Suite::read(cwd, file).map_err(|error| match &config.file {
                Some(config) if listed => {
                    error.hint(format!("it is listed under `suites` in {}", config.display()))
                }
                _ => error,
            })
        });
        let suites: Vec<Suite> = suites.collect::<Result<_, _>>()?;
        let findings = suites.iter().map(|_| Vec::new()).collect();
        Ok(Self { suites, findings })
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.suites.is_empty()
    }

    /// The suites as the engine takes them.
    pub(super) fn to_verify(&self) -> Vec<verify::Suite<'_>> {
        let suites = self.suites.iter();
        suites
            .map(|suite| verify::Suite {
                entries: &suite.entries,
                tailnet: suite.tailnet.as_deref(),
            })
            .collect()
    }

    /// Takes what was found; `policy` is told where there are several.
    pub(super) fn add(&mut self, found: Vec<Vec<Finding>>, policy: Option<&str>) {
        for (all, found) in self.findings.iter_mut().zip(found) {
            all.extend(found.into_iter().map(|finding| match policy {
                Some(policy) => {
                    let message = format!("{policy}: {}", finding.message);
                    Finding { message, ..finding }
                }
                None => finding,
            }));
        }
    }

    /// A report on each suite, and on its tailnet where something is wrong with that.
    pub(super) fn reports(self, levels: &Levels) -> Vec<FileReport> {
        let mut reports = Vec::new();
        for (suite, findings) in self.suites.into_iter().zip(self.findings) {
            let Suite { name, text, defects, .. } = suite;
            reports.extend(defects.and_then(|defects| defects.report(levels)));
            let mut findings = levels.apply(findings);
            findings.sort_by_key(|finding| finding.span);
            reports.push(FileReport { name, text, findings, ..FileReport::default() });
        }
        reports
    }
}

/// What ran and how it came out: `policy.hujson: 3 tests and 5 entries of suites pass`.
fn summary(name: &str, verified: &Verified, made_up: bool) -> String {
    let Verified { own_tests, entries, broken, coverage, mutants, policy, .. } = verified;
    let failed = policy.findings.iter().filter(|f| f.rule.ends_with("test-failed")).count();
    let mut parts = Vec::new();
    if *own_tests > 0 {
        parts.push(match failed {
            0 => format!("{} of its own, all pass", plural(*own_tests, "test")),
            failed => {
                let fail = if failed == 1 { "expectation fails" } else { "expectations fail" };
                format!("{} of its own, {failed} {fail}", plural(*own_tests, "test"))
            }
        });
    }
    if *entries > 0 {
        let entries = match entries {
            1 => "1 entry of suites".to_owned(),
            entries => format!("{entries} entries of suites"),
        };
        parts.push(match broken {
            0 => format!("{entries}, all hold"),
            broken => format!("{entries}, {broken} broken"),
        });
    }
    if parts.is_empty() {
        parts.push("no tests".to_owned());
    }
    let told = |tally: &Option<Tally>, what: &str, done: &str| {
        tally.map(|Tally { part, whole }| format!("{done} {part} of {}", plural(whole, what)))
    };
    parts.extend(told(coverage, "rule", "tests go through"));
    parts.extend(told(mutants, "mistake", "tests notice"));
    let about = if made_up { format!("; {MADE_UP}") } else { String::new() };
    format!("{name}: {}{about}", parts.join("; "))
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
