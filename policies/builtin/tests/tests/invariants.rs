//! Each setting fires where it should and is silent where it should, with canned answers.

use guardrails::Guardrails;
use headscale_policy_sdk::testing::{Tailnet, validate};
use headscale_policy_sdk::{Finding, Plugin, Validator};
use serde_json::{Value, json};

/// Two developers, one of them an administrator too, a database and a web server.
fn tailnet() -> Tailnet {
    Tailnet::new()
        .node("alice-laptop", &["alice@", "group:dev", "group:admins"])
        .node("bob-laptop", &["bob@", "group:dev"])
        .node("db-1", &["tag:db"])
        .node("db-2", &["tag:db"])
        .node("web-1", &["tag:web"])
        .name("group:nobody")
}

fn policy() -> Value {
    json!({
        "groups": {"group:dev": ["alice@", "bob@"], "group:admins": ["alice@"]},
        "acls": [
            {"action": "accept", "src": ["bob@"], "dst": ["tag:db:5432"]},
            {"action": "accept", "src": ["group:dev"], "dst": ["tag:web:80,8000-8100"]},
            {"action": "accept", "src": ["group:dev"], "dst": ["autogroup:internet:*"]},
        ],
        "ssh": [
            {"action": "accept", "src": ["group:dev"], "dst": ["tag:web"], "users": ["root"]},
            {"action": "accept", "src": ["group:dev"], "dst": ["tag:db"], "users": ["debug"]},
        ],
    })
}

/// As the engine would answer about [`policy`].
fn answers() -> Tailnet {
    tailnet()
        .allow("/acls/0", "bob@", "tag:db", "*", "5432")
        .allow("/acls/1", "group:dev", "tag:web", "*", "80,8000-8100")
        .log_in("group:dev", "tag:web", "root")
        .log_in("group:dev", "tag:db", "debug")
}

fn judged(settings: &Value, answers: &Tailnet) -> Vec<(String, String, String)> {
    let findings = validate::<Guardrails>(&policy(), settings, answers).unwrap();
    let told = |finding: Finding| (finding.rule, finding.pointer, finding.message);
    findings.into_iter().map(told).collect()
}

/// The settings, and the rule, the pointer and a part of the message of each finding.
type Case<'c> = (&'c str, Value, &'c [(&'c str, &'c str, &'c str)]);

#[test]
fn each_setting_fires_and_is_silent() {
    let table: [Case<'_>; 24] = [
        ("nothing set", json!({}), &[]),
        (
            "never, by a part of a group",
            json!({"never": [{"from": "group:dev", "to": "tag:db"}]}),
            &[("forbidden-access", "/acls/0", "group:dev must not reach tag:db: bob@ -> tag:db")],
        ),
        (
            "never, by the group of a user, with a reason",
            json!({"never": [{"from": "alice@", "to": "tag:web", "ports": [80], "reason": "PCI"}]}),
            &[(
                "forbidden-access",
                "/acls/1",
                "alice@ must not reach tag:web on 80: alice@ ∈ group:dev -> tag:web on tcp 80",
            )],
        ),
        (
            "never, on a port that is closed",
            json!({"never": [{"from": "group:dev", "to": "tag:db", "ports": [22]}]}),
            &[],
        ),
        (
            "never, on a range that overlaps",
            json!({"never": [{"from": "group:dev", "to": "tag:web", "ports": ["8090-9000"], "proto": "tcp"}]}),
            &[("forbidden-access", "/acls/1", "group:dev -> tag:web on tcp 8090")],
        ),
        (
            "never, on a range between",
            json!({"never": [{"from": "group:dev", "to": "tag:web", "ports": ["81-7999"]}]}),
            &[],
        ),
        (
            "never, by another protocol",
            json!({"never": [{"from": "group:dev", "to": "tag:db", "proto": "sctp"}]}),
            &[],
        ),
        (
            "never, by UDP where no protocol is named",
            json!({"never": [{"from": "bob@", "to": "tag:db", "ports": [5432]}]}),
            &[(
                "forbidden-access",
                "/acls/0",
                "bob@ -> tag:db on tcp 5432, bob@ -> tag:db on udp 5432",
            )],
        ),
        (
            "always, and it holds",
            json!({"always": [{"from": "bob@", "to": "tag:db", "ports": [5432]}]}),
            &[],
        ),
        (
            "always, for a part only",
            json!({"always": [{"from": "group:dev", "to": "tag:db", "ports": [5432]}]}),
            &[(
                "missing-access",
                "/acls/0",
                "group:dev must reach tag:db on tcp 5432: alice-laptop (100.64.0.1) does not reach db-1",
            )],
        ),
        (
            "always, on a range with a gap",
            json!({"always": [{"from": "group:dev", "to": "tag:web", "ports": ["8000-8101"]}]}),
            &[("missing-access", "", "group:dev must reach tag:web on tcp 8101")],
        ),
        (
            "always, on a range",
            json!({"always": [{"from": "group:dev", "to": "tag:web", "ports": ["8000-8100"]}]}),
            &[],
        ),
        (
            "a closed port",
            json!({"closedPorts": [{"ports": [80], "to": "tag:web"}]}),
            &[("open-port", "/acls/1", "tag:web is closed on 80: group:dev -> tag:web on tcp 80")],
        ),
        (
            "a closed port, but for some of them",
            json!({"closedPorts": [{"ports": ["*"], "to": "tag:web", "except": "group:admins"}]}),
            &[(
                "open-port",
                "/acls/1",
                "tag:web is closed on * but for group:admins: bob-laptop ∈ group:dev -> tag:web",
            )],
        ),
        (
            "a closed port, but for all of them",
            json!({"closedPorts": [{"ports": [80], "to": "tag:web", "except": ["alice@", "bob@"]}]}),
            &[],
        ),
        (
            "a closed port that is",
            json!({"closedPorts": [{"ports": [443], "to": ["tag:web", "tag:db"]}]}),
            &[],
        ),
        (
            "a wide fan-out",
            json!({"maxFanOut": [{"from": ["bob@", "alice@"], "nodes": 2}]}),
            &[(
                "wide-fan-out",
                "/acls/0",
                "bob@ reaches 3 nodes, and may reach 2: 2 of them by bob@ -> tag:db",
            )],
        ),
        ("a fan-out", json!({"maxFanOut": [{"from": "bob@", "nodes": 3}]}), &[]),
        (
            "root from a part of a group",
            json!({"rootLoginOnlyFrom": "group:admins"}),
            &[(
                "root-login",
                "/ssh/0",
                "only group:admins may log in as root: bob-laptop ∈ group:dev -> tag:web",
            )],
        ),
        ("root from all", json!({"rootLoginOnlyFrom": ["group:dev"]}), &[]),
        (
            "exit nodes for nobody",
            json!({"exitNodesOnlyFor": []}),
            &[(
                "exit-node",
                "/acls/2",
                "nobody may use exit nodes: alice-laptop ∈ group:dev -> autogroup:internet, bob-laptop",
            )],
        ),
        ("exit nodes for all who use them", json!({"exitNodesOnlyFor": "group:dev"}), &[]),
        (
            "names that are not there",
            json!({
                "never": [{"from": "group:dve", "to": "tag:db"}],
                "closedPorts": [{"ports": [1], "to": "tag:bd", "except": "group:admin"}],
                "rootLoginOnlyFrom": ["group:dev", "group:root"],
            }),
            &[
                (
                    "unknown-name",
                    "",
                    "settings/never/0: group:dve is neither in the policy nor in the tailnet",
                ),
                ("unknown-name", "", "settings/closedPorts/0/except: group:admin is"),
                ("unknown-name", "", "settings/closedPorts/0/to: tag:bd is"),
                ("unknown-name", "", "settings/rootLoginOnlyFrom: group:root is"),
            ],
        ),
        (
            "a name with nobody behind it",
            json!({
                "always": [{"from": "group:nobody", "to": "tag:db", "ports": [22]}],
                "rootLoginOnlyFrom": ["group:dev", "group:nobody"],
            }),
            &[("unanswered", "", "settings/always/0 says nothing: group:nobody has no node")],
        ),
    ];
    for (name, settings, expected) in table {
        let found = judged(&settings, &answers());
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!((found.0.as_str(), found.1.as_str()), (expected.0, expected.1), "{name}");
            assert!(found.2.contains(expected.2), "{name}: {}", found.2);
        }
    }
}

#[test]
fn a_fan_out_of_made_up_nodes_is_no_proof() {
    let settings = json!({"maxFanOut": [{"from": "bob@", "nodes": 9}]});
    let found = judged(&settings, &answers().symbolic());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "fan-out-unproved");
}

#[test]
fn settings_that_make_no_sense_are_told() {
    let table = [
        (json!({"always": [{"from": "a@", "to": "b@"}]}), "/always/0: name the ports"),
        (
            json!({"never": [{"from": "a@", "to": "b@", "ports": ["9-1"]}]}),
            "/never/0/ports/0: 9-1 is no port",
        ),
        (
            json!({"never": [{"from": "a@", "to": "b@", "ports": [1], "proto": "icmp"}]}),
            "icmp has no ports",
        ),
        (
            json!({"closedPorts": [{"ports": [0], "to": "b@"}]}),
            "/closedPorts/0/ports/0: 0 is no port",
        ),
        (json!({"nevr": []}), "unknown field `nevr`"),
    ];
    for (settings, expected) in table {
        let error = validate::<Guardrails>(&policy(), &settings, &answers()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn every_finding_names_a_rule_with_help() {
    let descriptor = Guardrails::describe();
    assert!(descriptor.rules.iter().all(|rule| !rule.help.is_empty() && !rule.summary.is_empty()));
    let schema = descriptor.settings_schema.unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    // Nothing set is valid, and what the schema offers is what is read.
    for name in schema["properties"].as_object().unwrap().keys() {
        let settings = match name.as_str() {
            "rootLoginOnlyFrom" | "exitNodesOnlyFor" => json!({name: "a@"}),
            _ => json!({name: []}),
        };
        serde_json::from_value::<<Guardrails as Validator>::Settings>(settings).unwrap();
    }
}
