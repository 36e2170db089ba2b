//! `kubectl headscale policy graph`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use headscale_acl::engine::{AccessRow, Side};

use super::subject::{SubjectArgs, answer_error};
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::visible::folded;

const EXAMPLES: &str = "\
Examples:
  # A graph for a page of Markdown
  kubectl headscale policy graph policy.hujson

  # A picture, with Graphviz
  kubectl headscale policy graph policy.hujson -o dot | dot -Tsvg > policy.svg

Exit codes:
  0  drawn
  1  Headscale would refuse the policy
  2  wrong usage or configuration, or input that cannot be read";

/// Draw who reaches what
///
/// Each name of the policy is a box, each arrow says the protocols and ports.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct GraphArgs {
    /// Language of the graph
    #[arg(short, long, value_name = "LANGUAGE", default_value = "mermaid")]
    output: Language,

    #[command(flatten)]
    subject: SubjectArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Mermaid,
    Dot,
}

impl GraphArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let Some(subject) = self.subject.read("graph", context)? else {
            return Ok(Exit::Usage);
        };
        let asked = subject.ask(&mut context.ui, |network| network.access(Side::All));
        let Some(access) = asked else { return Ok(Exit::Findings) };
        let access = access.map_err(answer_error)?;
        let graph = Graph::of(&access.rows);
        let text = match self.output {
            Language::Mermaid => graph.mermaid(),
            Language::Dot => graph.dot(),
        };
        context.ui.print(&text)?;
        Ok(Exit::Success)
    }
}

/// Boxes and arrows.
struct Graph<'r> {
    /// Names with their numbers, in the order of the rows.
    names: Vec<&'r str>,
    /// What is open between two names, by their numbers.
    arrows: BTreeMap<(usize, usize), Vec<String>>,
}

impl<'r> Graph<'r> {
    fn of(rows: &'r [AccessRow]) -> Self {
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut graph = Self { names: Vec::new(), arrows: BTreeMap::new() };
        for row in rows {
            let [from, to] = [&row.src, &row.dst].map(|name| {
                *numbers.entry(name).or_insert_with(|| {
                    graph.names.push(name);
                    graph.names.len() - 1
                })
            });
            let label = match (&*row.proto, &*row.ports) {
                ("*", "*") => "*".to_owned(),
                ("*", ports) => ports.to_owned(),
                (proto, "*") => proto.to_owned(),
                (proto, ports) => format!("{proto} {ports}"),
            };
            graph.arrows.entry((from, to)).or_default().push(label);
        }
        graph
    }

    fn mermaid(&self) -> String {
        let mut out = "flowchart LR\n".to_owned();
        // Writing to a String cannot fail.
        for (number, name) in self.names.iter().enumerate() {
            _ = writeln!(out, "  n{number}[\"{}\"]", mermaid_text(name));
        }
        for ((from, to), labels) in &self.arrows {
            _ = writeln!(out, "  n{from} -->|\"{}\"| n{to}", mermaid_text(&labels.join("; ")));
        }
        out
    }

    fn dot(&self) -> String {
        let mut out = "digraph policy {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for (number, name) in self.names.iter().enumerate() {
            _ = writeln!(out, "  n{number} [label=\"{}\"];", dot_text(name));
        }
        for ((from, to), labels) in &self.arrows {
            let label = dot_text(&labels.join("; "));
            _ = writeln!(out, "  n{from} -> n{to} [label=\"{label}\"];");
        }
        out.push_str("}\n");
        out
    }
}

/// `text` within quotes of Mermaid: what is neither a letter, a digit nor plain punctuation is
/// written as its number, since Mermaid reads HTML and Markdown in labels.
fn mermaid_text(text: &str) -> String {
    let mut out = String::new();
    for c in folded(text).chars() {
        if c.is_alphanumeric() || " :@.-/,".contains(c) {
            out.push(c);
        } else {
            _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}

/// `text` within quotes of DOT.
fn dot_text(text: &str) -> String {
    folded(text).replace('\\', "\\\\").replace('"', "\\\"")
}
