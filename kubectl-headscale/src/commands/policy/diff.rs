//! `kubectl headscale policy diff`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::builder::styling::{AnsiColor, Style};
use clap::{Args, ValueEnum, ValueHint};
use headscale_acl::engine::{self, Diff, Refused, Row, Verdict};
use serde::Serialize;

use super::FromArgs;
use super::subject::{AboutArgs, MADE_UP, tell};
use crate::commands::Context;
use crate::data::DataFormat;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::git;
use crate::input::{self, Place, Policy};
use crate::report::markdown::code;
use crate::report::visible::visible;

const EXAMPLES: &str = "\
Examples:
  # What becomes reachable, and what stops being, from one file to another
  kubectl headscale policy diff policy.hujson new.hujson

  # What the working tree changes
  kubectl headscale policy diff policy.hujson --git HEAD

  # In CI: a comment for the pull request, and failure where more becomes reachable
  kubectl headscale policy diff policy.hujson --git origin/main -o markdown --fail-on grows

  # What a file would change of what an instance of the cluster has
  kubectl headscale policy diff --instance main policy.hujson

Exit codes:
  0  nothing changes, or nothing that --fail-on names
  1  something does
  2  wrong usage or configuration, or a policy that cannot be read or that Headscale would refuse
  4  the instance, or the cluster, cannot be asked";

/// Tell what a change of the policy changes: what becomes reachable, and what stops being
///
/// Two policies that mean the same differ in nothing, however they are written. Connections, SSH
/// logins, capabilities of applications, and who approves which routes are compared, in the names
/// that the policies use.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DiffArgs {
    /// Policy before the change, or `-` for standard input
    ///
    /// With --instance and one file, the policy of the instance is OLD and the file is NEW.
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    old: PathBuf,

    /// Policy after the change, or `-` for standard input
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    #[arg(
        required_unless_present_any = ["git", "instance", "address"],
        conflicts_with = "git"
    )]
    new: Option<PathBuf>,

    /// Compare the one file named with what it was at this revision
    #[arg(long, value_name = "REV")]
    git: Option<String>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,

    /// Exit with 1 if anything changes, if something becomes reachable, or not at all
    #[arg(long, value_name = "WHAT", default_value = "any")]
    fail_on: FailOn,

    #[command(flatten)]
    about: AboutArgs,

    #[command(flatten)]
    from: FromArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Yaml,
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Any,
    Grows,
    Never,
}

/// Names of a list that are shown to people.
const NAMES: usize = 8;

/// The answer for programs.
#[derive(Serialize)]
struct Answer<'d> {
    version: u32,
    symbolic: bool,
    #[serde(flatten)]
    diff: &'d Diff,
}

impl DiffArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let config = self.from.config(context)?;
        let is_live = self.about.is_live() && self.new.is_none() && self.git.is_none();
        let (old, new, about) = if is_live {
            let new = self.policy(&self.old, context)?;
            let mut about = self.about.read(&config, true, context)?;
            let Some(old) = about.policy.take() else { return Ok(Exit::Server) };
            (old, new, about)
        } else {
            let (old, new) = self.policies(context)?;
            (old, new, self.about.read(&config, false, context)?)
        };
        let tailnet = about.tailnet.as_deref();
        let diff = match engine::diff(&old.text, &new.text, tailnet, about.version) {
            Ok(diff) => diff,
            Err(Refused::Old(checked)) => {
                tell(&old, checked, &mut context.ui);
                return Ok(Exit::Usage);
            }
            Err(Refused::New(checked)) => {
                tell(&new, checked, &mut context.ui);
                return Ok(Exit::Usage);
            }
        };
        let answer = Answer { version: 1, symbolic: tailnet.is_none(), diff: &diff };
        let text = match self.output {
            Format::Text => answer.text(context.ui.style().color),
            Format::Json => DataFormat::Json.render(&answer)?,
            Format::Yaml => DataFormat::Yaml.render(&answer)?,
            Format::Markdown => answer.markdown(&old.name, &new.name),
        };
        context.ui.print(&text)?;
        if answer.symbolic && self.output == Format::Text {
            context.ui.note(MADE_UP);
        }
        Ok(match (self.fail_on, diff.verdict) {
            (FailOn::Never, _) | (_, Verdict::Same) | (FailOn::Grows, Verdict::Shrinks) => {
                Exit::Success
            }
            _ => Exit::Findings,
        })
    }

    fn policies(&self, context: &mut Context<'_>) -> Result<(Policy, Policy), CommandError> {
        let is_stdin = |path: &Path| path.as_os_str() == "-";
        let Some(revision) = &self.git else {
            let new = self.new.as_deref().unwrap_or(&self.old);
            if is_stdin(&self.old) && is_stdin(new) {
                return Err(CommandError::usage("standard input cannot be both policies")
                    .hint("name a file for one of them"));
            }
            return Ok((self.policy(&self.old, context)?, self.policy(new, context)?));
        };
        if is_stdin(&self.old) {
            return Err(CommandError::usage("standard input has no revisions")
                .hint("name the file, as in `policy diff policy.hujson --git HEAD`"));
        }
        let new = self.policy(&self.old, context)?;
        let text = git::read(&context.environment.cwd, &self.old, revision)?;
        let name = format!("{revision}:{}", new.name);
        Ok((the_one(&name, input::from_text(&name, text)?)?, new))
    }

    fn policy(&self, path: &Path, context: &mut Context<'_>) -> Result<Policy, CommandError> {
        let place = match path.to_str() {
            Some("-") => Place::Stdin(self.from.stdin_filename.clone()),
            _ => Place::Path(path.to_owned()),
        };
        let mut failed = None;
        let cwd = &context.environment.cwd;
        let policies = input::read(&[place], cwd, context.stdin, |error| failed = Some(error));
        if let Some(error) = failed {
            return Err(error.into());
        }
        the_one(&path.display().to_string(), policies)
    }
}

/// The policy of what is called `name`, which must hold one.
fn the_one(name: &str, policies: Vec<Policy>) -> Result<Policy, CommandError> {
    let count = policies.len();
    match <[Policy; 1]>::try_from(policies) {
        Ok([policy]) => Ok(policy),
        Err(_) => Err(CommandError::usage(format!("{name} holds {count} policies, not one"))
            .hint("name one file")),
    }
}

/// How a verdict is told.
const fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "reachability stays the same",
        Verdict::Grows => "reachability grows",
        Verdict::Shrinks => "reachability shrinks",
        Verdict::Changes => "reachability changes",
    }
}

impl Answer<'_> {
    /// The rows with their signs: what becomes possible first.
    fn rows(&self) -> impl Iterator<Item = (char, &Row)> {
        let added = self.diff.added.iter().map(|row| ('+', row));
        added.chain(self.diff.removed.iter().map(|row| ('-', row)))
    }

    fn text(&self, color: bool) -> String {
        let widths = self.rows().fold([0; 3], |widths: [usize; 3], (_, row)| {
            let cells = cells(row);
            let [kind, src, dst] = [&cells.0, &cells.1, &cells.2].map(|cell| cell.chars().count());
            [widths[0].max(kind), widths[1].max(src), widths[2].max(dst)]
        });
        let [kinds, sources, destinations] = widths;
        let mut out = String::new();
        // Writing to a String cannot fail.
        for (sign, row) in self.rows() {
            let (kind, src, dst, what) = cells(row);
            let line =
                format!("{sign} {kind:<kinds$}  {src:<sources$}  ->  {dst:<destinations$}  {what}");
            let sign_color = if sign == '+' { AnsiColor::Green } else { AnsiColor::Red };
            let style = Style::new().fg_color(color.then_some(sign_color.into()));
            _ = writeln!(out, "{style}{}{style:#}", line.trim_end());
        }
        let separator = if out.is_empty() { "" } else { "\n" };
        _ = writeln!(out, "{separator}{}", words(self.diff.verdict));
        out
    }

    fn markdown(&self, old: &str, new: &str) -> String {
        let verdict = capitalized(words(self.diff.verdict));
        let of = if self.symbolic { ", for nodes made up from both policies" } else { "" };
        let mut out = format!("**{verdict}** from {} to {}{of}.\n", code(old), code(new));
        if self.diff.verdict == Verdict::Same {
            return out;
        }
        out.push_str("\n| | kind | from | to | what |\n| --- | --- | --- | --- | --- |\n");
        for (sign, row) in self.rows() {
            let (kind, src, dst, what) = cells(row);
            let what = if what.is_empty() { what } else { code(&what) };
            // Writing to a String cannot fail.
            _ = writeln!(out, "| `{sign}` | {kind} | {} | {} | {what} |", code(&src), code(&dst));
        }
        out
    }
}

/// Kind, source, destination, and what may be done, as shown.
fn cells(row: &Row) -> (String, String, String, String) {
    let mut what = Vec::new();
    if !row.proto.is_empty() {
        what.push(row.proto.clone());
    }
    if row.ports == "*" {
        what.push("all ports".to_owned());
    } else if !row.ports.is_empty() {
        what.push(row.ports.clone());
    }
    if !row.users.is_empty() {
        what.push(format!("as {}", row.users));
    }
    let [src, dst] = [&row.src, &row.dst].map(|names| visible(&shortened(names)));
    (row.kind.to_string(), src, dst, visible(&what.join(" ")))
}

/// A list of names that people can read; JSON has all of them.
fn shortened(names: &str) -> String {
    let all: Vec<&str> = names.split(", ").collect();
    match all.get(..NAMES) {
        Some(first) if all.len() > NAMES + 1 => {
            format!("{} and {} more", first.join(", "), all.len() - NAMES)
        }
        _ => names.to_owned(),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}
