//! Tests of the plugin without WebAssembly: `cargo test`.

use headscale_policy_sdk::testing::{Tailnet, validate};
use my_plugin::MyPlugin;
use serde_json::json;

#[test]
fn anyone_as_source_is_found() {
    let policy = json!({"acls": [
        {"action": "accept", "src": ["group:dev"], "dst": ["tag:db:5432"]},
        {"action": "accept", "src": ["alice@", "*"], "dst": ["tag:web:443"]},
    ]});
    let found = validate::<MyPlugin>(&policy, &json!({}), &Tailnet::new()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pointer, "/acls/1/src/1");

    let settings = json!({"public": ["tag:web:443"]});
    assert_eq!(validate::<MyPlugin>(&policy, &settings, &Tailnet::new()), Ok(vec![]));
}
