//! Users and nodes in the form of a snapshot.

use headscale_client::{Node, User};
use serde::Serialize;

/// The user that lists show for tagged nodes: they have none.
const TAGGED_DEVICES: u64 = 2_147_455_555;

/// A snapshot, in the field names of Headscale's REST API.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Snapshot {
    pub(super) users: Vec<SnapshotUser>,
    pub(super) nodes: Vec<SnapshotNode>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SnapshotUser {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) display_name: String,
    pub(super) email: String,
    pub(super) provider_id: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SnapshotNode {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) given_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<NodeUser>,
    pub(super) ip_addresses: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) available_routes: Vec<String>,
    pub(super) approved_routes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeUser {
    pub(super) id: String,
    pub(super) name: String,
}

impl Snapshot {
    /// Of all users and nodes, by their numbers: the same ones give the same snapshot.
    pub(super) fn new(mut users: Vec<User>, mut nodes: Vec<Node>) -> Self {
        users.sort_by_key(|user| user.id);
        nodes.sort_by_key(|node| node.id);
        Self {
            users: users.into_iter().map(SnapshotUser::from).collect(),
            nodes: nodes.into_iter().map(SnapshotNode::from).collect(),
        }
    }

    /// `3 users and 7 nodes`.
    pub(crate) fn counted(&self) -> String {
        let plural = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        format!("{} and {}", plural(self.users.len(), "user"), plural(self.nodes.len(), "node"))
    }
}

impl From<User> for SnapshotUser {
    fn from(user: User) -> Self {
        let User { id, name, display_name, email, provider_id, .. } = user;
        Self { id: id.to_string(), name, display_name, email, provider_id }
    }
}

impl From<Node> for SnapshotNode {
    fn from(node: Node) -> Self {
        let user = node.user.filter(|user| user.id != TAGGED_DEVICES && user.id != 0);
        Self {
            id: node.id.to_string(),
            name: node.name,
            given_name: node.given_name,
            user: user.map(|user| NodeUser { id: user.id.to_string(), name: user.name }),
            ip_addresses: node.ip_addresses,
            tags: node.tags,
            available_routes: node.available_routes,
            approved_routes: node.approved_routes,
        }
    }
}
