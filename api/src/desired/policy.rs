//! The policy of an instance as one text.

use std::collections::BTreeMap;

use headscale_acl::hujson::{Change, Document, apply, change};

use super::hash;

/// What the annotation [`POLICY_HASH_ANNOTATION`](crate::kinds::names::POLICY_HASH_ANNOTATION) of a
/// pod says that reads this policy from a file: 16 hex digits.
#[must_use]
pub fn policy_hash(text: &str) -> String {
    hash::hash([text])
}

/// The policy `base` with `tagOwners` replaced where there are `tag_owners`, and with
/// `randomizeClientPort` where `randomize_client_port` was asked for and the policy does not say;
/// comments and layout stay. Without a base it starts from an empty one; `None` where there is
/// nothing to say.
///
/// A base that is no HuJSON object is given back as it is: Headscale says what is wrong with it.
#[must_use]
pub fn compose_policy(
    base: Option<&str>,
    tag_owners: &BTreeMap<String, Vec<String>>,
    randomize_client_port: bool,
) -> Option<String> {
    if base.is_none() && tag_owners.is_empty() && !randomize_client_port {
        return None;
    }
    let base = base.unwrap_or("{}\n");
    let owners = serde_json::to_string(tag_owners).unwrap_or_default();
    let document = Document::parse(base.as_bytes());
    let says = |name| document.root().is_some_and(|root| root.member(name).is_some());
    let mut changes = Vec::new();
    if !tag_owners.is_empty() {
        changes.push(Change::Add { pointer: "/tagOwners", json: &owners });
    }
    if randomize_client_port && !says("randomizeClientPort") {
        changes.push(Change::Add { pointer: "/randomizeClientPort", json: "true" });
    }
    let changed = change(&document, &changes).ok().and_then(|edits| apply(base, &edits).ok());
    Some(changed.unwrap_or_else(|| base.to_owned()))
}
