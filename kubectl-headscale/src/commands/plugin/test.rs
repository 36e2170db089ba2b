//! `kubectl headscale plugin test`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCandidates;
use headscale_policy_registry::Reference;
use serde_json::json;

use super::project;
use crate::cases::{Cases, Outcome};
use crate::commands::policy::AnswerFormat;
use crate::commands::sandbox::SandboxArgs;
use crate::commands::{Context, complete};
use crate::config::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::visible::folded;

const EXAMPLES: &str = "\
Examples:
  # Test the plugin of this directory
  kubectl headscale plugin test

  # Test it, and see that each rule is seen both to fire and to be silent
  kubectl headscale plugin test --require-coverage

  # One case of another one
  kubectl headscale plugin test ./owners.wasm --cases cases.yaml --case no-owner

Exit codes:
  0  all cases passed
  1  a case failed, or a rule lacks a case that --require-coverage asks for
  2  wrong usage, or a file that cannot be read, or no cases
  3  the plugin cannot be loaded";

/// Run a plugin on cases, and hold its findings against theirs
///
/// A case is a policy with all the findings that the plugin must have: one too many fails it, as
/// does one too few. Each case runs twice, and must end the same way and take the same number of
/// steps, because what a plugin does must follow from its input alone.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// The plugin; without it the one that `plugin build` makes in this directory
    #[arg(value_name = "REF", add = ArgValueCandidates::new(complete::plugins))]
    plugin: Option<Reference>,

    /// The cases, as YAML
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        default_value = "tests/cases.yaml"
    )]
    cases: PathBuf,

    /// Run the cases of this name only (can be repeated)
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,

    /// Fail where a rule has no case in which it fires, or none in which it is silent
    #[arg(long, conflicts_with = "case")]
    require_coverage: bool,

    #[command(flatten)]
    sandbox: SandboxArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: AnswerFormat,
}

impl TestArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let cwd = context.environment.cwd.as_path();
        let cases = Cases::read(cwd, &self.cases)?;
        let reference = match self.plugin {
            Some(plugin) => plugin,
            None => project::component(cwd)?,
        };
        let source = self.sandbox.source(&Config::default(), context)?;
        let plugin = source.load(&reference, Path::new(""), &mut context.ui)?;
        let outcome = cases.run(&plugin, |name| {
            self.case.is_empty() || self.case.iter().any(|chosen| chosen == name)
        });
        if outcome.cases.is_empty() {
            let names = self.case.join(", ");
            return Err(CommandError::usage(format!("{}: there is no case {names}", cases.name)));
        }
        let text = match self.output.data() {
            Some(format) => {
                let descriptor = plugin.descriptor();
                format.render(&json!({
                    "version": 1,
                    "plugin": {"name": descriptor.name, "version": descriptor.version},
                    "outcome": outcome,
                }))?
            }
            None => text(&outcome),
        };
        context.ui.print(&text)?;
        let failed = outcome.cases.iter().any(|case| !case.problems.is_empty());
        let uncovered = self.require_coverage
            && !(outcome.never_fired.is_empty() && outcome.never_silent.is_empty());
        if uncovered {
            for (rules, what) in
                [(&outcome.never_fired, "fires"), (&outcome.never_silent, "is silent")]
            {
                for rule in rules {
                    context.ui.error(&CommandError::usage(format!(
                        "{rule} has no case in which it {what}"
                    )));
                }
            }
        }
        Ok(if failed || uncovered { Exit::Findings } else { Exit::Success })
    }
}

fn text(outcome: &Outcome) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for case in &outcome.cases {
        let name = folded(&case.name);
        let steps = case.fuel.map(|fuel| format!(" ({fuel} steps)")).unwrap_or_default();
        let verdict = if case.problems.is_empty() { "pass" } else { "FAIL" };
        _ = writeln!(out, "{verdict}  {name}{steps}");
        for problem in &case.problems {
            _ = writeln!(out, "      {}", folded(problem));
        }
    }
    let failed = outcome.cases.iter().filter(|case| !case.problems.is_empty()).count();
    let count = outcome.cases.len();
    let cases = if count == 1 { "case" } else { "cases" };
    _ = writeln!(out, "\n{count} {cases}: {} passed, {failed} failed", count - failed);
    out
}
