//! Nodes, made up and registered: no machine is behind them.

use headscale_client::{
    ErrorKind, HeadscaleApi, NewDebugNode, Node, NodeExpiry, RegisterMethod, Release, User,
};
use jiff::{SignedDuration, Timestamp};

use crate::cases::users::a_user;
use crate::cases::{assert_kind, assert_refused};
use crate::world::{World, in_hours};

/// A number that no node has.
const NOTHING: u64 = 4_000_000;

pub(crate) async fn a_node(api: &impl HeadscaleApi, world: &World, user: &User) -> Node {
    let key = world.a_registration();
    let name = world.a_name();
    let new = NewDebugNode { user: user.name.clone(), key: key.clone(), name, routes: Vec::new() };
    api.debug_create_node(&new).await.expect("a node that waits");
    api.register_node(&user.name, &key).await.expect("a node")
}

async fn a_users_node(api: &impl HeadscaleApi, world: &World) -> Node {
    let user = a_user(api, world).await;
    a_node(api, world, &user).await
}

async fn listed(api: &impl HeadscaleApi, id: u64) -> Option<Node> {
    let nodes = api.list_nodes(None).await.expect("a list");
    nodes.into_iter().find(|node| node.id == id)
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(crate) async fn a_registered_node_is_listed(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    let node = a_node(api, world, &user).await;
    assert_eq!(node.user, Some(user));
    assert_eq!(node.register_method, RegisterMethod::Cli);
    assert!(node.machine_key.starts_with("mkey:") && node.node_key.starts_with("nodekey:"));
    assert_eq!((node.ip_addresses.len(), node.online), (2, false));
    assert_eq!((&node.tags[..], &node.pre_auth_key), (&[][..], &None));
    assert_eq!(node.given_name, node.name);
    let age = Timestamp::now().duration_since(node.created_at.expect("a time"));
    assert!(age.abs() < SignedDuration::from_secs(60), "{age}");

    let listed = listed(api, node.id).await.expect("it is listed");
    let got = api.get_node(node.id).await.expect("a node");
    for same in [&listed, &got] {
        assert_eq!((&same.name, &same.user), (&node.name, &node.user));
        assert_eq!((&same.ip_addresses, same.expiry), (&node.ip_addresses, None));
    }
}

pub(crate) async fn nodes_are_listed_by_user(api: &impl HeadscaleApi, world: &World) {
    let (one, other) = (a_user(api, world).await, a_user(api, world).await);
    let (its, _) = (a_node(api, world, &one).await, a_node(api, world, &other).await);
    let nodes = api.list_nodes(Some(&one.name)).await.expect("a list");
    assert_eq!(nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [its.id]);
}

pub(crate) async fn nodes_of_nobody_are_none(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    assert_eq!(api.list_nodes(Some(&user.name)).await.expect("a list"), []);
}

pub(crate) async fn nodes_of_unknown_users_are_not_found(api: &impl HeadscaleApi, world: &World) {
    let name = format!("{} & nobody", world.a_name());
    assert_refused(api.list_nodes(Some(&name)).await, ErrorKind::NotFound);
}

pub(crate) async fn unknown_nodes_are_not_found(api: &impl HeadscaleApi, _: &World) {
    assert_refused(api.get_node(NOTHING).await, ErrorKind::NotFound);
    assert_refused(api.delete_node(NOTHING).await, ErrorKind::NotFound);
    assert_refused(api.expire_node(NOTHING, NodeExpiry::Now).await, ErrorKind::NotFound);
    let then = NodeExpiry::At(in_hours(1));
    assert_refused(api.expire_node(NOTHING, then).await, ErrorKind::NotFound);
    assert_refused(api.rename_node(NOTHING, "name").await, ErrorKind::NotFound);
    assert_refused(api.set_tags(NOTHING, &strings(&["tag:x"])).await, ErrorKind::NotFound);
    let routes = strings(&["10.0.0.0/8"]);
    assert_refused(api.approve_routes(NOTHING, &routes).await, ErrorKind::NotFound);
}

pub(crate) async fn an_unknown_registration_is_not_found(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    let result = api.register_node(&user.name, &world.a_registration()).await;
    assert_refused(result, ErrorKind::NotFound);
}

pub(crate) async fn a_registration_has_a_form(api: &impl HeadscaleApi, world: &World) {
    let user = a_user(api, world).await;
    for id in ["", "x", "hskey-authreq-short", "&user=nobody"] {
        assert_refused(api.register_node(&user.name, id).await, ErrorKind::Invalid);
    }
}

pub(crate) async fn a_registration_needs_a_user(api: &impl HeadscaleApi, world: &World) {
    let result = api.register_node(&world.a_name(), &world.a_registration()).await;
    assert_refused(result, ErrorKind::NotFound);
}

pub(crate) async fn a_made_up_node_needs_a_user(api: &impl HeadscaleApi, world: &World) {
    let new = NewDebugNode {
        user: world.a_name(),
        key: world.a_registration(),
        name: world.a_name(),
        routes: Vec::new(),
    };
    assert_refused(api.debug_create_node(&new).await, ErrorKind::NotFound);
}

pub(crate) async fn a_node_expires_now(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    let expired = api.expire_node(node.id, NodeExpiry::Now).await.expect("expired");
    let listed = listed(api, node.id).await.expect("it stays listed");
    for expiry in [expired.expiry, listed.expiry] {
        let age = Timestamp::now().duration_since(expiry.expect("a time"));
        assert!(age.abs() < SignedDuration::from_secs(60), "{age}");
    }
}

pub(crate) async fn a_node_expires_then(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    let then = in_hours(72);
    let then = Timestamp::new(then.as_second(), 123_456_789).expect("a time");
    api.expire_node(node.id, NodeExpiry::At(then)).await.expect("set");
    assert_eq!(listed(api, node.id).await.expect("it is listed").expiry, Some(then));
}

pub(crate) async fn a_node_expires_never(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    let then = in_hours(72);
    api.expire_node(node.id, NodeExpiry::At(then)).await.expect("set");
    let never = api.expire_node(node.id, NodeExpiry::Never).await;
    if world.release >= Release::V0_29 {
        assert_eq!(never.expect("set").expiry, None);
        assert_eq!(listed(api, node.id).await.expect("it is listed").expiry, None);
    } else {
        assert_refused(never, ErrorKind::Unsupported);
        assert_eq!(listed(api, node.id).await.expect("it is listed").expiry, Some(then));
    }
}

pub(crate) async fn a_node_is_renamed(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    let name = world.a_name();
    let renamed = api.rename_node(node.id, &name).await.expect("renamed");
    assert_eq!((&renamed.given_name, &renamed.name), (&name, &node.name));
    assert_eq!(listed(api, node.id).await.expect("it is listed").given_name, name);
}

pub(crate) async fn a_name_is_a_label(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    let long = "x".repeat(64);
    for name in ["a b", "a#b?c", "-dash", long.as_str(), "", ".."] {
        assert_refused(api.rename_node(node.id, name).await, ErrorKind::Invalid);
    }
    assert_eq!(listed(api, node.id).await.expect("it is listed").given_name, node.given_name);
    let name = format!("Upper-{}", world.number());
    let upper = api.rename_node(node.id, &name).await;
    if world.release >= Release::V0_29 {
        assert_eq!(upper.expect("renamed").given_name, name);
    } else {
        assert_refused(upper, ErrorKind::Invalid);
    }
}

pub(crate) async fn routes_are_approved(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    let approve = async |routes: &[&str]| {
        let node = api.approve_routes(node.id, &strings(routes)).await.expect("approved");
        node.approved_routes
    };
    assert_eq!(approve(&["10.1.0.0/16", "10.0.0.0/16"]).await, ["10.0.0.0/16", "10.1.0.0/16"]);
    assert_eq!(approve(&["fd00::/64"]).await, ["fd00::/64"]);
    let listed = listed(api, node.id).await.expect("it is listed");
    assert_eq!(
        (&listed.approved_routes[..], listed.subnet_routes.len()),
        (&strings(&["fd00::/64"])[..], 0)
    );
    assert_eq!(approve(&[]).await, [""; 0]);
}

pub(crate) async fn default_routes_are_both(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    let approved = api.approve_routes(node.id, &strings(&["::/0"])).await.expect("approved");
    assert_eq!(approved.approved_routes, ["0.0.0.0/0", "::/0"]);
}

pub(crate) async fn routes_are_prefixes(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    for route in ["", "10.0.0.1", "nonsense", "10.0.0.0/40"] {
        let result = api.approve_routes(node.id, &strings(&[route])).await;
        assert_refused(result, ErrorKind::Invalid);
    }
}

pub(crate) async fn tags_need_an_owner(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    for tag in ["tag:nobody-owns-this", "web", "tag:Web", "tag:a b"] {
        assert_refused(api.set_tags(node.id, &strings(&[tag])).await, ErrorKind::Invalid);
    }
    assert_eq!(listed(api, node.id).await.expect("it is listed").user, node.user);
}

pub(crate) async fn tags_are_never_none(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    assert_refused(api.set_tags(node.id, &[]).await, ErrorKind::Invalid);
}

pub(crate) async fn a_tagged_node_is_of_nobody(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    let owner = &node.user.as_ref().expect("a user").name;
    let policy = format!(r#"{{"tagOwners": {{"tag:web": ["{owner}@"], "tag:db": ["{owner}@"]}}}}"#);
    api.set_policy(&policy).await.expect("a policy");

    let tags = strings(&["tag:web", "tag:db", "tag:web"]);
    let tagged = api.set_tags(node.id, &tags).await.expect("tagged");
    assert_eq!(tagged.tags, ["tag:db", "tag:web"]);
    let listed = listed(api, node.id).await.expect("it is listed");
    assert_eq!(listed.tags, ["tag:db", "tag:web"]);
    assert_eq!(listed.user.map(|user| user.name).as_deref(), Some("tagged-devices"));
    // Since 0.29 it is not listed as its user's any more.
    let of_owner = api.list_nodes(Some(owner)).await.expect("a list");
    assert_eq!(of_owner.is_empty(), world.release >= Release::V0_29);
    api.set_policy("{}").await.expect("a policy");
}

pub(crate) async fn a_deleted_node_is_gone(api: &impl HeadscaleApi, world: &World) {
    let node = a_users_node(api, world).await;
    api.delete_node(node.id).await.expect("deleted");
    assert_eq!(listed(api, node.id).await, None);
    assert_kind(api.get_node(node.id).await, ErrorKind::NotFound);
    assert_refused(api.delete_node(node.id).await, ErrorKind::NotFound);
}
