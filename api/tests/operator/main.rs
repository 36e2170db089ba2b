//! The objects that the operator is made of: what they are, what the options change in them, that a
//! real API server takes them, and that the rights are enough to give sidecars theirs.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails by a panic, as the test does"
)]

mod cluster;
mod objects;
mod rights;

use headscale_api::operator::{Options, desired};
use serde_json::Value;

/// Options in which nothing is left as it is.
fn all() -> Options {
    Options {
        namespace: "ops".to_owned(),
        with_namespace: true,
        image: "mirror.example/operator:v9".to_owned(),
        replicas: 2,
        watch_namespaces: vec!["lab".to_owned(), "vpn".to_owned()],
        log_level: Some("debug".to_owned()),
        sidecar_image: Some("mirror.example/sidecar:v9".to_owned()),
        extra_args: vec!["--resync=5m".to_owned()],
        with_user_roles: false,
        managed_by: "somebody".to_owned(),
    }
}

/// The objects, each as `KIND NAMESPACE/NAME`.
fn told(options: &Options) -> Vec<String> {
    let text = |object: &Value, pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    desired(options)
        .iter()
        .map(|object| {
            let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
            format!("{kind} {}/{name}", text(object, "/metadata/namespace"))
        })
        .collect()
}

/// The object of a kind, of which there is one.
fn only(options: &Options, kind: &str) -> Value {
    let mut found = desired(options).into_iter().filter(|object| object["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    first
}
