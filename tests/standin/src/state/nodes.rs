//! Nodes.

use super::auth_keys::check_tag;
use super::{Node, State, routes};
use crate::failure::{Code, Failure};
use crate::moment::Moment;
use crate::options::Version;

/// The longest label of a DNS name.
const LONGEST_LABEL: usize = 63;

/// When a node shall expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Now,
    At(Moment),
    Never,
}

impl State {
    /// One node.
    pub(crate) fn node(&self, id: u64) -> Result<Node, Failure> {
        let missing = || Failure::plain(Code::NotFound, 404, "node not found");
        self.data.nodes.iter().find(|node| node.id == id).cloned().ok_or_else(missing)
    }

    /// All nodes, or those of the user of a name.
    pub(crate) fn list_nodes(&self, user: &str) -> Result<Vec<Node>, Failure> {
        if user.is_empty() {
            return Ok(self.data.nodes.clone());
        }
        let owner = self.user_by_name(user, "listing nodes")?;
        Ok(self.data.nodes.iter().filter(|node| node.user == Some(owner)).cloned().collect())
    }

    /// Removes a node.
    pub(crate) fn delete_node(&mut self, id: u64) -> Result<(), Failure> {
        self.node(id)?;
        self.change(|data| {
            data.nodes.retain(|node| node.id != id);
            Ok(())
        })
    }

    /// Says when a node expires.
    pub(crate) fn expire_node(&mut self, id: u64, expiry: Expiry) -> Result<Node, Failure> {
        let expiry = match expiry {
            Expiry::Now => Some(self.now()),
            Expiry::At(moment) => Some(moment),
            Expiry::Never => None,
        };
        self.change_node(id, "expiring node", |node| node.expiry = expiry)
    }

    /// Gives a node another name in DNS.
    pub(crate) fn rename_node(&mut self, id: u64, name: &str) -> Result<Node, Failure> {
        const DOING: &str = "renaming node";
        let checked =
            if self.version == Version::V0_28 { check_old(name) } else { check_label(name) };
        if let Err(why) = checked {
            let message = format!("{DOING}: {why}");
            let cause = format!("given name is not a valid DNS label: {why}");
            return Err(Failure::below(400, DOING, cause).message(message));
        }
        if self.data.nodes.iter().any(|node| node.id != id && node.given_name == name) {
            return Err(Failure::below(400, DOING, format!("node name is not unique: {name}")));
        }
        self.change_node(id, DOING, |node| name.clone_into(&mut node.given_name))
    }

    /// Replaces a node's tags; from 0.29 on it has no user then. There is no way back.
    pub(crate) fn set_tags(&mut self, id: u64, mut tags: Vec<String>) -> Result<Node, Failure> {
        const DOING: &str = "setting tags";
        if tags.is_empty() {
            let words =
                "cannot remove all tags from a node - tagged nodes must have at least one tag";
            return Err(Failure::plain(Code::InvalidArgument, 400, words));
        }
        for tag in &tags {
            check_tag(self.version, tag).map_err(|why| Failure::below(400, DOING, why))?;
        }
        self.node(id)?;
        let known = self.policy_tags();
        let foreign: Vec<&str> =
            tags.iter().map(String::as_str).filter(|tag| !known.contains(*tag)).collect();
        if !foreign.is_empty() {
            let foreign = foreign.join(" ");
            let why = format!("requested tags [{foreign}] are invalid or not permitted");
            return Err(Failure::below(400, DOING, why).code(Code::InvalidArgument));
        }
        tags.sort_unstable();
        tags.dedup();
        let keeps_user = self.version == Version::V0_28;
        self.change_node(id, DOING, |node| {
            node.tags = tags;
            node.user = node.user.filter(|_| keeps_user);
        })
    }

    /// Replaces the routes that a node may serve, announced or not.
    pub(crate) fn approve_routes(&mut self, id: u64, wanted: &[String]) -> Result<Node, Failure> {
        const DOING: &str = "setting approved routes";
        let approved = routes::to_approve(self.version, wanted).map_err(|why| {
            let message = format!("parsing route: {why}");
            Failure::below(400, "parsing route", why).message(message)
        })?;
        self.change_node(id, DOING, |node| node.approved = approved)
            .map_err(|failure| failure.code(Code::InvalidArgument))
    }

    /// The subnet routes that a node serves: it announces them, they are approved, and no older node
    /// serves them.
    pub(crate) fn primary_routes(&self, node: &Node) -> Vec<String> {
        let serves = |node: &Node, route: &String| {
            node.approved.contains(route) && node.announced.contains(route)
        };
        let first = |route: &String| self.data.nodes.iter().find(|other| serves(other, route));
        node.approved
            .iter()
            .filter(|route| {
                !routes::is_exit(route) && first(route).is_some_and(|n| n.id == node.id)
            })
            .cloned()
            .collect()
    }

    /// The exit routes that a node serves.
    pub(crate) fn exit_routes(node: &Node) -> Vec<String> {
        let is_served = |route: &&String| routes::is_exit(route) && node.announced.contains(*route);
        node.approved.iter().filter(is_served).cloned().collect()
    }

    fn change_node(
        &mut self,
        id: u64,
        doing: &str,
        change: impl FnOnce(&mut Node),
    ) -> Result<Node, Failure> {
        self.change(|data| {
            let node = data.nodes.iter_mut().find(|node| node.id == id).ok_or_else(|| {
                Failure::below(404, doing, format!("node no longer exists in NodeStore: {id}"))
            })?;
            change(node);
            Ok(node.clone())
        })
    }
}

/// Whether a name is one for 0.28; else its words for what is wrong.
pub(super) fn check_old(name: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("hostname {name:?} {why}"));
    if name.len() < 2 {
        return wrong("is too short, must be at least 2 characters");
    }
    if name.len() > LONGEST_LABEL {
        return wrong("is too long, must not exceed 63 characters");
    }
    let lower = name.to_lowercase();
    if lower != name {
        return wrong(&format!("must be lowercase (try {lower:?})"));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return wrong("cannot start or end with a hyphen");
    }
    if name.starts_with('.') || name.ends_with('.') {
        return wrong("cannot start or end with a dot");
    }
    if name.bytes().any(|b| !(b.is_ascii_alphanumeric() || b == b'-' || b == b'.')) {
        return wrong(
            "contains invalid characters, only lowercase letters, numbers, hyphens and dots are allowed",
        );
    }
    Ok(())
}

/// Whether a name is one for 0.29 and later; else their words for what is wrong.
fn check_label(name: &str) -> Result<(), String> {
    let prefix = format!("{name:?} is not a valid DNS label");
    let wrong = |why: &str| Err(format!("{prefix}: {prefix}: {why}"));
    let is_alphanumeric = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Err(format!("{prefix}: empty DNS label"));
    }
    if bytes.len() > LONGEST_LABEL {
        return Err(format!("{prefix}: {name:?} is too long, max length is 63 bytes"));
    }
    if !is_alphanumeric(bytes.first().copied()) {
        return wrong("must start with a letter or number");
    }
    if !is_alphanumeric(bytes.last().copied()) {
        return wrong("must end with a letter or number");
    }
    let bad = bytes.iter().find(|b| !(b.is_ascii_alphanumeric() || **b == b'-'));
    bad.map_or(Ok(()), |bad| wrong(&format!("contains invalid character '{}'", char::from(*bad))))
}
