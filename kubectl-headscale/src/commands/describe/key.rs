//! What is told of a pre-auth key.

use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use headscale_keys::pre_auth_key;
use kube::ResourceExt as _;

use super::look::Look;
use super::text::{NONE, Text, moment_text};
use crate::error::CommandError;

/// Label of a node's state Secret: the pre-auth key that it has its key reissued from.
const REISSUE_LABEL: &str = "headscale.infrado.cloud/reissue";
/// How long a key is good for where nothing is said.
const EXPIRATION: &str = "1h";

/// The text about `key`; never the key itself.
pub(super) async fn describe(
    look: &Look<'_>,
    key: &HeadscalePreAuthKey,
) -> Result<String, CommandError> {
    let mut text = Text::default();
    let (spec, status) = (&key.spec, key.status.clone().unwrap_or_default());
    look.head(&mut text, &key.metadata);
    look.instance(&mut text, &spec.headscale_ref).await?;
    text.field("User", user(look, key).await?);
    text.fields("Tags", spec.tags.iter().cloned());
    let yes_no = |given: Option<bool>| if given == Some(true) { "yes" } else { "no" };
    text.field("Reusable", yes_no(spec.reusable));
    text.field("Ephemeral", yes_no(spec.ephemeral));
    text.field("Good For", spec.expiration.as_deref().unwrap_or(EXPIRATION));
    text.field("Replaced Before It Expires", yes_no(spec.rotate));
    text.field("Key ID", status.key_id.as_deref().unwrap_or("<not made yet>"));
    let (secret, end) = secret(look, key).await?;
    let end = status.expiration.or(end);
    let expires = end.map(|end| moment_text(&end, look.now));
    text.field("Expires", expires.as_deref().unwrap_or("<unknown>"));
    text.field(
        "Used",
        match (status.used, spec.reusable) {
            (Some(true), Some(true)) => "yes",
            (Some(true), _) => "yes: no other node can join with it",
            (Some(false), _) => "no",
            (None, _) => "<unknown>",
        },
    );
    text.field("Secret", secret);
    let users = match look.secrets(&format!("{REISSUE_LABEL}={}", key.name_any())).await? {
        Ok(secrets) => {
            secrets.iter().map(|secret| format!("Secret {}", secret.name_any())).collect()
        }
        Err(unseen) => vec![unseen],
    };
    text.fields("Nodes Reissued From It", users);
    text.conditions(&status.conditions);
    look.events(&mut text, &key.metadata).await?;
    Ok(text.finish())
}

/// Whose nodes join with it.
async fn user(look: &Look<'_>, key: &HeadscalePreAuthKey) -> Result<String, CommandError> {
    let spec = &key.spec;
    let Some(name) = &spec.headscale_user_ref else {
        return Ok(match spec.user_id {
            Some(id) => format!("the one with the id {id}"),
            None => format!("{NONE}: nodes belong to their tags"),
        });
    };
    Ok(match look.get::<HeadscaleUser>(name).await? {
        Ok(Some(user)) if user.spec.headscale_ref != spec.headscale_ref => {
            format!("{name} (of another instance, {})", user.spec.headscale_ref)
        }
        Ok(Some(_)) => name.clone(),
        Ok(None) => format!("{name} (not found)"),
        Err(unseen) => format!("{name} {unseen}"),
    })
}

/// Where it is kept, and when the Secret says that it ends.
async fn secret(
    look: &Look<'_>,
    key: &HeadscalePreAuthKey,
) -> Result<(String, Option<String>), CommandError> {
    let name = key.spec.secret_name.clone().unwrap_or_else(|| key.name_any());
    Ok(match look.secret(&name).await? {
        Ok(Some(secret)) => {
            let end = secret.annotations().get(pre_auth_key::EXPIRATION_ANNOTATION).cloned();
            (name, end)
        }
        Ok(None) => (format!("{name} (not there yet)"), None),
        Err(unseen) => (format!("{name} {unseen}"), None),
    })
}
