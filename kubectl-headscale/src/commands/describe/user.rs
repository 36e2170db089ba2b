//! What is told of a user.

use headscale_api::kinds::{HeadscalePreAuthKey, HeadscaleUser};
use kube::ResourceExt as _;

use super::look::{Look, named, those};
use super::text::{NONE, Text, moment_text};
use crate::error::CommandError;

/// The text about `user`.
pub(super) async fn describe(
    look: &Look<'_>,
    user: &HeadscaleUser,
) -> Result<String, CommandError> {
    let mut text = Text::default();
    let (spec, status) = (&user.spec, user.status.clone().unwrap_or_default());
    look.head(&mut text, &user.metadata);
    look.instance(&mut text, &spec.headscale_ref).await?;
    text.field("Username", &spec.username);
    text.field("Display Name", spec.display_name.as_deref().unwrap_or(NONE));
    text.field("Email", spec.email.as_deref().unwrap_or(NONE));
    if let Some(url) = &spec.picture_url {
        text.field("Picture", url);
    }
    text.field("User ID", status.user_id.as_deref().unwrap_or("<not made yet>"));
    if let Some(made) = &status.created_at {
        text.field("In Headscale", moment_text(made, look.now));
    }
    let name = user.name_any();
    let keys = look.list::<HeadscalePreAuthKey>().await?;
    let of_user = |key: &HeadscalePreAuthKey| {
        let by_id = key.spec.user_id.map(|id| id.to_string());
        key.spec.headscale_ref == spec.headscale_ref
            && (key.spec.headscale_user_ref.as_deref() == Some(name.as_str())
                || (by_id.is_some() && by_id == status.user_id))
    };
    text.field("Pre-Auth Keys", named(those(&keys, of_user)));
    text.conditions(&status.conditions);
    look.events(&mut text, &user.metadata).await?;
    Ok(text.finish())
}
