//! What may change in an object that is stored, and what may not.

use headscale_api::kinds::API_VERSION;
use serde_json::{Value, json};

use crate::cluster::Namespace;

fn user(name: &str, spec: &Value) -> Value {
    let mut whole = json!({ "headscaleRef": "headscale", "username": "alice" });
    for (field, value) in spec.as_object().expect("an object") {
        whole[field] = value.clone();
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": "HeadscaleUser",
        "metadata": { "name": name },
        "spec": whole,
    })
}

#[tokio::test]
async fn what_a_user_is_called_never_changes() {
    let Some(namespace) = Namespace::new().await else { return };
    let fields = [
        ("username", "alice", "bob"),
        ("displayName", "Alice", "Alice Doe"),
        ("email", "alice@example.com", "alice@example.org"),
        ("pictureURL", "https://example.com/a.png", "https://example.com/b.png"),
    ];
    for (field, first, second) in fields {
        let name = format!("change-{}", field.to_lowercase());
        namespace.apply(&user(&name, &json!({ field: first }))).await.expect("it is new");
        namespace.apply(&user(&name, &json!({ field: first }))).await.expect("it is the same");
        let refused = namespace.apply(&user(&name, &json!({ field: second }))).await;
        let said = refused.expect_err("it is another");
        assert!(said.contains(&format!("spec.{field}")), "{said}");
        assert!(said.contains(&format!("{field} is immutable")), "{said}");
    }
}

#[tokio::test]
async fn what_a_user_is_called_is_given_and_taken_away_later() {
    let Some(namespace) = Namespace::new().await else { return };
    let with = json!({ "displayName": "Alice", "email": "alice@example.com" });
    namespace.apply(&user("later", &json!({}))).await.expect("it is new");
    namespace.apply(&user("later", &with)).await.expect("it is given");
    namespace.apply(&user("later", &json!({}))).await.expect("it is taken away");
}

#[tokio::test]
async fn another_instance_may_be_named_later() {
    let Some(namespace) = Namespace::new().await else { return };
    namespace.apply(&user("moves", &json!({}))).await.expect("it is new");
    let moved = user("moves", &json!({ "headscaleRef": "other" }));
    namespace.apply(&moved).await.expect("it was taken by the Go operator");
}

#[tokio::test]
async fn an_instance_stored_without_an_api_key_is_updated() {
    let Some(namespace) = Namespace::new().await else { return };
    let mut manifest = json!({
        "apiVersion": API_VERSION,
        "kind": "Headscale",
        "metadata": { "name": "plain" },
        "spec": { "version": "v0.28.0", "replicas": 1 },
    });
    namespace.apply(&manifest).await.expect("it is new");
    manifest["spec"]["version"] = json!("v0.29.2");
    let stored = namespace.apply(&manifest).await.expect("it is updated");
    assert_eq!(stored["spec"], manifest["spec"]);
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_refused_where_fields_are_checked() {
    let Some(namespace) = Namespace::new().await else { return };
    let said = namespace
        .apply(&user("typo", &json!({ "dispalyName": "Alice" })))
        .await
        .expect_err("there is no such field");
    assert!(said.contains("dispalyName"), "{said}");
}

#[tokio::test]
async fn the_status_is_a_resource_of_its_own() {
    let Some(namespace) = Namespace::new().await else { return };
    let mut manifest = user("status", &json!({}));
    manifest["status"] = json!({ "userId": "1" });
    let stored = namespace.apply(&manifest).await.expect("it is new");
    assert_eq!(stored.get("status"), None, "a user cannot write it");
    let stored = namespace.set_status(&manifest, &json!({ "userId": "1" })).await.expect("set");
    assert_eq!(stored["status"], json!({ "userId": "1" }));
    assert_eq!(stored["metadata"]["generation"], 1);
}
