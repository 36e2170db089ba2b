//! Snapshots in every shape that Headscale prints them in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use headscale_acl::Tailnet;
use headscale_acl::tailnet::{Node, User, UserMatch};
use serde_json::{Value, json};

fn read(value: &Value) -> Tailnet {
    Tailnet::from_value(value).unwrap()
}

fn alice() -> User {
    User {
        id: 1,
        name: "alice".to_owned(),
        display_name: "Alice".to_owned(),
        email: "alice@example.com".to_owned(),
        provider_id: "https://idp.example/1".to_owned(),
    }
}

fn laptop() -> Node {
    Node {
        id: 7,
        name: "laptop".to_owned(),
        given_name: "laptop-1".to_owned(),
        user: Some(1),
        addresses: vec!["100.64.0.1".parse().unwrap(), "fd7a:115c:a1e0::1".parse().unwrap()],
        tags: vec![],
        available_routes: vec!["10.0.0.0/8".to_owned()],
        approved_routes: vec![],
    }
}

#[test]
fn users_and_nodes_are_read_from_every_shape() {
    let rest_user = json!({
        "id": "1", "name": "alice", "displayName": "Alice", "email": "alice@example.com",
        "providerId": "https://idp.example/1", "createdAt": "2026-01-01T00:00:00Z",
    });
    let cli_user = json!({
        "id": 1, "name": "alice", "display_name": "Alice", "email": "alice@example.com",
        "provider_id": "https://idp.example/1", "created_at": {"seconds": 1},
    });
    let rest_node = json!({
        "id": "7", "name": "laptop", "givenName": "laptop-1", "user": {"id": "1", "name": "alice"},
        "ipAddresses": ["100.64.0.1", "fd7a:115c:a1e0::1"], "tags": [],
        "availableRoutes": ["10.0.0.0/8"], "approvedRoutes": null, "online": true,
    });
    let cli_node = json!({
        "id": 7, "name": "laptop", "given_name": "laptop-1", "user": {"id": 1, "name": "alice"},
        "ip_addresses": ["100.64.0.1", "fd7a:115c:a1e0::1"], "available_routes": ["10.0.0.0/8"],
    });
    for (user, node) in [(rest_user, rest_node), (cli_user, cli_node)] {
        let both = json!({"users": [user], "nodes": [node]});
        assert_eq!(read(&both).users, [alice()], "{both}");
        assert_eq!(read(&both).nodes, [laptop()], "{both}");
        for users in [json!({"users": [user]}), json!([user]), json!({"user": user})] {
            assert_eq!(
                (read(&users).users, read(&users).nodes),
                (vec![alice()], vec![]),
                "{users}"
            );
        }
        // Without users they are those that the nodes name.
        let named = User { id: 1, name: "alice".to_owned(), ..User::default() };
        for nodes in [
            json!({"nodes": [node]}),
            json!({"users": null, "nodes": [node]}),
            json!([node]),
            json!({"node": node}),
        ] {
            assert_eq!(read(&nodes).users, std::slice::from_ref(&named), "{nodes}");
            assert_eq!(read(&nodes).nodes, [laptop()], "{nodes}");
        }
        let no_users = read(&json!({"users": [], "nodes": [node]}));
        assert_eq!((no_users.users, no_users.nodes), (vec![], vec![laptop()]));
    }
    assert_eq!(read(&Value::Null), Tailnet::default());
}

#[test]
fn the_user_of_tagged_devices_is_none() {
    for id in [json!("2147455555"), json!(2_147_455_555_u64)] {
        let node = json!([{"id": "1", "ipAddresses": [], "user": {"id": id}, "tags": ["tag:web"]}]);
        assert_eq!(read(&node).nodes.first().unwrap().user, None);
    }
}

#[test]
fn users_that_only_nodes_name_are_taken_once_with_all_that_is_said_of_them() {
    let tailnet = read(&json!([
        {"id": 1, "user": {"id": 2, "name": "bob"}, "ip_addresses": ["100.64.0.1"]},
        {"id": 2, "user": {"id": 1, "name": "alice"}},
        {"id": 3, "user": {"id": 1, "display_name": "Alice", "email": "alice@example.com"}},
        {"id": 4, "user": {"id": "1", "providerId": "https://idp.example/1"}},
        {"id": 5, "user": {"id": "2147455555", "name": "tagged-devices"}, "tags": ["tag:web"]},
        {"id": 6, "user": {"name": "carol"}},
        {"id": 7, "user": null},
    ]));
    let bob = User { id: 2, name: "bob".to_owned(), ..User::default() };
    assert_eq!(tailnet.users, [bob, alice()]);
    assert_eq!(tailnet.find_user("alice@example.com"), UserMatch::One(&alice()));
    assert_eq!(tailnet.find_user("tagged-devices@"), UserMatch::None);
}

#[test]
fn a_list_is_of_nodes_if_one_looks_like_a_node() {
    for node in [json!({"user": {"id": 1}}), json!({"givenName": "a"}), json!({"tags": []})] {
        let list = read(&json!([{"id": 1, "name": "a"}, node]));
        assert_eq!(list.nodes.len(), 2, "{node}");
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    for (value, error) in [
        (json!("x"), r#"/: expected an object with `users` and `nodes`, found "x""#),
        (json!({"policy": ""}), "/: expected an object with `users` and `nodes`, found an object"),
        (json!({"users": {}}), "/users: expected an array, found an object"),
        (json!({"users": [{"name": 1}]}), "/users/0/name: expected a string, found 1"),
        (json!({"users": [{"id": -1}]}), "/users/0/id: expected a number, found -1"),
        (
            json!({"nodes": [{"ipAddresses": ["100.64.0.1", "x"]}]}),
            r#"/nodes/0/ipAddresses/1: expected an IP address, found "x""#,
        ),
        (json!([{"user": {"name": []}}]), "/nodes/0/user/name: expected a string, found an array"),
    ] {
        assert_eq!(Tailnet::from_value(&value).unwrap_err().to_string(), error);
    }
}

#[test]
fn users_are_found_by_provider_id_first_then_by_mail_or_name() {
    let tailnet = read(&json!({"users": [
        {"id": 1, "name": "alice", "email": "a@example.com"},
        {"id": 2, "name": "a@example.com"},
        {"id": 3, "name": "bob", "providerId": "alice2"},
        {"id": 4, "name": "alice2"},
    ]}));
    let id = |token| match tailnet.find_user(token) {
        UserMatch::One(user) => Ok(user.id),
        UserMatch::None => Err(0),
        UserMatch::Several(users) => Err(users.len()),
    };
    assert_eq!(id("alice@"), Ok(1));
    assert_eq!(id("bob@"), Ok(3));
    assert_eq!(id("alice2@"), Ok(3), "the provider id decides alone");
    assert_eq!(id("a@example.com"), Err(2), "a name and an e-mail address");
    assert_eq!(id("Alice@"), Err(0), "case counts");
    assert_eq!(id("alice@@"), Err(0), "one @ is dropped");
}
