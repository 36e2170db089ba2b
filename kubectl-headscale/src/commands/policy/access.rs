//! `kubectl headscale policy access`

use clap::{ArgGroup, Args};
use headscale_acl::engine::{Access, AccessRow, Side};
use serde_json::json;

use super::subject::{AnswerFormat, MADE_UP, SubjectArgs, answer_error};
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::report::visible::folded;
use crate::table::table;

const EXAMPLES: &str = "\
Examples:
  # Everything that developers reach
  kubectl headscale policy access policy.hujson --from group:dev

  # Everyone who reaches the databases on their port
  kubectl headscale policy access policy.hujson --to tag:db:5432

Exit codes:
  0  answered, if with nothing
  2  no answer: wrong usage, a policy that Headscale would refuse, a name that stands for nothing
  4  the instance, or the cluster, cannot be asked";

/// List what one reaches, or who reaches it
///
/// In the policy's own names where all of a name is meant, else by node. A protocol of `*` is what
/// a rule without a protocol opens: TCP, UDP and ICMP.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, group = ArgGroup::new("side").required(true))]
pub(crate) struct AccessArgs {
    /// List what this one reaches: a user, group, tag, host, autogroup, node or address
    #[arg(long, value_name = "NAME", group = "side")]
    from: Option<String>,

    /// List who reaches this one, on a port or on any: tag:web:443
    #[arg(long, value_name = "NAME[:PORT]", group = "side")]
    to: Option<String>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: AnswerFormat,

    #[command(flatten)]
    subject: SubjectArgs,
}

impl AccessArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let Some(subject) = self.subject.read("access", context)? else {
            return Ok(Exit::Usage);
        };
        let side = match (&self.from, &self.to) {
            (Some(from), _) => Side::From(from),
            (None, Some(to)) => Side::To(to),
            (None, None) => Side::All,
        };
        let asked = subject.ask(&mut context.ui, |network| network.access(side));
        let Some(access) = asked else { return Ok(Exit::Usage) };
        let access = access.map_err(answer_error)?;
        match self.output.data() {
            Some(format) => {
                let Access { symbolic, rows } = &access;
                let value = json!({"version": 1, "symbolic": symbolic, "rows": rows});
                context.ui.print(&format.render(&value)?)?;
            }
            None => {
                if access.rows.is_empty() {
                    context.ui.note("nothing is reached");
                } else {
                    context.ui.print(&text(&access.rows))?;
                }
                if access.symbolic {
                    context.ui.note(MADE_UP);
                }
            }
        }
        Ok(Exit::Success)
    }
}

fn text(rows: &[AccessRow]) -> String {
    let header = ["FROM", "TO", "PROTOCOL", "PORTS"].map(str::to_owned);
    let row = |row: &AccessRow| [&row.src, &row.dst, &row.proto, &row.ports].map(|s| folded(s));
    table(&header, &rows.iter().map(row).collect::<Vec<_>>())
}
