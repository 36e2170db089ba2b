//! Questions to the compiled policy.

use crate::{Access, Explanation, Extent, Problem, Query, Resolved};

/// Who reaches what, as Headscale would have it. In a component the host answers; in tests
/// [`testing::Tailnet`](crate::testing::Tailnet) does, or whatever implements it.
///
/// Names are those of a policy (users, groups, tags, hosts, autogroups, `*`), names of nodes, or
/// addresses and prefixes.
pub trait Reachability {
    /// Whether the nodes are made up from the policy, for want of a tailnet.
    fn is_symbolic(&self) -> bool;

    /// How much of a query is let through.
    ///
    /// # Errors
    /// When the question has no answer.
    fn can_reach(&self, query: &Query) -> Result<Extent, Problem>;

    /// Why a query is let through, or is not.
    ///
    /// # Errors
    /// When the question has no answer.
    fn explain(&self, query: &Query) -> Result<Explanation, Problem>;

    /// Whether `source` may log in to `destination` as `user` by Tailscale SSH.
    ///
    /// # Errors
    /// When the question has no answer.
    fn can_log_in(&self, source: &str, destination: &str, user: &str) -> Result<Extent, Problem>;

    /// Everyone who reaches `destination`, on one port or any.
    ///
    /// # Errors
    /// When the question has no answer.
    fn who_can_reach(&self, destination: &str, port: Option<u16>) -> Result<Vec<Access>, Problem>;

    /// Everything that `source` reaches.
    ///
    /// # Errors
    /// When the question has no answer.
    fn reachable_from(&self, source: &str) -> Result<Vec<Access>, Problem>;

    /// What a name stands for.
    ///
    /// # Errors
    /// When there is no such name, or nothing behind it.
    fn resolve(&self, name: &str) -> Result<Resolved, Problem>;
}

impl Query {
    /// Whether `source` reaches `destination` by any protocol on any port.
    ///
    /// ```
    /// use headscale_policy_sdk::Query;
    ///
    /// let query = Query::new("group:dev", "tag:db").protocol("tcp").port(5432);
    /// assert_eq!((&*query.source, query.port), ("group:dev", Some(5432)));
    /// ```
    #[must_use]
    pub fn new(source: &str, destination: &str) -> Self {
        Self {
            source: source.to_owned(),
            destination: destination.to_owned(),
            protocol: None,
            port: None,
        }
    }

    /// By one protocol, as a policy names it.
    #[must_use]
    pub fn protocol(self, protocol: &str) -> Self {
        Self { protocol: Some(protocol.to_owned()), ..self }
    }

    /// On one port.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }
}

/// The host, which every component has.
pub(crate) struct Host;

mod imports {
    pub(super) use crate::bindings::headscale::policy::reachability::*;
}

impl Reachability for Host {
    fn is_symbolic(&self) -> bool {
        imports::is_symbolic()
    }

    fn can_reach(&self, query: &Query) -> Result<Extent, Problem> {
        imports::can_reach(query)
    }

    fn explain(&self, query: &Query) -> Result<Explanation, Problem> {
        imports::explain(query)
    }

    fn can_log_in(&self, source: &str, destination: &str, user: &str) -> Result<Extent, Problem> {
        imports::can_log_in(source, destination, user)
    }

    fn who_can_reach(&self, destination: &str, port: Option<u16>) -> Result<Vec<Access>, Problem> {
        imports::who_can_reach(destination, port)
    }

    fn reachable_from(&self, source: &str) -> Result<Vec<Access>, Problem> {
        imports::reachable_from(source)
    }

    fn resolve(&self, name: &str) -> Result<Resolved, Problem> {
        imports::resolve(name)
    }
}
