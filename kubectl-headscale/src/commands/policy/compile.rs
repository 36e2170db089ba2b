//! `kubectl headscale policy compile`

use std::io::Write as _;

use clap::Args;
use headscale_acl::Tailnet;
use headscale_acl::engine::{Answers, Layout};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};

use super::subject::SubjectArgs;
use crate::commands::Context;
use crate::data::{DataFormat, Unwritten};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::suggest::did_you_mean;
use crate::ui::Stream;

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
        let stdout = context.ui.stream();
        let written = subject.ask(&mut context.ui, |network| {
            let mut answers = network.answers();
            if let Some(name) = &self.node {
                answers = answers.only(&named(network.tailnet(), name)?);
            }
            write(&answers, self.output, stdout).or_else(Unwritten::or_closed)
        });
        match written {
            Some(written) => written.map(|()| Exit::Success),
            None => Ok(Exit::Findings),
        }
    }
}

/// Indexes of the nodes of this name or id.
fn named(tailnet: &Tailnet, name: &str) -> Result<Vec<usize>, CommandError> {
    let nodes = tailnet.nodes.iter().enumerate();
    let wanted = nodes.filter(|(_, node)| node.name == name || node.id.to_string() == name);
    let found: Vec<usize> = wanted.map(|(at, _)| at).collect();
    if found.is_empty() {
        let error = CommandError::usage(format!("no node is named {name:?}"));
        let names = tailnet.nodes.iter().map(|node| node.name.as_str());
        return Err(match did_you_mean(name, names) {
            Some(hint) => error.hint(hint),
            None => error.hint("leave out --node to see all nodes"),
        });
    }
    Ok(found)
}

/// Writes the answers node by node.
fn write(
    answers: &Answers<'_, '_, '_>,
    format: DataFormat,
    mut stdout: Stream<'_>,
) -> Result<(), Unwritten> {
    match format {
        DataFormat::Json => {
            answers.write_json(&mut stdout, Layout::Pretty)?;
            stdout.write_all(b"\n")?;
        }
        DataFormat::Yaml => {
            serde_saphyr::to_io_writer(&mut stdout, &answers.around(Plain(answers)))?;
        }
    }
    Ok(stdout.flush()?)
}

/// The nodes one after the other, without raw JSON, of which YAML knows nothing.
struct Plain<'s, 'a, 'n, 'd>(&'s Answers<'a, 'n, 'd>);

impl Serialize for Plain<'_, '_, '_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut nodes = serializer.serialize_seq(None)?;
        for node in self.0.nodes() {
            nodes.serialize_element(&serde_json::to_value(node).map_err(S::Error::custom)?)?;
        }
        nodes.end()
    }
}
