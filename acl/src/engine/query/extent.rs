//! How much of what is asked for is allowed.

use super::asked::Asked;
use super::explain::Question;
use super::party::QueryError;
use crate::engine::flow::Flow;
use crate::engine::network::Network;

/// How much of what is asked for is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// No pair of nodes.
    None,
    /// Some pairs, not all.
    Some,
    /// All pairs.
    All,
}

impl Network<'_, '_> {
    /// Answers how much of what is asked for is allowed: what [`Network::explain`] says as
    /// `allowed` and `partly`, without the reasons and for a fraction of the time.
    ///
    /// [`Question::any`] makes no difference.
    ///
    /// # Errors
    ///
    /// Those of [`Network::explain`].
    ///
    /// # Examples
    ///
    /// ```
    /// use headscale_acl::Version;
    /// use headscale_acl::engine::{Extent, Loaded, Question};
    ///
    /// let text = br#"{
    ///     "groups": {"group:dev": ["alice@", "bob@"]},
    ///     "acls": [{"action": "accept", "src": ["alice@"], "dst": ["carol@:22"]}],
    /// }"#;
    /// let policy = Loaded::new(text, None, Version::V0_29).unwrap();
    /// let question = Question { from: "group:dev", to: "carol@:22", ..Question::default() };
    /// assert_eq!(policy.ask(|network| network.extent(&question)).unwrap(), Extent::Some);
    /// ```
    pub fn extent(&self, question: &Question<'_>) -> Result<Extent, QueryError> {
        self.asked(question, |asked, port| match question.ssh_user {
            Some(user) => Ok(asked.extent(&asked.logins(user)?.both)),
            None => {
                let (asked, traffic) = asked.of_traffic(question.protocol, port)?;
                Ok(asked.extent(&asked.traffic(traffic)))
            }
        })
    }
}

impl Asked<'_, '_, '_> {
    /// How much of what is asked for `flows` let through, where they are all that do.
    fn extent(&self, flows: &[Flow]) -> Extent {
        let flows: Vec<&Flow> = flows.iter().collect();
        if self.gap(&flows).is_none() {
            return Extent::All;
        }
        let any = flows.iter().any(|flow| self.overlap(flow).is_some());
        if any { Extent::Some } else { Extent::None }
    }
}
