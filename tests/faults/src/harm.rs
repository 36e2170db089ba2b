//! What is done to which request.

use std::collections::BTreeMap;
use std::fmt;

use crate::fault::{Fault, RequestInfo, When};

pub(crate) type Action = Box<dyn FnOnce(&RequestInfo) + Send>;
pub(crate) type Rule = Box<dyn FnMut(&RequestInfo) -> Option<Fault> + Send>;

/// Harm to one request.
pub(crate) enum Harm {
    Fault(Fault),
    /// Something that the test does, and the loss of the connection.
    Action(When, Action),
}

/// All requests so far, and what is to be done to which.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) requests: Vec<RequestInfo>,
    pub(crate) at: BTreeMap<usize, Harm>,
    pub(crate) rules: Vec<Rule>,
}

impl Plan {
    /// Counts a request; gives what it is, and the harm that is due to it.
    pub(crate) fn count(
        &mut self,
        listener: &str,
        method: &str,
        path: &str,
    ) -> (RequestInfo, Option<Harm>) {
        let info = RequestInfo {
            n: self.requests.len() + 1,
            listener: listener.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
        };
        self.requests.push(info.clone());
        let harm = self
            .at
            .remove(&info.n)
            .or_else(|| self.rules.iter_mut().find_map(|rule| rule(&info)).map(Harm::Fault));
        (info, harm)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("requests", &self.requests)
            .field("at", &self.at.keys())
            .field("rules", &self.rules.len())
            .finish()
    }
}
