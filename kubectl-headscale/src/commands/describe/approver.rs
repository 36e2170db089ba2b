//! What is told of an approver of routes.

use headscale_api::kinds::{HeadscaleAutoApprover, HeadscalePolicy};

use super::look::{Look, named, those};
use super::text::Text;
use crate::error::CommandError;

/// The text about `approver`.
pub(super) async fn describe(
    look: &Look<'_>,
    approver: &HeadscaleAutoApprover,
) -> Result<String, CommandError> {
    let mut text = Text::default();
    let spec = &approver.spec;
    look.head(&mut text, &approver.metadata);
    let instance = look.instance(&mut text, &spec.headscale_ref).await?;
    let routes =
        spec.routes.iter().map(|route| format!("{} for {}", route.cidr, route.tags.join(", ")));
    text.fields("Routes", routes);
    text.fields("Exit Nodes", spec.exit_node_tags.iter().cloned());
    let policies = look.list::<HeadscalePolicy>().await?;
    text.field(
        "Policy",
        named(those(&policies, |policy| policy.spec.headscale_ref == spec.headscale_ref)),
    );
    let owners = instance.and_then(|instance| instance.spec.acl_policy).unwrap_or_default();
    let tags = spec.routes.iter().flat_map(|route| &route.tags).chain(&spec.exit_node_tags);
    let unowned: Vec<String> = tags
        .filter(|tag| !owners.tag_owners.is_empty() && !owners.tag_owners.contains_key(*tag))
        .cloned()
        .collect();
    if !unowned.is_empty() {
        text.fields("Tags Without Owners", unowned);
    }
    let status = approver.status.clone().unwrap_or_default();
    text.conditions(&status.conditions);
    look.events(&mut text, &approver.metadata).await?;
    Ok(text.finish())
}
