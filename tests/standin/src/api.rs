//! What each call does, and the JSON of its answer.

use serde_json::{Map, Value, json};

use crate::arguments::Arguments;
use crate::call::Call;
use crate::failure::{Code, Failure};
use crate::moment::Moment;
use crate::options::Version;
use crate::render::Render;
use crate::state::{Expiry, KeptPolicy, NewAuthKey, NewUser, State};

/// Carries a call out.
pub(crate) fn execute(
    state: &mut State,
    call: Call,
    arguments: &Arguments,
) -> Result<Value, Failure> {
    let version = state.version;
    match call {
        Call::CreateUser => {
            let user = state.create_user(NewUser {
                name: arguments.text("name").to_owned(),
                display_name: arguments.text("displayName").to_owned(),
                email: arguments.text("email").to_owned(),
                picture_url: arguments.text("pictureUrl").to_owned(),
            })?;
            Ok(json!({ "user": Render::of(state).user(&user) }))
        }
        Call::RenameUser => {
            let id = arguments.id("oldId", "invalid user id")?;
            let user = state.rename_user(id, arguments.text("newName"))?;
            Ok(json!({ "user": Render::of(state).user(&user) }))
        }
        Call::DeleteUser => {
            state.delete_user(arguments.id("id", "invalid user id")?)?;
            Ok(json!({}))
        }
        Call::ListUsers => {
            let id = arguments.id("id", "invalid id")?;
            let users = state.list_users(arguments.text("name"), arguments.text("email"), id);
            let render = Render::of(state);
            Ok(json!({ "users": users.iter().map(|u| render.user(u)).collect::<Vec<_>>() }))
        }
        Call::CreatePreAuthKey => {
            let (text, key) = state.create_auth_key(NewAuthKey {
                user: arguments.id("user", "invalid user id")?,
                reusable: arguments.flag("reusable"),
                ephemeral: arguments.flag("ephemeral"),
                expiration: arguments.time("expiration"),
                tags: arguments.texts("aclTags"),
            })?;
            Ok(json!({ "preAuthKey": Render::of(state).auth_key(&key, Some(&text)) }))
        }
        Call::ExpirePreAuthKey => {
            state.expire_auth_key(arguments.id("id", "invalid pre-auth key id")?)?;
            Ok(json!({}))
        }
        Call::DeletePreAuthKey => {
            state.delete_auth_key(arguments.id("id", "invalid pre-auth key id")?)?;
            Ok(json!({}))
        }
        Call::ListPreAuthKeys => {
            let render = Render::of(state);
            let keys = state.data().auth_keys.iter().map(|key| render.auth_key(key, None));
            Ok(json!({ "preAuthKeys": keys.collect::<Vec<_>>() }))
        }
        Call::CreateApiKey => {
            Ok(json!({ "apiKey": state.create_api_key(arguments.time("expiration"))? }))
        }
        Call::ExpireApiKey => {
            let id = arguments.id("id", "invalid api key id")?;
            state.expire_api_key(id, arguments.text("prefix"))?;
            Ok(json!({}))
        }
        Call::DeleteApiKey => {
            let id = arguments.id("id", "invalid api key id")?;
            state.delete_api_key(id, arguments.text("prefix"))?;
            Ok(json!({}))
        }
        Call::ListApiKeys => {
            let render = Render::of(state);
            let keys = state.data().api_keys.iter().map(|key| render.api_key(key));
            Ok(json!({ "apiKeys": keys.collect::<Vec<_>>() }))
        }
        Call::GetPolicy => Ok(policy(version, &state.policy()?)),
        Call::SetPolicy => Ok(policy(version, &state.set_policy(arguments.text("policy"))?)),
        Call::CheckPolicy => state.check_policy(arguments.text("policy")).map(|()| json!({})),
        Call::Health => Ok(json!({ "databaseConnectivity": true })),
        _ => nodes(state, call, arguments),
    }
}

fn nodes(state: &mut State, call: Call, arguments: &Arguments) -> Result<Value, Failure> {
    let node = match call {
        Call::GetNode => state.node(arguments.node()?)?,
        Call::ListNodes => {
            let nodes = state.list_nodes(arguments.text("user"))?;
            let render = Render::of(state);
            let nodes = nodes.iter().map(|node| render.listed_node(node));
            return Ok(json!({ "nodes": nodes.collect::<Vec<_>>() }));
        }
        Call::DeleteNode => {
            state.delete_node(arguments.node()?)?;
            return Ok(json!({}));
        }
        Call::ExpireNode => {
            let expiry = match (arguments.flag("disableExpiry"), arguments.time("expiry")) {
                (true, Some(_)) => {
                    let words = "cannot set both disable_expiry and expiry";
                    return Err(Failure::plain(Code::InvalidArgument, 400, words));
                }
                (true, None) => Expiry::Never,
                (false, Some(at)) => Expiry::At(at),
                (false, None) => Expiry::Now,
            };
            state.expire_node(arguments.node()?, expiry)?
        }
        Call::RenameNode => state.rename_node(arguments.node()?, arguments.text("newName"))?,
        Call::SetTags => state.set_tags(arguments.node()?, arguments.texts("tags"))?,
        Call::SetApprovedRoutes => {
            let node = state.approve_routes(arguments.node()?, &arguments.texts("routes"))?;
            let routes = state.primary_routes(&node);
            return Ok(json!({ "node": Render::of(state).node(&node, &routes) }));
        }
        Call::DebugCreateNode => state.debug_node(
            arguments.text("user"),
            arguments.text("key"),
            arguments.text("name"),
            &arguments.texts("routes"),
        )?,
        Call::RegisterNode => state.register_node(arguments.text("user"), arguments.text("key"))?,
        Call::AuthRegister => {
            state.register_node(arguments.text("user"), arguments.text("authId"))?
        }
        Call::AuthApprove | Call::AuthReject => {
            state.answer_login(arguments.text("authId"))?;
            return Ok(json!({}));
        }
        Call::BackfillNodeIps if arguments.flag("confirmed") => {
            return Ok(json!({ "changes": [] }));
        }
        Call::BackfillNodeIps => {
            let words = "not confirmed, aborting";
            return Err(Failure::below(400, "backfilling node IPs", words));
        }
        _ => return Err(Failure::plain(Code::Unimplemented, 404, "no such call")),
    };
    Ok(json!({ "node": Render::of(state).node(&node, &[]) }))
}

fn policy(version: Version, policy: &KeptPolicy) -> Value {
    let unknown =
        if version.has_grpc() { Value::Null } else { json!(Moment::zero().written(version)) };
    let mut answer = Map::new();
    answer.insert("policy".to_owned(), json!(policy.text));
    let updated_at = policy.updated_at.map_or(unknown, |at| json!(at.written(version)));
    answer.insert("updatedAt".to_owned(), updated_at);
    Value::Object(answer)
}
