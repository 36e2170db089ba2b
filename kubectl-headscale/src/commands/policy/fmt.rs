//! `kubectl headscale policy fmt`

use clap::{Args, ValueEnum};
use headscale_acl::hujson::{self, Document, minimize};
use headscale_acl::{Checked, check_syntax};

use super::InputArgs;
use crate::commands::Context;
use crate::convert::{self, Language};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::{Policy, by_file, write_back};
use crate::report::{Format, Report, reporter};
use crate::ui::Ui;
use crate::version;

const EXAMPLES: &str = "\
Examples:
  # Print a policy in the standard format
  kubectl headscale policy fmt policy.hujson

  # Format all policies of a directory in place
  kubectl headscale policy fmt -w policies/

  # In a pipeline: fail if a policy is not formatted, and say which
  kubectl headscale policy fmt --check policies/

  # Turn YAML into a policy
  kubectl headscale policy fmt --from yaml policy.yaml > policy.hujson

Exit codes:
  0  done
  1  files would change (--check only)
  2  wrong usage or configuration, input that cannot be read or is not HuJSON";

/// How many reasons for leaving a text alone are told.
const TOLD: usize = 20;

/// Format policies in HuJSON's standard format
///
/// Comments stay. A text that Headscale's parser refuses is left alone.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct FmtArgs {
    /// Write the result to the file instead of standard output
    #[arg(short, long, conflicts_with_all = ["check", "from"])]
    write: bool,

    /// Change nothing, and list the files that would change
    #[arg(long, conflicts_with = "from")]
    check: bool,

    /// Language of the input, if it is not HuJSON
    ///
    /// Comments are lost. The result goes to standard output, never over the input.
    #[arg(long, value_name = "LANGUAGE")]
    from: Option<From>,

    #[command(flatten)]
    input: InputArgs,
}

/// A language that is not HuJSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    Json5,
    Yaml,
}

impl FmtArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let config = self.input.config_for_files(context)?;
        let places = self.input.places("fmt", &config)?;
        let (policies, mut exit) = places.read(context);
        if policies.len() > 1 && !self.write && !self.check {
            let message = format!("{} policies cannot go to one output", policies.len());
            return Err(CommandError::usage(message)
                .hint("write them in place with -w, or compare them with --check"));
        }
        if self.write && policies.iter().any(|policy| policy.path.is_none()) {
            return Err(CommandError::usage("-w cannot write to standard input")
                .hint("leave out -w: the result goes to standard output"));
        }
        for file in by_file(policies) {
            match self.format(&file, &mut context.ui) {
                Ok(code) => exit = exit.max(code),
                Err(error) => {
                    context.ui.error(&error);
                    exit = exit.max(error.exit);
                }
            }
        }
        Ok(exit)
    }

    /// Formats the policies of one file.
    fn format(&self, policies: &[Policy], ui: &mut Ui<'_>) -> Result<Exit, CommandError> {
        let mut formatted = Vec::new();
        for policy in policies {
            formatted.push(self.formatted(policy, ui)?);
        }
        let changed = policies.iter().zip(&formatted).map(|(policy, new)| {
            let (old, new) = (policy.text.as_slice(), new.as_bytes());
            // Whether it ends with a line end is the business of the YAML around it.
            let same = policy.embedded.is_some() && old.trim_ascii_end() == new.trim_ascii_end();
            (old != new && !same).then_some(new)
        });
        let changed: Vec<Option<&[u8]>> = changed.collect();
        let changes = changed.iter().any(Option::is_some);
        let name = policies.first().map(|policy| &*policy.name).unwrap_or_default();
        if self.check {
            if changes {
                writeln!(ui.stdout(), "{name}").map_err(|error| CommandError::stdout(&error))?;
            }
            return Ok(if changes { Exit::Findings } else { Exit::Success });
        }
        if self.write {
            if changes {
                write_back(policies, &changed)?;
                ui.note(&format!("formatted {name}"));
            }
        } else {
            for text in &formatted {
                ui.print(text)?;
            }
        }
        Ok(Exit::Success)
    }

    /// The policy in the standard format.
    fn formatted(&self, policy: &Policy, ui: &mut Ui<'_>) -> Result<String, CommandError> {
        match self.from {
            Some(_) if policy.embedded.is_some() => {
                let message = format!("{} holds Kubernetes objects", policy.name);
                Err(CommandError::usage(message)
                    .hint("leave out --from: the policies in them are HuJSON"))
            }
            Some(from) => {
                let converted =
                    Policy { text: from.convert(policy, ui)?.into_bytes(), ..policy.clone() };
                standard_format(&converted, ui)
            }
            None => standard_format(policy, ui),
        }
    }
}

impl From {
    /// The policy as HuJSON, not formatted yet.
    fn convert(self, policy: &Policy, ui: &mut Ui<'_>) -> Result<String, CommandError> {
        let language = match self {
            Self::Json5 => Language::Json5,
            Self::Yaml => Language::Yaml,
        };
        let converted = convert::to_json(&policy.text, language)
            .map_err(|error| CommandError::usage(error.in_file(&policy.name)))?;
        if converted.comments_lost {
            ui.warning(&format!("the comments of {} are not in the result", policy.name));
        }
        Ok(converted.text)
    }
}

/// `text` in the standard format. An empty text stays empty.
///
/// # Errors
///
/// Where Headscale cannot read the text; all that is wrong is then told.
fn standard_format(policy: &Policy, ui: &mut Ui<'_>) -> Result<String, CommandError> {
    let (name, text) = (policy.label(), policy.text.as_slice());
    if text.is_empty() {
        return Ok(String::new());
    }
    let doc = Document::parse(text);
    let checked = check_syntax(&doc);
    if !checked.findings.is_empty() {
        return Err(refuse(policy, checked, ui));
    }
    let formatted = hujson::format(&doc);
    let again = Document::parse(formatted.as_bytes());
    if again.errors().is_empty() && minimize(&again) == minimize(&doc) {
        return Ok(formatted);
    }
    Err(CommandError::usage(format!("formatting would change what {name} means; it is left alone"))
        .hint("this is a mistake of kubectl headscale: please report it with the file"))
}

/// Tells why a text is left alone.
fn refuse(policy: &Policy, checked: Checked, ui: &mut Ui<'_>) -> CommandError {
    let report = Report {
        files: vec![policy.clone().report(checked.findings, checked.uncounted)],
        tool_version: version::CLIENT.to_owned(),
        max_findings: TOLD,
        ..Report::default()
    };
    let mut told = Vec::new();
    // Nothing fails to be written to a vector.
    reporter(Format::Concise, ui.error_style()).report(&report, &mut told).ok();
    ui.tell(&String::from_utf8_lossy(&told));
    CommandError::usage(format!("{} is left alone: Headscale cannot read it", policy.label()))
}
