//! The JSON of an answer is the same whether it is written node by node or made as a whole.

use headscale_acl::engine::{self, Layout, Network};
use headscale_acl::{Tailnet, Version};
use headscale_testkit::tailnets::Shape;
use serde_json::{Value, json};

use super::case::Case;

const CASES: usize = 1_000;

/// What the random cases have none of.
fn with_ssh(mut policy: Value, seed: u64) -> Value {
    let to = if seed.is_multiple_of(3) { "tag:a" } else { "autogroup:self" };
    policy["ssh"] = json!([
        {"action": "accept", "src": ["autogroup:member"], "dst": [to], "users": ["root"]},
        {"action": "check", "src": ["group:x"], "dst": ["tag:b"], "users": ["autogroup:nonroot"]},
        {"action": "accept", "src": ["tag:a"], "dst": ["tag:b", "tag:c"], "users": ["x\ny\"z"]},
    ]);
    policy
}

fn written(answers: &engine::Answers<'_, '_, '_>, layout: Layout) -> String {
    let mut json = Vec::new();
    answers.write_json(&mut json, layout).unwrap();
    String::from_utf8(json).unwrap()
}

fn assert_alike(network: &Network<'_, '_>) {
    let whole = network.compiled();
    let answers = network.answers();
    let pretty = serde_json::to_string_pretty(&whole).unwrap();
    assert_eq!(written(&answers, Layout::Pretty), pretty);
    let compact = serde_json::to_string(&whole).unwrap();
    assert_eq!(written(&answers, Layout::Compact), compact);

    let last = whole.nodes.len() - 1;
    let one = answers.only(&[last, last + 1]);
    let alone = one.around(&whole.nodes[last..]);
    assert_eq!(written(&one, Layout::Pretty), serde_json::to_string_pretty(&alone).unwrap());
}

#[test]
fn json_written_node_by_node_is_that_of_the_whole() {
    let (mut compared, mut with_principals, mut with_grants) = (0, 0, 0);
    for seed in 0..CASES as u64 {
        let case = Case::of(seed);
        let tailnet = Tailnet::from_value(&case.tailnet()).unwrap();
        let policy = case.policy();
        let policy = if seed.is_multiple_of(2) { with_ssh(policy, seed) } else { policy };
        let version = case.version().parse().unwrap();
        let asked =
            engine::ask(policy.to_string().as_bytes(), Some(&tailnet), version, |network| {
                assert_alike(network);
                written(&network.answers(), Layout::Compact)
            });
        let Ok(json) = asked else { continue };
        compared += 1;
        with_principals += usize::from(json.contains("nodeIP"));
        with_grants += usize::from(json.contains("CapGrant"));
    }
    assert!(compared > CASES / 2, "too few are valid: {compared}");
    assert!(with_principals > CASES / 10, "too few have SSH rules: {with_principals}");
    assert!(with_grants > CASES / 20, "too few have capabilities: {with_grants}");
}

#[test]
fn json_of_made_up_and_of_many_nodes_is_that_of_the_whole() {
    let plain = Shape::new(150);
    let shapes = [plain, Shape { with_self: true, ..plain }, Shape { with_via: true, ..plain }];
    for shape in shapes {
        let tailnet = Tailnet::from_value(&shape.tailnet()).unwrap();
        for tailnet in [Some(&tailnet), None] {
            let policy = shape.policy();
            let asked = engine::ask(policy.as_bytes(), tailnet, Version::V0_29, assert_alike);
            assert!(asked.is_ok(), "{:?}", asked.err());
        }
    }
}

#[test]
fn json_of_no_nodes_is_that_of_the_whole() {
    let tailnet = Tailnet::default();
    let json = engine::ask(b"", Some(&tailnet), Version::V0_29, |network| {
        let answers = network.answers();
        assert_eq!(written(&answers, Layout::Compact), r#"{"headscaleVersion":"0.29","nodes":[]}"#);
        written(&answers, Layout::Pretty)
    });
    assert_eq!(json.unwrap(), "{\n  \"headscaleVersion\": \"0.29\",\n  \"nodes\": []\n}");
}
