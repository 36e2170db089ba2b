//! `kubectl headscale policy compile`

use clap::Args;
use headscale_acl::engine::Compiled;

use super::subject::SubjectArgs;
use crate::commands::Context;
use crate::data::DataFormat;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::suggest::did_you_mean;

const EXAMPLES: &str = "\
Examples:
  # What every node of a tailnet would be sent
  kubectl headscale policy compile policy.hujson --tailnet tailnet.json

  # One node, as YAML
  kubectl headscale policy compile policy.hujson --tailnet tailnet.json --node web-1 -o yaml

Exit codes:
  0  compiled
  1  Headscale would refuse the policy
  2  wrong usage or configuration, or input that cannot be read";

/// Compile a policy into what Headscale would send to each node
///
/// The packet filter, the peers with their routes, the SSH policy, the approved routes and the
/// attributes of every node, in the names of Tailscale's wire types.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct CompileArgs {
    /// Print this node only, by its name or id
    #[arg(long, value_name = "NAME")]
    node: Option<String>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    output: DataFormat,

    #[command(flatten)]
    subject: SubjectArgs,
}

impl CompileArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let Some(subject) = self.subject.read("compile", context)? else {
            return Ok(Exit::Usage);
        };
        let Some(mut compiled) = subject.ask(&mut context.ui, |network| network.compiled()) else {
            return Ok(Exit::Findings);
        };
        if let Some(name) = &self.node {
            keep(&mut compiled, name)?;
        }
        let text = self.output.render(&compiled)?;
        context.ui.print(&text)?;
        Ok(Exit::Success)
    }
}

/// Leaves the nodes of this name or id.
fn keep(compiled: &mut Compiled, name: &str) -> Result<(), CommandError> {
    let wanted = |node: &&headscale_acl::engine::NodeOutput| node.name == name || node.id == name;
    if !compiled.nodes.iter().any(|node| wanted(&node)) {
        let error = CommandError::usage(format!("no node is named {name:?}"));
        let names = compiled.nodes.iter().map(|node| node.name.as_str());
        return Err(match did_you_mean(name, names) {
            Some(hint) => error.hint(hint),
            None => error.hint("leave out --node to see all nodes"),
        });
    }
    compiled.nodes.retain(|node| wanted(&node));
    Ok(())
}
