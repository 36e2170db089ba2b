//! What a name stands for.

use super::party::{QueryError, party};
use crate::engine::network::Network;

/// What a name stands for in a tailnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Indexes into the nodes of [`Network::tailnet`], ascending: those with an address in it.
    pub nodes: Vec<usize>,
    /// Addresses and prefixes in it that no node has, as written in a policy.
    pub others: Vec<String>,
}

impl Network<'_, '_> {
    /// Says what a name stands for: an alias, the name of a node, or an address.
    ///
    /// Costs the nodes and prefixes of the answer.
    ///
    /// # Errors
    ///
    /// When it names nothing that has an address, or is `autogroup:self`.
    ///
    /// # Examples
    ///
    /// ```
    /// use headscale_acl::Version;
    /// use headscale_acl::engine::Loaded;
    ///
    /// let text = br#"{
    ///     "hosts": {"office": "10.0.0.0/8"},
    ///     "acls": [{"action": "accept", "src": ["alice@"], "dst": ["office:22"]}],
    /// }"#;
    /// let policy = Loaded::new(text, None, Version::V0_29).unwrap();
    /// assert_eq!(policy.ask(|network| network.resolve("alice@")).unwrap().nodes, [0]);
    /// assert_eq!(policy.ask(|network| network.resolve("office")).unwrap().others, ["10.0.0.0/8"]);
    /// ```
    pub fn resolve(&self, name: &str) -> Result<Resolved, QueryError> {
        let party = party(name, self)?;
        if party.is_own_devices() {
            return Err(QueryError::new("autogroup:self depends on who asks")
                .hint("name a user or a node instead"));
        }
        let nodes = self.inventory.nodes_in(&party.set).iter().collect();
        let others = party.set.difference(&self.flows().nodes);
        Ok(Resolved { nodes, others: others.prefixes().map(|prefix| prefix.written()).collect() })
    }
}
