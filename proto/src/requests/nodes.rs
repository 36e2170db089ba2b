//! Nodes.

use http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Exchange, encoded, segment};
use crate::detect::Release;
use crate::error::{Error, ErrorKind};
use crate::model::{NewDebugNode, Node, NodeExpiry};
use crate::wire::{or_default, time};

const PATH: &str = "/api/v1/node";

/// What the call is called whose version is asked for before.
pub(crate) const EXPIRE: &str = "expire a node";

#[derive(Deserialize)]
struct One {
    node: Node,
}

#[derive(Deserialize)]
struct List {
    #[serde(default, deserialize_with = "or_default")]
    nodes: Vec<Node>,
}

#[derive(Serialize)]
struct Tags<'a> {
    tags: &'a [String],
}

#[derive(Serialize)]
struct Routes<'a> {
    routes: &'a [String],
}

#[derive(Serialize)]
struct At {
    #[serde(serialize_with = "time::serialize")]
    expiry: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Never {
    disable_expiry: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Register<'a> {
    user: &'a str,
    auth_id: &'a str,
}

pub(crate) async fn list(carrier: &impl Exchange, user: Option<&str>) -> Result<Vec<Node>, Error> {
    let operation = "list nodes";
    let query = user.map(|user| format!("?user={}", encoded(user))).unwrap_or_default();
    let call = Call::list(operation, format!("{PATH}{query}"));
    let list: List = carrier.exchange(call).await?.json(operation)?;
    Ok(list.nodes)
}

pub(crate) async fn get(carrier: &impl Exchange, id: u64) -> Result<Node, Error> {
    one(carrier, Call::new("get a node", Method::GET, format!("{PATH}/{id}"))).await
}

pub(crate) async fn delete(carrier: &impl Exchange, id: u64) -> Result<(), Error> {
    let operation = "delete a node";
    let call = Call::new(operation, Method::DELETE, format!("{PATH}/{id}"));
    carrier.exchange(call).await?.success(operation)
}

/// Says it in the query, for 0.28 and 0.29, and in the body, for 0.30: each reads one of them, and
/// without it would expire the node now.
pub(crate) async fn expire(
    carrier: &impl Exchange,
    id: u64,
    expiry: NodeExpiry,
) -> Result<Node, Error> {
    let path = format!("{PATH}/{id}/expire");
    let call = match expiry {
        NodeExpiry::Now => Call::new(EXPIRE, Method::POST, path),
        NodeExpiry::At(expiry) => {
            let path = format!("{path}?expiry={}", encoded(&expiry.to_string()));
            Call::new(EXPIRE, Method::POST, path).json(&At { expiry })?
        }
        NodeExpiry::Never => {
            let path = format!("{path}?disableExpiry=true");
            Call::new(EXPIRE, Method::POST, path).json(&Never { disable_expiry: true })?
        }
    };
    one(carrier, call).await
}

/// Refuses what 0.28 would take for another wish.
pub(crate) fn can_never_expire(release: Release) -> Result<(), Error> {
    if release >= Release::V0_29 {
        return Ok(());
    }
    let why = format!("Headscale {release} cannot be told that a node never expires, 0.29 can");
    Err(Error::unsent(EXPIRE, ErrorKind::Unsupported, &why))
}

pub(crate) async fn rename(carrier: &impl Exchange, id: u64, name: &str) -> Result<Node, Error> {
    let operation = "rename a node";
    let path = format!("{PATH}/{id}/rename/{}", segment(operation, name)?);
    one(carrier, Call::new(operation, Method::POST, path)).await
}

pub(crate) async fn set_tags(
    carrier: &impl Exchange,
    id: u64,
    tags: &[String],
) -> Result<Node, Error> {
    let path = format!("{PATH}/{id}/tags");
    one(carrier, Call::new("set a node's tags", Method::POST, path).json(&Tags { tags })?).await
}

pub(crate) async fn approve_routes(
    carrier: &impl Exchange,
    id: u64,
    routes: &[String],
) -> Result<Node, Error> {
    let path = format!("{PATH}/{id}/approve_routes");
    let call = Call::new("approve a node's routes", Method::POST, path).json(&Routes { routes })?;
    one(carrier, call).await
}

pub(crate) async fn register(
    carrier: &impl Exchange,
    release: Release,
    user: &str,
    auth_id: &str,
) -> Result<Node, Error> {
    let operation = "register a node";
    let call = if release >= Release::V0_29 {
        let call = Call::new(operation, Method::POST, "/api/v1/auth/register");
        call.json(&Register { user, auth_id })?
    } else {
        let query = format!("user={}&key={}", encoded(user), encoded(auth_id));
        Call::new(operation, Method::POST, format!("{PATH}/register?{query}"))
    };
    one(carrier, call).await
}

pub(crate) async fn debug_create(
    carrier: &impl Exchange,
    node: &NewDebugNode,
) -> Result<Node, Error> {
    let call = Call::new("make up a node", Method::POST, "/api/v1/debug/node").json(node)?;
    one(carrier, call).await
}

async fn one(carrier: &impl Exchange, call: Call) -> Result<Node, Error> {
    let operation = call.operation;
    let one: One = carrier.exchange(call).await?.json(operation)?;
    Ok(one.node)
}
