//! `kubectl headscale create preauthkey`

use clap::Args;

use super::draft::Draft;
use super::expiration::expiration;
use super::make::MakeArgs;
use crate::commands::Context;
use crate::error::CommandError;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  # Make a key for one node of alice, good for an hour
  kubectl headscale create preauthkey laptop --user alice

  # Make a key for runners that come and go, good for 30 days and then replaced
  kubectl headscale create preauthkey ci --tags tag:ci --reusable --ephemeral --expiration 30d --rotate

  # Wait for the key, and join with it
  kubectl headscale create preauthkey laptop --user alice --wait
  kubectl get secret laptop -o jsonpath='{.data.key}' | base64 -d

Exit codes:
  0    made
  1    the cluster refused it, or it was not ready in time
  2    wrong usage, or input that cannot be read
  130  Ctrl-C ended it";

/// Make a pre-auth key
///
/// Writes a HeadscalePreAuthKey. The key itself will be in a Secret and is never printed.
#[derive(Debug, Args)]
#[command(
    after_long_help = EXAMPLES,
    // As with `kubectl create rolebinding`, whose --user is not the kubeconfig's either.
    mut_arg("user", |arg| arg.long("kubeconfig-user")),
)]
pub(crate) struct PreAuthKeyArgs {
    /// Name of the object, and of its Secret unless --secret-name says otherwise
    #[arg(value_name = "NAME", required_unless_present = "filename")]
    name: Option<String>,

    /// Instance that nodes join; the only one in the namespace where none is named
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,

    /// HeadscaleUser whose nodes join
    #[arg(long = "user", id = "headscale_user", value_name = "NAME")]
    headscale_user: Option<String>,

    /// The same by the id in Headscale, for a user without a HeadscaleUser
    #[arg(
        long,
        value_name = "ID",
        conflicts_with = "headscale_user",
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    user_id: Option<i64>,

    /// Tags of nodes that join, such as tag:ci (can be repeated)
    #[arg(long, value_name = "TAG", value_delimiter = ',', value_parser = tag)]
    tags: Vec<String>,

    /// How long the key is good for, such as 12h or 90d; an hour where nothing is given
    #[arg(long, value_name = "DURATION", value_parser = expiration)]
    expiration: Option<String>,

    /// Let more than one node join
    #[arg(long)]
    reusable: bool,

    /// Have nodes removed when they are gone for a while
    #[arg(long)]
    ephemeral: bool,

    /// Secret that the key is kept in [default: NAME]
    #[arg(long, value_name = "NAME")]
    secret_name: Option<String>,

    /// Have the key replaced before it expires
    #[arg(long)]
    rotate: bool,

    #[command(flatten)]
    make: MakeArgs,
}

/// Reads a tag, with or without its `tag:`.
pub(super) fn tag(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("tag:").unwrap_or(text);
    let is_tag = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if is_tag {
        Ok(format!("tag:{name}"))
    } else {
        Err(format!("{text:?} is no tag: expected one as in tag:ci"))
    }
}

impl PreAuthKeyArgs {
    /// Runs the command.
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, CommandError> {
        let name = self.name.as_deref();
        let mut draft = Draft::new("HeadscalePreAuthKey", name, &self.make.draft, context)?;
        draft.put_if("spec.headscaleRef", self.instance.as_deref());
        if let Some(user) = &self.headscale_user {
            draft.put("spec.userId", serde_json::Value::Null);
            draft.put("spec.headscaleUserRef", user.as_str());
        }
        if let Some(id) = self.user_id {
            draft.put("spec.headscaleUserRef", serde_json::Value::Null);
            draft.put("spec.userId", id);
        }
        if !self.tags.is_empty() {
            draft.put("spec.tags", self.tags);
        }
        draft.put_if("spec.expiration", self.expiration);
        for (path, flag) in [
            ("spec.reusable", self.reusable),
            ("spec.ephemeral", self.ephemeral),
            ("spec.rotate", self.rotate),
        ] {
            draft.put_if(path, flag.then_some(true));
        }
        draft.put_if("spec.secretName", self.secret_name.as_deref());
        let names_someone = ["/spec/headscaleUserRef", "/spec/userId", "/spec/tags/0"];
        if !names_someone.iter().any(|pointer| draft.has(pointer)) {
            return Err(CommandError::usage("whose nodes join with the key?").hint(
                "--user names a HeadscaleUser, --user-id a user by id, --tags the tags that nodes \
                 get",
            ));
        }
        self.make.make(draft, context)
    }
}
