//! What is told of bad snapshots, record by record.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use headscale_acl::tailnet::{Node, User};
use headscale_acl::{Defects, Findings, Severity, Source, Tailnet, defects, rules};
use serde_json::{Value, json};

fn found(snapshot: &Value) -> Vec<String> {
    let Defects { kept, uncounted } = defects(&Tailnet::from_value(snapshot).unwrap());
    assert_eq!(uncounted, []);
    let told = kept.iter().map(|defect| {
        let finding = &defect.finding;
        let rule = rules::by_id(&finding.rule).unwrap();
        assert_eq!((finding.severity, &finding.source), (rule.severity, &Source::Lint));
        let help = finding.help.as_deref().unwrap();
        format!("{} {}: {} ({help})", defect.path, finding.rule, finding.message)
    });
    told.collect()
}

/// A node that nothing is wrong with, changed by `with`.
fn node(id: u64, with: &Value) -> Value {
    let mut node = json!({
        "id": id.to_string(),
        "name": format!("n{id}"),
        "user": {"id": "1"},
        "ipAddresses": [format!("100.64.0.{id}")],
    });
    let members = node.as_object_mut().unwrap();
    for (name, value) in with.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    node
}

/// The nodes with the user alice, who has the id 1.
fn with_alice(nodes: &[Value]) -> Value {
    json!({"users": [{"id": "1", "name": "alice"}], "nodes": nodes})
}

#[test]
fn nothing_is_told_of_what_headscale_prints() {
    let ha = json!({"availableRoutes": ["10.0.0.0/8", "0.0.0.0/0"], "approvedRoutes": ["10.0.0.0/8", "0.0.0.0/0"]});
    let tagged = json!({"user": {"id": "2147455555"}, "tags": ["tag:a", "tag:b"]});
    let created_by = json!({"user": {"id": "1"}, "tags": ["tag:a"]});
    let created_by_gone = json!({"user": {"id": "9"}, "tags": ["tag:a"]});
    let no_user = json!({"user": null, "tags": ["tag:a"]});
    let early = json!({"approvedRoutes": ["10.1.0.0/16"]});
    let all = [
        node(1, &ha),
        node(2, &ha),
        node(3, &tagged),
        node(4, &created_by),
        node(5, &created_by_gone),
        node(6, &no_user),
        node(7, &early),
    ];
    assert_eq!(found(&with_alice(&all)), Vec::<String>::new());
    let no_ids = json!({"users": [{"name": "a"}, {"name": "b"}]});
    for snapshot in [json!(null), json!({"users": []}), json!({"nodes": []}), no_ids] {
        assert_eq!(found(&snapshot), Vec::<String>::new(), "{snapshot}");
    }
}

#[test]
fn users_of_nodes_must_be_there() {
    let nodes = [node(1, &json!({"user": {"id": 9}})), node(2, &json!({"user": {"name": "bob"}}))];
    insta::assert_snapshot!(found(&with_alice(&nodes)).join("\n"), @"
    /nodes/0/user tailnet-user-unknown: node `n1` belongs to user 9, and there is no such user (add the user to `users`: until then no rule for a user matches the node)
    /nodes/1/user tailnet-user-unknown: the user of node `n2` has no id (nodes belong to users by `id`)
    ");
    // Users that only the nodes name are there.
    insta::assert_snapshot!(found(&json!(nodes)).join("\n"), @"/nodes/1/user tailnet-user-unknown: the user of node `n2` has no id (nodes belong to users by `id`)");
    // There is nobody.
    let nodes = [node(1, &json!({"user": null, "tags": ["tag:web"]}))];
    insta::assert_snapshot!(found(&json!({"nodes": nodes})).join("\n"), @" tailnet-user-unknown: the snapshot has no users, and its nodes name none (add `users`: until then a user in a policy matches nobody)");
}

#[test]
fn ids_are_unique() {
    let users = json!([
        {"id": 1, "name": "alice"}, {"id": 2, "name": "bob"}, {"id": 1, "name": "carol"}, {"id": 1},
    ]);
    let nodes = [
        node(1, &json!({})),
        node(2, &json!({"id": 1, "name": "", "givenName": "second"})),
        node(3, &json!({"id": null, "name": ""})),
        node(4, &json!({"id": 0})),
    ];
    insta::assert_snapshot!(found(&json!({"users": users, "nodes": nodes})).join("\n"), @"
    /users/2/id tailnet-duplicate-id: user `carol` has the id of user `alice`: 1 (the nodes of this user belong to both; the other is /users/0)
    /users/3/id tailnet-duplicate-id: user 1 has the id of user `alice`: 1 (the nodes of this user belong to both; the other is /users/0)
    /nodes/1/id tailnet-duplicate-id: node `second` has the id of node `n1`: 1 (the two cannot be told apart by it; the other is /nodes/0)
    ");
    let nodes = [
        node(1, &json!({"user": {"id": 1, "name": "alice"}})),
        node(2, &json!({"user": {"id": 1, "email": "alice@example.com"}})),
        node(3, &json!({"user": {"id": 1, "name": "bob"}})),
    ];
    insta::assert_snapshot!(found(&json!(nodes)).join("\n"), @"/nodes/2/user tailnet-duplicate-id: node `n3` describes user 1 unlike a node before it (the first one counts; list the `users`, so that none is guessed)");
}

#[test]
fn an_address_belongs_to_one_node() {
    let nodes = [
        node(1, &json!({"ipAddresses": ["100.64.0.1", "fd7a:115c:a1e0::1"]})),
        node(2, &json!({"ipAddresses": ["100.64.0.2", "FD7A:115C:A1E0:0::1"]})),
        node(3, &json!({"ipAddresses": ["100.64.0.3", "100.64.0.3"]})),
        node(4, &json!({"ipAddresses": ["100.64.0.1"]})),
    ];
    insta::assert_snapshot!(found(&with_alice(&nodes)).join("\n"), @"
    /nodes/3/ipAddresses/0 tailnet-duplicate-address: node `n4` has the address of node `n1`: 100.64.0.1 (rules for one match both; the other is /nodes/0)
    /nodes/2/ipAddresses/1 tailnet-duplicate-address: node `n3` has the address 100.64.0.3 twice (remove one of the two)
    /nodes/1/ipAddresses/1 tailnet-duplicate-address: node `n2` has the address of node `n1`: fd7a:115c:a1e0::1 (rules for one match both; the other is /nodes/0)
    ");
}

#[test]
fn nodes_have_addresses_and_an_owner() {
    let nodes = [
        node(1, &json!({"ipAddresses": []})),
        json!({"id": 2, "name": "typo", "user": {"id": 1}, "ipAddrs": ["100.64.0.2"]}),
        node(3, &json!({"user": null})),
        node(4, &json!({"user": {"id": "2147455555", "name": "tagged-devices"}})),
        json!({}),
    ];
    insta::assert_snapshot!(found(&with_alice(&nodes)).join("\n"), @"
    /nodes/0 tailnet-node-without-address: node `n1` has no addresses, so no rule for its user or tags matches it (write them under `ipAddresses`)
    /nodes/1 tailnet-node-without-address: node `typo` has no addresses, so no rule for its user or tags matches it (write them under `ipAddresses`)
    /nodes/4 tailnet-node-without-address: a node without a name has no addresses, so no rule for its user or tags matches it (write them under `ipAddresses`)
    /nodes/2 tailnet-node-without-owner: node `n3` has neither a user nor tags: it belongs to nobody (write the id of its user under `user`, or its `tags`)
    /nodes/3 tailnet-node-without-owner: node `n4` has neither a user nor tags: it belongs to nobody (write the id of its user under `user`, or its `tags`)
    /nodes/4 tailnet-node-without-owner: a node without a name has neither a user nor tags: it belongs to nobody (write the id of its user under `user`, or its `tags`)
    ");
}

#[test]
fn routes_are_prefixes() {
    let nodes = [
        node(
            1,
            &json!({
                "availableRoutes": ["10.0.0.0/8", "10.0.0.0/33", "lan"],
                "approvedRoutes": ["10.0.0.0/8", "", "192.168.0.1"],
            }),
        ),
        node(
            2,
            &json!({
                "availableRoutes": ["10.0.0.1/8", "172.16.0.0/12"],
                "approvedRoutes": ["10.0.0.1/8", "172.16.0.1/12"],
            }),
        ),
    ];
    insta::assert_snapshot!(found(&with_alice(&nodes)).join("\n"), @"
    /nodes/0/availableRoutes/1 tailnet-invalid-route: the route `10.0.0.0/33` of node `n1` is no prefix: prefix length out of range (it is ignored; write a prefix such as `10.0.0.0/8`)
    /nodes/0/availableRoutes/2 tailnet-invalid-route: the route `lan` of node `n1` is no prefix: no '/' (it is ignored; write a prefix such as `10.0.0.0/8`)
    /nodes/0/approvedRoutes/1 tailnet-invalid-route: the route `` of node `n1` is no prefix: no '/' (it is ignored; write a prefix such as `10.0.0.0/8`)
    /nodes/0/approvedRoutes/2 tailnet-invalid-route: the route `192.168.0.1` of node `n1` is an address and no prefix (it is taken for 192.168.0.1/32; write that)
    /nodes/1/approvedRoutes/1 tailnet-invalid-route: the route `172.16.0.1/12` of node `n2` approves nothing: it has bits beyond its length (routes are compared as written; write `172.16.0.0/12`)
    ");
}

#[test]
fn routes_within_those_of_other_nodes_are_told_once() {
    let routes = |id: u64, routes: &[&str], approved: &[&str]| {
        node(id, &json!({"availableRoutes": routes, "approvedRoutes": approved}))
    };
    let both = |id: u64, of: &[&str]| routes(id, of, of);
    let overlapping = |nodes: &[Value]| found(&with_alice(nodes)).join("\n");
    insta::assert_snapshot!(overlapping(&[
        both(1, &["10.0.0.0/8", "0.0.0.0/0"]),
        both(2, &["192.168.0.0/24", "10.1.0.0/16", "::/0"]),
        both(3, &["10.1.2.0/24"]),
        both(4, &["10.1.0.0/16", "fd00::/8"]),
        both(5, &["fd00:1::/32"]),
    ]), @"
    /nodes/1/availableRoutes/1 tailnet-overlapping-routes: the route 10.1.0.0/16 of node `n2` lies within 10.0.0.0/8 of node `n1` (packets take the narrower one; the other is /nodes/0/availableRoutes/0)
    /nodes/2/availableRoutes/0 tailnet-overlapping-routes: the route 10.1.2.0/24 of node `n3` lies within 10.1.0.0/16 of node `n2` (packets take the narrower one; the other is /nodes/1/availableRoutes/1)
    /nodes/4/availableRoutes/0 tailnet-overlapping-routes: the route fd00:1::/32 of node `n5` lies within fd00::/8 of node `n4` (packets take the narrower one; the other is /nodes/3/availableRoutes/1)
    ");
    for apart in [
        [both(1, &["10.0.0.0/8", "10.1.0.0/16"]), both(2, &["11.0.0.0/8"])],
        [both(1, &["10.0.0.0/8"]), routes(2, &["10.1.0.0/16"], &[])],
        [both(1, &["10.0.0.0/8"]), routes(2, &[], &["10.1.0.0/16"])],
        [both(1, &["10.0.0.0/8"]), both(2, &["10.0.0.0/8"])],
    ] {
        assert_eq!(overlapping(&apart), "");
    }
    // The node of the narrower route has the wider one as well, and so has another one.
    let shared = [both(1, &["10.0.0.0/8", "10.1.0.0/16"]), both(2, &["10.0.0.0/8"])];
    insta::assert_snapshot!(overlapping(&shared), @"/nodes/0/availableRoutes/1 tailnet-overlapping-routes: the route 10.1.0.0/16 of node `n1` lies within 10.0.0.0/8 of node `n2` (packets take the narrower one; the other is /nodes/1/availableRoutes/0)");
    // The next wider route is the node's own, the one beyond it is not.
    let beyond = [both(1, &["10.1.0.0/16", "10.1.2.0/24"]), both(2, &["10.0.0.0/8"])];
    insta::assert_snapshot!(overlapping(&beyond), @"
    /nodes/0/availableRoutes/0 tailnet-overlapping-routes: the route 10.1.0.0/16 of node `n1` lies within 10.0.0.0/8 of node `n2` (packets take the narrower one; the other is /nodes/1/availableRoutes/0)
    /nodes/0/availableRoutes/1 tailnet-overlapping-routes: the route 10.1.2.0/24 of node `n1` lies within 10.0.0.0/8 of node `n2` (packets take the narrower one; the other is /nodes/1/availableRoutes/0)
    ");
}

#[test]
fn tags_start_with_tag_and_stand_once() {
    let nodes = [node(1, &json!({"tags": ["tag:web", "web", "tag:web", "Tag:db", "web"]}))];
    insta::assert_snapshot!(found(&with_alice(&nodes)).join("\n"), @"
    /nodes/0/tags/1 tailnet-contradictory-tags: `web` of node `n1` does not start with `tag:` (write a tag such as `tag:web`; no rule can name this one, and because of it the node is no user's any more)
    /nodes/0/tags/2 tailnet-contradictory-tags: node `n1` has the tag `tag:web` twice (remove one of the two)
    /nodes/0/tags/3 tailnet-contradictory-tags: `Tag:db` of node `n1` does not start with `tag:` (write a tag such as `tag:web`; no rule can name this one, and because of it the node is no user's any more)
    /nodes/0/tags/4 tailnet-contradictory-tags: node `n1` has the tag `web` twice (remove one of the two)
    ");
}

#[test]
fn long_names_are_not_told_whole() {
    let long = "ü".repeat(1_000_000);
    let nodes = [node(1, &json!({"name": long, "tags": [long], "availableRoutes": [long]}))];
    for told in found(&with_alice(&nodes)) {
        assert!(told.len() < 600, "{} bytes", told.len());
    }
}

#[test]
fn every_rule_about_snapshots_can_be_broken() {
    let mut nodes = vec![
        node(1, &json!({"tags": ["web"], "availableRoutes": ["10.0.0.0/8", "x"]})),
        node(1, &json!({"user": null, "availableRoutes": ["10.1.0.0/16"]})),
        json!({"user": {"id": 7}}),
    ];
    for node in &mut nodes {
        node["approvedRoutes"] = node["availableRoutes"].clone();
    }
    let snapshot = Tailnet::from_value(&with_alice(&nodes)).unwrap();
    let mut broken: Vec<String> =
        defects(&snapshot).kept.iter().map(|defect| defect.finding.rule.to_string()).collect();
    broken.sort_unstable();
    broken.dedup();
    let mut rules: Vec<&str> =
        rules::all().map(|rule| rule.id).filter(|id| id.starts_with("tailnet-")).collect();
    rules.sort_unstable();
    assert_eq!(broken, rules);
}

/// 200,000 nodes with all that is wrong at once: a comparison of pairs would take hours.
#[test]
fn large_snapshots_are_examined_without_comparing_pairs() {
    const NODES: u32 = 200_000;
    let route = |bits: u32, index: u32| {
        let [_, a, b, c] = (index << (32 - bits)).to_be_bytes();
        format!("10.{a}.{b}.{c}/{bits}")
    };
    let nodes = (0..NODES).map(|index| {
        let routes = match index {
            0 => vec!["10.0.0.0/8".to_owned()],
            _ => vec![route(if index % 2 == 0 { 28 } else { 32 }, index)],
        };
        Node {
            id: 1,
            name: format!("node-{index}"),
            user: Some(u64::from(index) + 2),
            addresses: vec![[100, 64, 0, 1].into()],
            available_routes: routes.clone(),
            approved_routes: routes,
            ..Node::default()
        }
    });
    // One node with as many routes and tags as the others together.
    let many: Vec<String> = (0..NODES).map(|index| route(24, index)).collect();
    let tags = (0..NODES).map(|index| format!("tag:{index}")).collect();
    let last =
        Node { tags, available_routes: many.clone(), approved_routes: many, ..Node::default() };
    let users = (0..NODES).map(|_| User { id: 1, ..User::default() }).collect();
    let tailnet = Tailnet::new(users, nodes.chain([last]).collect());
    let Defects { kept, uncounted } = defects(&tailnet);
    assert_eq!(kept.len(), Findings::KEPT);
    let unknown = kept.iter().filter(|d| d.finding.rule == rules::TAILNET_USER_UNKNOWN.id).count();
    assert_eq!(unknown, Findings::KEPT);
    let others = u64::from(NODES) - 1;
    let count = |rule: &'static rules::Rule| {
        uncounted.iter().find(|(id, _)| id.id == rule.id).map(|(_, count)| *count)
    };
    let unknown = u64::from(NODES) - Findings::KEPT as u64;
    assert_eq!(count(&rules::TAILNET_USER_UNKNOWN), Some(unknown));
    assert_eq!(count(&rules::TAILNET_DUPLICATE_ID), Some(2 * others));
    assert_eq!(count(&rules::TAILNET_DUPLICATE_ADDRESS), Some(others));
    assert_eq!(count(&rules::TAILNET_NODE_WITHOUT_ADDRESS), Some(1));
    assert!(count(&rules::TAILNET_OVERLAPPING_ROUTES) >= Some(others));
    assert_eq!(rules::TAILNET_OVERLAPPING_ROUTES.severity, Severity::Info);
}
