//! Objects as our types.

use headscale_api::kinds::{
    ApiKeySpec, Headscale, HeadscaleAutoApprover, HeadscalePolicy, HeadscalePreAuthKey,
    HeadscaleUser,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Reads an object as the type of its kind, and writes it again.
pub(crate) fn through_our_types(object: &Value) -> Value {
    fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
        let typed: T = serde_json::from_value(object.clone())
            .unwrap_or_else(|error| panic!("our type refuses it: {error}\n{object:#}"));
        serde_json::to_value(typed).expect("JSON")
    }
    match object["kind"].as_str().expect("a kind") {
        "Headscale" => through::<Headscale>(object),
        "HeadscaleAutoApprover" => through::<HeadscaleAutoApprover>(object),
        "HeadscalePolicy" => through::<HeadscalePolicy>(object),
        "HeadscalePreAuthKey" => through::<HeadscalePreAuthKey>(object),
        "HeadscaleUser" => through::<HeadscaleUser>(object),
        other => panic!("no kind of ours: {other}"),
    }
}

fn headscale(spec: &Value) -> Headscale {
    serde_json::from_value(json!({ "metadata": { "name": "a" }, "spec": spec })).expect("readable")
}

#[test]
fn what_is_shown_of_an_instance_has_no_secrets() {
    let shown = format!(
        "{:?}",
        headscale(&json!({
            "version": "v0.29.2",
            "replicas": 1,
            "config": { "oidc": { "client_secret": "hush" } },
            "extra_env": [{ "name": "TOKEN", "value": "hush" }],
        }))
    );
    assert!(shown.contains("v0.29.2") && !shown.contains("hush"), "{shown}");
}

#[test]
fn an_api_key_is_read_in_either_spelling() {
    let snake = json!({
        "auto_manage": false,
        "secret_name": "key",
        "expiration": "2h",
        "rotation_buffer": "1h",
        "manager_image": "image",
    });
    let camel = json!({
        "autoManage": false,
        "secretName": "key",
        "expiration": "2h",
        "rotationBuffer": "1h",
        "managerImage": "image",
    });
    let expected = ApiKeySpec {
        auto_manage: Some(false),
        secret_name: Some("key".to_owned()),
        expiration: Some("2h".to_owned()),
        rotation_buffer: Some("1h".to_owned()),
        manager_image: Some("image".to_owned()),
    };
    let spec = |key: &str, value: &Value| json!({ "version": "1", "replicas": 1, key: value });
    assert_eq!(headscale(&spec("api_key", &snake)).spec.api_key(), expected);
    assert_eq!(headscale(&spec("apiKey", &camel)).spec.api_key(), expected);
    let none = headscale(&json!({ "version": "1", "replicas": 1 }));
    assert_eq!(none.spec.api_key(), ApiKeySpec::default());
}

#[test]
fn members_that_nobody_knows_are_passed_over() {
    let spec = json!({
        "version": "1",
        "replicas": 1,
        "of_a_later_release": { "a": 1 },
        "service": { "type": "ClusterIP", "of_a_later_release": true },
    });
    assert_eq!(headscale(&spec).spec.version, "1");
}

#[test]
fn amounts_are_numbers_or_text() {
    let spec = json!({
        "version": "1",
        "replicas": 1,
        "persistent_volume_claim": { "size": 1_073_741_824 },
        "resources": { "limits": { "cpu": 1, "memory": "1Gi" }, "requests": { "cpu": 0.5 } },
        "extra_volumes": [{ "name": "scratch", "emptyDir": { "sizeLimit": 1_000_000 } }],
        "extra_env": [{
            "name": "CPUS",
            "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu", "divisor": 1 } },
        }],
    });
    let written = serde_json::to_value(headscale(&spec)).expect("JSON");
    let written = &written["spec"];
    assert_eq!(written["persistent_volume_claim"]["size"], 1_073_741_824);
    assert_eq!(written["resources"]["limits"], json!({ "cpu": "1", "memory": "1Gi" }));
    assert_eq!(written["resources"]["requests"], json!({ "cpu": "0.5" }));
    assert_eq!(written["extra_volumes"][0]["emptyDir"]["sizeLimit"], "1000000");
    assert_eq!(
        written["extra_env"][0]["valueFrom"]["resourceFieldRef"],
        json!({ "resource": "limits.cpu", "divisor": "1" }),
    );
}

#[test]
fn an_object_that_says_nothing_is_written_as_such() {
    let written = serde_json::to_value(Headscale::default()).expect("JSON");
    assert_eq!(written["spec"], json!({ "version": "", "replicas": 0 }));
}
