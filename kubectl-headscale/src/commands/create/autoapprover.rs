//! `kubectl headscale create autoapprover`

use clap::Args;
use serde_json::{Value, json};

use super::draft::Draft;
use super::make::MakeArgs;
use super::preauthkey::tag;
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  # Approve a route for routers, without a person
  kubectl headscale create autoapprover office --route 10.0.0.0/8=tag:router

  # Approve two routes, and exit nodes
  kubectl headscale create autoapprover all --route 10.0.0.0/8=tag:router,tag:backup \\
    --route fd00::/8=tag:router --exit-node-tags tag:exit

Exit codes:
  0    made
  1    the cluster refused it, or it was not ready in time
  2    wrong usage, or input that cannot be read
  130  Ctrl-C ended it";

/// Make an approver of routes
///
/// Writes a HeadscaleAutoApprover: routes and exit nodes that the instance approves by itself.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct AutoApproverArgs {
    /// Name of the object
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,

    /// Instance that approves; the only one in the namespace where none is named
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,

    /// Route, and tags of nodes that it is approved for (can be repeated)
    #[arg(long = "route", value_name = "CIDR=TAG[,TAG]", value_parser = route)]
    routes: Vec<Route>,

    /// Tags of nodes that are approved as exit nodes (can be repeated)
    #[arg(long, value_name = "TAG", value_delimiter = ',', value_parser = tag)]
    exit_node_tags: Vec<String>,

    #[command(flatten)]
    make: MakeArgs,
}

/// A route and the tags that it is approved for.
#[derive(Clone, Debug)]
struct Route {
    cidr: String,
    tags: Vec<String>,
}

fn route(text: &str) -> Result<Route, String> {
    let wrong = || format!("{text:?} is no route: expected one as in 10.0.0.0/8=tag:router");
    let (cidr, tags) = text.split_once('=').ok_or_else(wrong)?;
    let (address, length) = cidr.split_once('/').ok_or_else(wrong)?;
    let address: std::net::IpAddr = address.parse().map_err(|_| wrong())?;
    let length: u8 = length.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if length > most {
        return Err(format!("{cidr:?} is no prefix: its length is at most {most}"));
    }
    let tags: Result<Vec<String>, String> = tags.split(',').map(tag).collect();
    Ok(Route { cidr: cidr.to_owned(), tags: tags? })
}

impl AutoApproverArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let name = self.name.as_deref();
        let mut draft = Draft::new("HeadscaleAutoApprover", name, &self.make.draft, context)?;
        draft.put_if("spec.headscaleRef", self.instance.as_deref());
        if !self.routes.is_empty() {
            let routes = self.routes.iter();
            let routes = routes.map(|route| json!({ "cidr": route.cidr, "tags": route.tags }));
            draft.put("spec.routes", routes.collect::<Vec<Value>>());
        }
        if !self.exit_node_tags.is_empty() {
            draft.put("spec.exitNodeTags", self.exit_node_tags);
        }
        if !draft.has("/spec/routes/0") && !draft.has("/spec/exitNodeTags/0") {
            return Err(CommandError::usage("what is to be approved?")
                .hint("--route CIDR=TAG names a route, --exit-node-tags who may be an exit node"));
        }
        self.make.make(draft, context)
    }
}
