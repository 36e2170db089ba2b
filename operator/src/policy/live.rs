//! Whether a document suits the users and nodes that there are.

use headscale_acl::tailnet::{Node, User};
use headscale_acl::{Tailnet, Version};
use headscale_api::kinds::Headscale;
use headscale_client::{HeadscaleApi as _, HttpClient};

use super::desk::Document;
use super::fate::said;
use super::judge::{Judged, judge_live};
use super::plugins::apart;
use crate::conditions::Verdict;
use crate::context::Context;
use crate::instance::AskError;
use crate::user::ask_users;

/// The user that lists show for tagged nodes: they have none.
const TAGGED_DEVICES: u64 = 2_147_455_555;

/// What is wrong with a document that was judged by itself, for the users and nodes that Headscale
/// has. Nodes are asked for only where the document has tests, for there may be many.
///
/// # Errors
///
/// When Headscale does not say who they are.
pub(super) async fn live(
    context: &Context,
    headscale: &Headscale,
    document: &Document,
    versions: &[Version],
    judged: &Judged,
) -> Result<Judged, AskError> {
    let users = ask_users(context, headscale, context.clock.now()).await?;
    let has_nodes = judged.has_tests;
    let nodes = if has_nodes {
        let instance = context.instances.get(headscale).await?;
        let call = async |http: &HttpClient| http.list_nodes(None).await;
        instance.ask("list_nodes", call).await?
    } else {
        Vec::new()
    };
    let (document, versions) = (document.clone(), versions.to_vec());
    let work = move || {
        let users = users.value.iter().map(|user| User {
            id: user.id,
            name: user.name.clone(),
            display_name: user.display_name.clone(),
            email: user.email.clone(),
            provider_id: user.provider_id.clone(),
        });
        let nodes = nodes.into_iter().map(|node| Node {
            id: node.id,
            user: node.user.map(|user| user.id).filter(|id| *id != TAGGED_DEVICES && *id != 0),
            name: node.name,
            given_name: node.given_name,
            addresses: node.ip_addresses.iter().filter_map(|it| it.parse().ok()).collect(),
            tags: node.tags,
            available_routes: node.available_routes,
            approved_routes: node.approved_routes,
        });
        let tailnet = Tailnet::new(users.collect(), nodes.collect());
        judge_live(&document.subject(), &versions, &tailnet, has_nodes)
    };
    Ok(apart(work).await.unwrap_or_default())
}

/// That nobody can say whether Headscale would start with a document.
pub(super) fn unproven(error: &AskError) -> Verdict {
    Verdict::bad(
        "PolicyUnproven",
        format!(
            "nodeAttrs of the policy are for users, without whom Headscale does not start, and \
             Headscale cannot be asked for its users: {}; target a tag or autogroup:member, or make \
             the users first",
            said(error)
        ),
    )
}
