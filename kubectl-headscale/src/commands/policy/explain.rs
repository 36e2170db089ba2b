//! `kubectl headscale policy explain`

use std::fmt::Write as _;

use clap::Args;
use headscale_acl::Span;
use headscale_acl::engine::{Explanation, Question, RuleSection};
use headscale_acl::hujson::{Document, minimize};
use serde_json::{Value, json};

use super::subject::{AnswerFormat, Places, Subject, SubjectArgs, answer_error};
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::visible::{folded, name};

const EXAMPLES: &str = "\
Examples:
  # May developers reach the databases?
  kubectl headscale policy explain policy.hujson --from group:dev --to tag:db:5432

  # May a node of the tailnet, over UDP?
  kubectl headscale policy explain policy.hujson --tailnet tailnet.json \\
    --from laptop --to 10.0.0.53:53 --proto udp

  # May they in an instance of the cluster, as it is now?
  kubectl headscale policy explain --instance main --from group:dev --to tag:db:5432

  # May anyone log in as root?
  kubectl headscale policy explain policy.hujson --from '*' --to tag:db --ssh-user root --any

Exit codes:
  0  allowed
  1  denied
  2  no answer: wrong usage, a policy that Headscale would refuse, a name that stands for nothing
  4  the instance, or the cluster, cannot be asked";

/// Say whether one may reach another, and by which rules
///
/// All nodes of --from must reach all nodes of --to, in each address family that both have. Where
/// it is denied, the rules are told that would allow it but for one thing.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Who connects: a user, group, tag, host, autogroup, node or address
    #[arg(long, value_name = "NAME")]
    from: String,

    /// To whom, with a port or without: tag:web:443
    ///
    /// Without a port any open one will do.
    #[arg(long, value_name = "NAME[:PORT]")]
    to: String,

    /// Protocol, by name or number [default: tcp with a port, else any]
    #[arg(long, value_name = "PROTOCOL")]
    proto: Option<String>,

    /// One allowed pair of nodes is enough
    #[arg(long)]
    any: bool,

    /// Ask for Tailscale SSH as this login user
    ///
    /// An SSH rule must allow it, and a rule of the network TCP port 22.
    #[arg(long, value_name = "USER", conflicts_with = "proto")]
    ssh_user: Option<String>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: AnswerFormat,

    #[command(flatten)]
    subject: SubjectArgs,
}

impl ExplainArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let Some(subject) = self.subject.read("explain", context)? else {
            return Ok(Exit::Usage);
        };
        let question = Question {
            from: &self.from,
            to: &self.to,
            protocol: self.proto.as_deref(),
            any: self.any,
            ssh_user: self.ssh_user.as_deref(),
        };
        let asked = subject.ask(&mut context.ui, |network| network.explain(&question));
        let Some(answer) = asked else { return Ok(Exit::Usage) };
        let answer = answer.map_err(answer_error)?;
        let text = match self.output.data() {
            Some(format) => format.render(&value(&answer, &subject))?,
            None => Words { subject: &subject, places: subject.places() }
                .explanation(&question, &answer),
        };
        context.ui.print(&text)?;
        if answer.symbolic && self.output.data().is_none() {
            context.ui.note(super::subject::MADE_UP);
        }
        Ok(if answer.allowed { Exit::Success } else { Exit::Findings })
    }
}

fn value(answer: &Explanation, subject: &Subject) -> Value {
    let places = subject.places();
    let span = |span: Span| {
        let (start, end) = places.of(span);
        json!({"start": start, "end": end})
    };
    let rules = answer.rules.iter().map(|rule| {
        json!({
            "section": rule.section,
            "index": rule.index,
            "span": span(rule.span),
            "via": rule.via,
            "viaTo": rule.via_to,
        })
    });
    let nearest = answer.nearest.iter().map(|miss| {
        json!({
            "section": miss.section,
            "index": miss.index,
            "span": span(miss.span),
            "lacks": miss.lacks,
            "detail": miss.detail,
        })
    });
    json!({
        "version": 1,
        "allowed": answer.allowed,
        "symbolic": answer.symbolic,
        "rules": rules.collect::<Vec<_>>(),
        "nearest": nearest.collect::<Vec<_>>(),
        "example": {"from": answer.pair.0, "to": answer.pair.1},
    })
}

/// Words an answer for people.
struct Words<'s> {
    subject: &'s Subject,
    places: Places<'s>,
}

impl Words<'_> {
    fn explanation(&self, question: &Question<'_>, answer: &Explanation) -> String {
        let verdict = if answer.allowed { "allowed" } else { "denied" };
        let (from, to) = (folded(question.from), folded(question.to));
        let mut out = format!("{verdict}: {from} to {to}");
        // Writing to a String cannot fail.
        if let Some(protocol) = question.protocol {
            _ = write!(out, ", {}", folded(protocol));
        }
        if let Some(user) = question.ssh_user {
            _ = write!(out, ", SSH as {}", folded(user));
        }
        out.push('\n');
        let (from, to) = &answer.pair;
        let example = match (answer.allowed, answer.partly) {
            (true, false) => String::new(),
            (true, true) => format!("  not all, but for example {from} to {to}\n"),
            (false, true) => format!("  some are allowed, but not {from} to {to}\n"),
            (false, false) => format!("  for example {from} to {to}\n"),
        };
        out.push_str(&example);
        if answer.allowed && answer.rules.is_empty() {
            out.push_str(
                "  the policy has neither `acls` nor `grants`, and so allows everything\n",
            );
        }
        for rule in &answer.rules {
            out.push_str(&self.rule(rule.section, rule.index, rule.span));
            _ = writeln!(out, "  from {}", chain(&rule.via));
            _ = writeln!(out, "  to   {}", chain(&rule.via_to));
        }
        if !answer.nearest.is_empty() {
            out.push_str("\nNearest rules, each with the one thing that it lacks:\n");
        }
        for miss in &answer.nearest {
            out.push_str(&self.rule(miss.section, miss.index, miss.span));
            let lacks = json!(miss.lacks);
            _ = writeln!(
                out,
                "  lacks {}: {}",
                lacks.as_str().unwrap_or_default(),
                folded(&miss.detail)
            );
        }
        if !answer.allowed && answer.nearest.is_empty() {
            out.push_str("  no rule comes near: each lacks more than one thing\n");
        }
        out
    }

    /// Where a rule stands, and the rule on one line.
    fn rule(&self, section: RuleSection, index: usize, span: Span) -> String {
        let (at, _) = self.places.of(span);
        let section = json!(section);
        let source = self.subject.text().get(span.range()).unwrap_or_default();
        let source = minimize(&Document::parse(source));
        format!(
            "\n{}:{}:{}: {}[{index}]\n  {}\n",
            name(self.subject.name()),
            at.line,
            at.column,
            section.as_str().unwrap_or_default(),
            folded(&source),
        )
    }
}

/// `alice@ ∈ group:dev`
fn chain(via: &[String]) -> String {
    via.iter().map(|name| folded(name)).collect::<Vec<_>>().join(" ∈ ")
}
