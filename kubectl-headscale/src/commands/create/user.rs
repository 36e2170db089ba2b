//! `kubectl headscale create user`

use clap::Args;

use super::draft::Draft;
use super::make::MakeArgs;
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  # Make the user alice of the only instance in the namespace
  kubectl headscale create user alice

  # Make one with an address, and wait until Headscale has it
  kubectl headscale create user alice --email alice@example.com --wait

  # Write a manifest for Git instead
  kubectl headscale create user alice --instance vpn --dry-run=client -o yaml > alice.yaml

Exit codes:
  0    made
  1    the cluster refused it, or it was not ready in time
  2    wrong usage, or input that cannot be read
  130  Ctrl-C ended it";

/// Make a user
///
/// Writes a HeadscaleUser. What is given here never changes in Headscale.
#[derive(Debug, Args)]
#[command(
    after_long_help = EXAMPLES,
    // As with `kubectl create rolebinding`, whose --user is not the kubeconfig's either.
    mut_arg("username", |arg| arg.long("kubeconfig-username")),
)]
pub(crate) struct UserArgs {
    /// Name of the object, and of the user unless --username says otherwise
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,

    /// Instance that the user is of; the only one in the namespace where none is named
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,

    /// Name of the user in Headscale, lower-case letters, digits and hyphens [default: NAME]
    #[arg(long = "username", id = "headscale_username", value_name = "NAME")]
    headscale_username: Option<String>,

    /// Name that people see
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,

    /// Email address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,

    /// URL of a picture
    #[arg(long, value_name = "URL")]
    picture_url: Option<String>,

    #[command(flatten)]
    make: MakeArgs,
}

impl UserArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let name = self.name.as_deref();
        let mut draft = Draft::new("HeadscaleUser", name, &self.make.draft, context)?;
        draft.put_if("spec.headscaleRef", self.instance.as_deref());
        draft.put_if("spec.username", self.headscale_username.as_deref());
        draft.put_if("spec.displayName", self.display_name.as_deref());
        draft.put_if("spec.email", self.email.as_deref());
        draft.put_if("spec.pictureURL", self.picture_url.as_deref());
        let username = draft.name().to_owned();
        draft.put_default("spec.username", username);
        self.make.make(draft, context)
    }
}
