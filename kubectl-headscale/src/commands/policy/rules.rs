//! `kubectl headscale policy rules`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;
use headscale_acl::rules::{self, Rule};
use serde_json::{Value, json};

use crate::commands::sandbox::SandboxArgs;
use crate::commands::{Context, complete};
use crate::config::Config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::plugins::built_in;
use crate::report::visible::visible;
use crate::rules_markdown;
use crate::severity;
use crate::suggest::did_you_mean;
use crate::table::table;

const EXAMPLES: &str = "\
Examples:
  # List all rules
  kubectl headscale policy rules

  # Explain one, with an example
  kubectl headscale policy rules syntax

  # Explain one of a plugin
  kubectl headscale policy rules guardrails/open-port";

/// List the rules of `policy check`, or explain one
///
/// Rules of the source `headscale` are Headscale's own: it refuses a policy that breaks them.
/// The others are advice, and their severity can be set.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RulesArgs {
    /// Id of the rule to explain; all are listed without it
    #[arg(add = ArgValueCandidates::new(complete::all_rules))]
    id: Option<String>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Name,
    Markdown,
}

impl RulesArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let text = match &self.id {
            Some(id) if id.contains('/') => {
                let rule = plugin_rule(id, context)?;
                match self.output {
                    Format::Text => plugin_explanation(&rule, context.ui.columns()),
                    Format::Json => format!("{:#}\n", plugin_value(&rule)),
                    Format::Name => format!("{}\n", rule.id),
                    Format::Markdown => {
                        format!("### {}\n\n{}\n\n{}\n", rule.id, rule.summary, rule.help)
                    }
                }
            }
            Some(id) => {
                let rule = severity::rule(id)?;
                match self.output {
                    Format::Text => explanation(rule, context.ui.columns()),
                    Format::Json => format!("{:#}\n", value(rule)),
                    Format::Name => format!("{}\n", rule.id),
                    Format::Markdown => rules_markdown::section(rule),
                }
            }
            None => list(self.output),
        };
        context.ui.print(&text)?;
        Ok(Exit::Success)
    }
}

/// The rule `PLUGIN/ID` of a built-in plugin, or of one of the configuration.
fn plugin_rule(
    id: &str,
    context: &mut Context<'_>,
) -> Result<headscale_policy_host::Rule, CommandError> {
    let config = Config::find(&context.environment.cwd, None)?.unwrap_or_default();
    let source = SandboxArgs::default().source(&config, context)?;
    let mut known = Vec::new();
    let plugin = id.split_once('/').map(|(plugin, _)| plugin).unwrap_or_default();
    let wanted = format!("builtin:{plugin}");
    let built_in = built_in().filter(|known| known.to_string() == wanted);
    let built_in = built_in.map(|reference| (reference, PathBuf::new()));
    let configured =
        config.plugins.iter().map(|plugin| (plugin.reference.clone(), plugin.base.clone()));
    for (reference, base) in built_in.chain(configured) {
        let plugin = source.load(&reference, &base, &mut context.ui)?;
        for rule in &plugin.descriptor().rules {
            if rule.id == id {
                return Ok(rule.clone());
            }
            known.push(rule.id.clone());
        }
    }
    let error = CommandError::usage(format!("there is no rule {id:?} of a plugin here"));
    Err(match did_you_mean(id, known.iter().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error.hint("its plugin must be built in or listed in .headscale-policy.yaml"),
    })
}

fn plugin_value(rule: &headscale_policy_host::Rule) -> Value {
    json!({
        "id": rule.id,
        "severity": rule.default_severity,
        "source": "plugin",
        "summary": rule.summary,
        "explanation": rule.help,
        "tags": rule.tags,
    })
}

fn plugin_explanation(rule: &headscale_policy_host::Rule, width: usize) -> String {
    format!(
        "{} ({}, plugin)\n{}\n\n{}\n",
        rule.id,
        rule.default_severity,
        visible(&rule.summary),
        wrap(&visible(&rule.help), width)
    )
}

fn list(format: Format) -> String {
    let rules: Vec<&Rule> = rules::all().collect();
    match format {
        Format::Text => {
            let header = ["ID", "SEVERITY", "SOURCE", "SUMMARY"].map(str::to_owned);
            let row = |rule: &&Rule| {
                [
                    rule.id.to_owned(),
                    rule.severity.to_string(),
                    rule.source.to_string(),
                    rule.summary.to_owned(),
                ]
            };
            table(&header, &rules.iter().map(row).collect::<Vec<_>>())
        }
        Format::Json => {
            let rules: Vec<Value> = rules.iter().map(|rule| value(rule)).collect();
            format!("{:#}\n", json!({"version": 1, "rules": rules}))
        }
        Format::Name => rules.iter().map(|rule| format!("{}\n", rule.id)).collect(),
        Format::Markdown => rules_markdown::page(rules),
    }
}

fn value(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "severity": rule.severity,
        "source": rule.source,
        "summary": rule.summary,
        "explanation": rule.explanation,
        "bad": rule.bad,
        "good": rule.good,
    })
}

fn explanation(rule: &Rule, width: usize) -> String {
    let mut out = format!("{} ({}, {})\n", rule.id, rule.severity, rule.source);
    // Writing to a String cannot fail.
    _ = writeln!(out, "{}\n\n{}", rule.summary, wrap(rule.explanation, width));
    for (title, example) in rules_markdown::examples(rule) {
        _ = writeln!(out, "\n{title}:");
        for line in example.lines() {
            _ = writeln!(out, "{}", format!("    {line}").trim_end());
        }
    }
    out
}

/// `text` broken at spaces so that no line is longer than `width`, if its words let it be so.
fn wrap(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let mut used = 0;
        for word in line.split(' ') {
            let length = word.chars().count();
            if used > 0 && used + 1 + length > width {
                out.push('\n');
                used = 0;
            } else if used > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += length;
        }
    }
    out
}
