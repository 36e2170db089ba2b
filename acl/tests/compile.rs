//! What nodes are told, against Headscale's recorded answers, node by node.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use headscale_acl::{Tailnet, compile};
use headscale_testkit::conformance::{PolicyCase, committed, external};
use headscale_testkit::tell;
use serde_json::{Map, Value, json};

/// Members whose order does not count.
const UNORDERED: &[&str] =
    &["SrcIPs", "DstPorts", "IPProto", "Dsts", "principals", "peers", "autoApproved"];

/// `value` without what is null or empty (but for the keys of a capability map), and with what has
/// no order sorted.
fn normal(value: &Value, is_cap_map: bool) -> Value {
    let nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(members) => {
            let mut normal_members = Map::new();
            for (key, member) in members {
                let mut member = normal(member, matches!(&**key, "CapMap" | "capMap"));
                if is_cap_map && nothing(&member) {
                    member = json!([]);
                } else if nothing(&member) {
                    continue;
                }
                if let (true, Value::Array(items)) = (UNORDERED.contains(&&**key), &mut member) {
                    items.sort_by_key(ToString::to_string);
                }
                normal_members.insert(key.clone(), member);
            }
            normal_members.sort_keys();
            Value::Object(normal_members)
        }
        Value::Array(items) => items.iter().map(|item| normal(item, false)).collect(),
        other => other.clone(),
    }
}

/// The member `key`, compared as `answer` says.
fn same(key: &str, expected: &Value, ours: &Value) -> bool {
    let wrapped = |value: &Value| normal(&json!({key: value}), false);
    wrapped(expected) == wrapped(ours)
}

/// Differences of one node, each named.
fn differences(expected: &Value, ours: &Value) -> Vec<String> {
    let pairs = [
        ("filter", "packetFilter"),
        ("peers", "peers"),
        ("ssh", "sshPolicy"),
        ("autoApproved", "autoApproved"),
        ("capMap", "capMap"),
        ("peerRoutes", "peerRoutes"),
    ];
    let mut found = Vec::new();
    for (theirs, key) in pairs {
        let Some(theirs) = expected.get(theirs) else { continue };
        if theirs.is_null() && matches!(key, "capMap" | "peerRoutes") {
            continue;
        }
        let theirs = match key {
            "peers" => strings(theirs),
            "peerRoutes" => sorted_lists(theirs),
            _ => theirs.clone(),
        };
        let ours = ours.get(key).unwrap();
        let ours = if key == "peerRoutes" { sorted_lists(ours) } else { ours.clone() };
        if !same(key, &theirs, &ours) {
            found.push(format!("{key}:\n  theirs {theirs}\n  ours   {ours}"));
        }
    }
    found
}

fn strings(ids: &Value) -> Value {
    let ids = ids.as_array().cloned().unwrap_or_default();
    ids.iter().map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).collect()
}

fn sorted_lists(routes: &Value) -> Value {
    let routes = routes.as_object().cloned().unwrap_or_default();
    let sorted: BTreeMap<String, Vec<String>> = routes
        .into_iter()
        .map(|(peer, routes)| {
            let mut routes: Vec<String> = serde_json::from_value(routes).unwrap_or_default();
            routes.sort();
            (peer, routes)
        })
        .collect();
    json!(sorted)
}

fn agree(file: &str, cases: &[PolicyCase]) {
    let (mut agreed, mut total, mut wrong) = (0, 0, Vec::new());
    for case in cases {
        let Some(expected) = &case.expect.nodes else { continue };
        total += 1;
        let tailnet = Tailnet::from_value(&case.tailnet).unwrap();
        let version = case.version.parse().unwrap();
        let compiled = match compile(case.policy.as_bytes(), &tailnet, version) {
            Ok(compiled) => serde_json::to_value(compiled).unwrap(),
            Err(checked) => {
                wrong.push(format!("{}: refused: {:?}", case.id, checked.findings.first()));
                continue;
            }
        };
        let ours: BTreeMap<&str, &Value> = compiled["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| (node["id"].as_str().unwrap(), node))
            .collect();
        let mut differs = None;
        for node in expected {
            let id = strings(&json!([node["id"]]));
            let ours = ours.get(id[0].as_str().unwrap()).copied().unwrap();
            if let Some(first) = differences(node, ours).into_iter().next() {
                differs.get_or_insert(format!("{}: node {}: {first}", case.id, id[0]));
            }
        }
        match differs {
            None => agreed += 1,
            Some(differs) => wrong.push(format!("{differs}\n  policy {}", case.policy)),
        }
    }
    tell(&format!("conformance {file}: compiled {agreed}/{total}"));
    assert!(
        wrong.is_empty(),
        "{file}: {} differ, first:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(3)].join("\n\n")
    );
}

macro_rules! agreement {
    ($($test:ident: $read:ident($file:literal);)*) => {$(
        #[test]
        fn $test() {
            agreement!(@$read $file);
        }
    )*};
    (@committed $file:literal) => {
        agree($file, &committed::<PolicyCase>($file));
    };
    (@external $file:literal) => {
        if let Some(cases) = external::<PolicyCase>($file) {
            agree($file, &cases);
        }
    };
}

agreement! {
    random_0_28: committed("random/headscale-0.28.0.jsonl.gz");
    random_0_29: committed("random/headscale-0.29.2.jsonl.gz");
    probes_0_28: committed("probes-0.28.0.jsonl.gz");
    probes_0_29: committed("probes-0.29.2.jsonl.gz");
    saas_acl: external("saas/acl.jsonl.gz");
    saas_grant: external("saas/grant.jsonl.gz");
    saas_policytest: external("saas/policytest.jsonl.gz");
    saas_routes: external("saas/routes.jsonl.gz");
    saas_ssh: external("saas/ssh.jsonl.gz");
    saas_sshtest: external("saas/sshtest.jsonl.gz");
}
