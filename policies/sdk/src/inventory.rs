//! Users and nodes, in the field names of Headscale's REST API.

use serde::Deserialize;

/// What a tailnet consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Its users.
    pub users: Vec<User>,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// Somebody with devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct User {
    /// Unique, decimal.
    pub id: String,
    /// The login name.
    pub name: String,
    /// How others see it.
    pub display_name: String,
    /// Empty where there is none.
    pub email: String,
}

/// A device or a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Node {
    /// Unique, decimal.
    pub id: String,
    /// What the machine calls itself.
    pub name: String,
    /// What it is called in DNS.
    pub given_name: String,
    /// Whose it is; none where it is tagged.
    pub user: Option<User>,
    /// IPv4 and IPv6.
    pub ip_addresses: Vec<String>,
    /// `tag:…`
    pub tags: Vec<String>,
    /// Prefixes that it offers to lead to.
    pub available_routes: Vec<String>,
    /// Those of them that it may.
    pub approved_routes: Vec<String>,
}
