//! What `keystone` writes is a policy that Headscale takes, in the standard format, that allows
//! what the example beside it allows and nothing more.

use builtin_tests::{example, yaml};
use headscale_acl::engine::{Verdict, diff};
use headscale_acl::hujson::{Document, format};
use headscale_acl::{Options, Tailnet, Version, check};
use headscale_policy_sdk::testing::render;
use keystone::Keystone;
use serde_json::{Value, json};

/// A change of the values of the example.
type Change = Box<dyn Fn(&mut Value)>;

fn rendered(change: impl FnOnce(&mut Value)) -> Result<String, String> {
    let mut values = yaml("values.yaml").unwrap();
    change(&mut values);
    render::<Keystone>(&values)
}

fn findings(policy: &str, version: Version, tailnet: Option<&Tailnet>) -> Vec<String> {
    let options = Options { versions: &[version], tailnet, today: None };
    let checked = check(policy.as_bytes(), &options);
    checked.findings.iter().map(|finding| format!("{finding:?}")).collect()
}

#[test]
fn is_clean_and_formatted_for_each_version() {
    let tailnet = Tailnet::from_value(&yaml("tailnet.json").unwrap()).unwrap();
    for (name, version) in
        [("0.28", Version::V0_28), ("0.29", Version::V0_29), ("0.30", Version::V0_30)]
    {
        let policy = rendered(|values| values["headscaleVersion"] = json!(name)).unwrap();
        assert_eq!(format(&Document::parse(policy.as_bytes())), policy, "{name}");
        assert_eq!(findings(&policy, version, None), [""; 0], "{name}");
        assert_eq!(findings(&policy, version, Some(&tailnet)), [""; 0], "{name}");
        assert_eq!(policy.contains("\"tests\""), name != "0.28", "{name}");
    }
}

#[test]
fn allows_what_the_hand_written_policy_allows() {
    let policy = rendered(|_| {}).unwrap();
    let written = example("policy-0.29.hujson").unwrap();
    let diff = diff(written.as_bytes(), policy.as_bytes(), None, Version::V0_29).unwrap();
    assert_eq!(diff.verdict, Verdict::Same);
}

#[test]
fn every_form_of_the_values_stays_formatted_and_clean() {
    let long: Vec<String> = (0..40).map(|n| format!("someone{n}@example.com")).collect();
    let table: [(&str, Change); 8] = [
        (
            "no pods",
            Box::new(|values| {
                values["podCIDRs"] = json!([]);
            }),
        ),
        (
            "two networks of pods",
            Box::new(|values| {
                values["podCIDRs"] = json!(["10.244.0.0/16", "fd00:10:244::/56"]);
            }),
        ),
        ("no tests", Box::new(|values| values["tests"] = json!(false))),
        ("many users", Box::new(move |values| values["roles"]["developers"] = json!(long))),
        (
            "a user with two roles",
            Box::new(|values| {
                values["roles"]["developers"] = json!(["admin@keystone.local", "dev1@example.com"]);
            }),
        ),
        ("a check", Box::new(|values| values["machineAccess"][1]["checkPeriod"] = json!("12h"))),
        (
            "UDP",
            Box::new(|values| {
                let service = json!({"purpose": "DNS", "from": ["worker"], "to": {"storage": [53]}, "proto": "udp"});
                values["services"].as_array_mut().unwrap().push(service);
            }),
        ),
        (
            "a long comment of several lines",
            Box::new(|values| {
                values["services"][0]["purpose"] =
                    json!("Why\r\n\t\"this\" */ is\u{7} so. ".repeat(30));
            }),
        ),
    ];
    for (name, change) in table {
        let policy = rendered(|values| change(values)).unwrap();
        assert_eq!(format(&Document::parse(policy.as_bytes())), policy, "{name}");
        let mut findings = findings(&policy, Version::V0_29, None);
        findings.retain(|finding| name != "no tests" || !finding.contains("tests-missing"));
        assert_eq!(findings, [""; 0], "{name}");
    }
}

#[test]
fn bad_values_are_told_with_their_place() {
    let table: [(&str, Change, &str); 17] = [
        (
            "machine as user",
            Box::new(|v| v["roles"]["developers"] = json!(["tag:worker"])),
            "/roles/developers/0: \"tag:worker\" is no user",
        ),
        (
            "no @",
            Box::new(|v| v["roles"]["developers"] = json!(["dev1"])),
            "/roles/developers/0: \"dev1\" is no user: write the e-mail address, or the name with an @ behind it, as \"dev1@\"",
        ),
        (
            "twice",
            Box::new(|v| v["roles"]["developers"] = json!(["a@b", "a@b"])),
            "/roles/developers/1: \"a@b\" stands there twice",
        ),
        (
            "nobody",
            Box::new(|v| v["roles"]["developers"] = json!([])),
            "/roles/developers: nobody has the role",
        ),
        (
            "bad name",
            Box::new(|v| v["nodes"]["Big One"] = json!({})),
            "/nodes/Big One: \"Big One\" is no name",
        ),
        (
            "unknown owner",
            Box::new(|v| v["tagOwners"] = json!(["admins"])),
            "/tagOwners: \"admins\" is neither a role (cluster-admins, developers) nor a class",
        ),
        (
            "owner is a class",
            Box::new(|v| v["tagOwners"] = json!(["worker"])),
            "/tagOwners: tags are given by people",
        ),
        (
            "host bits",
            Box::new(|v| v["podCIDRs"] = json!(["10.244.0.1/16"])),
            "/podCIDRs/0: 10.244.0.1/16 is an address in a network",
        ),
        (
            "no network",
            Box::new(|v| v["podCIDRs"] = json!(["pods"])),
            "/podCIDRs/0: \"pods\" is no network",
        ),
        (
            "overlap",
            Box::new(|v| v["podCIDRs"] = json!(["100.64.0.0/16"])),
            "/podCIDRs/0: 100.64.0.0/16 overlaps 100.64.0.0/10",
        ),
        (
            "unknown class",
            Box::new(|v| v["machineAccess"][0]["to"] = json!(["workers"])),
            "/machineAccess/0/to: \"workers\" is no class of `nodes`, which has primer, worker, storage, monitoring",
        ),
        (
            "pods without networks",
            Box::new(|v| {
                v["podCIDRs"] = json!([]);
                v["services"][0]["from"] = json!(["pods"]);
            }),
            "/services/0/from: there are no pods",
        ),
        (
            "ambiguous",
            Box::new(|v| v["roles"]["monitoring"] = json!(["prometheus@keystone.local"])),
            "/services/2/from: \"monitoring\" is a role and a class: write \"group:monitoring\" or \"tag:monitoring\"",
        ),
        (
            "port 0",
            Box::new(|v| v["services"][0]["to"] = json!({"primer": [0]})),
            "/services/0/to/primer/0: 0 is no port",
        ),
        (
            "turned range",
            Box::new(|v| v["services"][0]["to"] = json!({"primer": ["80-22"]})),
            "/services/0/to/primer/0: 80-22 is no port",
        ),
        (
            "check on 0.28",
            Box::new(|v| {
                v["headscaleVersion"] = json!("0.28");
                v["machineAccess"][0]["checkPeriod"] = json!("12h");
            }),
            "/machineAccess/0/checkPeriod: Headscale 0.28 lets logins through without a check",
        ),
        ("unknown member", Box::new(|v| v["rolls"] = json!({})), "unknown field `rolls`"),
    ];
    for (name, change, expected) in table {
        let error = rendered(|values| change(values)).expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
    let several = rendered(|values| {
        values["roles"]["developers"] = json!(["dev1", "dev2"]);
    });
    assert_eq!(several.unwrap_err().lines().count(), 2, "all problems are told");
}
