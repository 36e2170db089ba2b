//! JSON pointers (RFC 6901): where something stands in a policy.

/// A token as it stands in a pointer: `~` and `/` escaped.
///
/// ```
/// assert_eq!(headscale_policy_sdk::pointer::escape("10.0.0.0/8"), "10.0.0.0~18");
/// ```
#[must_use]
pub fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The pointer to a member of what `base` points to.
///
/// ```
/// assert_eq!(headscale_policy_sdk::pointer::member("/groups", "group:dev"), "/groups/group:dev");
/// ```
#[must_use]
pub fn member(base: &str, name: &str) -> String {
    format!("{base}/{}", escape(name))
}

/// The pointer to an element of what `base` points to, counted from 0.
///
/// ```
/// assert_eq!(headscale_policy_sdk::pointer::element("/acls", 3), "/acls/3");
/// ```
#[must_use]
pub fn element(base: &str, index: usize) -> String {
    format!("{base}/{index}")
}
