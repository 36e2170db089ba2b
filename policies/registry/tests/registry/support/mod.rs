//! What the tests share.

pub(crate) mod server;

use headscale_policy_registry::{Annotations, Artifact};

/// A component that imports what plugins may, one instance of it types alone, and exports one
/// interface. Components of other `name`s have other digests.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let text = format!(
        r#"(component ${name}
            (import "headscale:policy/types@0.1.0" (instance $types
                (type $severity (enum "error" "warning"))
                (export "severity" (type (eq $severity)))
            ))
            (import "headscale:policy/log@0.1.0" (instance
                (export "write" (func (param "message" string)))
            ))
            (instance $meta)
            (export "headscale:policy/meta@0.1.0" (instance $meta))
        )"#
    );
    wat::parse_str(text).expect("the component is well-formed")
}

pub(crate) fn annotations() -> Annotations {
    Annotations {
        title: Some("rules".to_owned()),
        version: Some("1.2.0".to_owned()),
        licenses: Some("Apache-2.0".to_owned()),
        source: Some("https://example.com/rules".to_owned()),
        ..Annotations::default()
    }
}

pub(crate) fn artifact(name: &str) -> Artifact {
    Artifact::pack(component(name), None, &annotations()).expect("it is a component")
}
