//! `guardrails` on what `keystone` writes, with the engine's answers.

use builtin_tests::{judge, yaml};
use guardrails::Guardrails;
use headscale_policy_sdk::Finding;
use headscale_policy_sdk::testing::render;
use keystone::Keystone;
use serde_json::{Value, json};

fn findings(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut values = yaml("values.yaml").unwrap();
    change(&mut values);
    let policy = render::<Keystone>(&values).unwrap();
    let settings = yaml("guardrails.yaml").unwrap();
    judge::<Guardrails>(&policy, &settings, &yaml("tailnet.json").unwrap()).unwrap()
}

fn told(findings: &[Finding]) -> Vec<(&str, &str, &str)> {
    findings.iter().map(|f| (f.rule.as_str(), f.pointer.as_str(), f.message.as_str())).collect()
}

#[test]
fn the_example_holds() {
    assert_eq!(told(&findings(|_| {})), []);
}

#[test]
fn developers_on_the_api_of_storage_nodes_are_found_at_their_rule_with_the_chain() {
    let found = findings(|values| {
        let service = json!({
            "purpose": "Developers look into storage.",
            "from": ["developers"],
            "to": {"storage": [6443]},
        });
        values["services"].as_array_mut().unwrap().insert(0, service);
    });
    assert_eq!(
        told(&found),
        [(
            "forbidden-access",
            "/acls/2",
            "group:developers must not reach tag:storage: group:developers -> tag:storage on 6443 \
             (storage is reached through the cluster)",
        )]
    );
}

#[test]
fn logins_and_closed_ports_are_found() {
    let found = findings(|values| {
        values["machineAccess"][1]["to"] = json!(["worker", "monitoring"]);
        values["machineAccess"][1]["logins"] = json!(["root"]);
    });
    assert_eq!(
        told(&found),
        [
            (
                "open-port",
                "/acls/1",
                "tag:monitoring is closed on 22 but for group:cluster-admins: group:developers -> \
                 tag:monitoring on tcp 22",
            ),
            (
                "root-login",
                "/ssh/1",
                "only group:cluster-admins may log in as root: dev1-laptop ∈ group:developers -> \
                 tag:worker, dev1-laptop ∈ group:developers -> tag:monitoring, dev2-laptop ∈ \
                 group:developers -> tag:worker, and 1 more",
            ),
        ]
    );
}

#[test]
fn what_is_missing_is_found() {
    let found = findings(|values| {
        values["machineAccess"][0]["to"] = json!(["primer", "worker", "storage"]);
    });
    let found = told(&found);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "missing-access");
    assert!(found[0].2.starts_with("group:cluster-admins must reach tag:monitoring on tcp 22: "));
}
