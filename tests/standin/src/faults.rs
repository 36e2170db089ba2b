//! Faults on demand.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::call::Call;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The connection is cut and nothing is done.
    DropBefore,
    /// It is done, and the connection is cut before the answer.
    DropAfter,
    /// Nothing, after a wait. The wait goes on where the client goes away, and so does what follows.
    Delay(Duration),
    /// Nothing is done, and the answer is this HTTP status, or the code of gRPC that is nearest.
    Status(u16),
    /// It is done, and the connection is cut in the middle of the answer.
    Truncated,
    /// Nothing is done, and the answer is that of a key that is wrong.
    Unauthorized,
}

/// A rule: the next `times` requests of `call` go wrong as `kind` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which requests.
    pub call: Call,
    /// What goes wrong.
    pub kind: Kind,
    /// How many of them; [`u32::MAX`] is for ever.
    pub times: u32,
}

/// The rules that are in force, oldest first. A request meets the first that matches it, and no
/// second one.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<Fault>>,
}

impl Faults {
    /// Adds a rule behind those that are there.
    pub fn inject(&self, fault: Fault) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many rules have not been used up.
    #[must_use]
    pub fn left(&self) -> usize {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What goes wrong with a request that has just arrived.
    pub(crate) fn take(&self, call: Call) -> Option<Kind> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let matches =
            |rule: &Fault| rule.times > 0 && (rule.call == Call::Any || rule.call == call);
        let rule = rules.iter_mut().find(|rule| matches(rule))?;
        let kind = rule.kind;
        if rule.times != u32::MAX {
            rule.times -= 1;
        }
        rules.retain(|rule| rule.times > 0);
        Some(kind)
    }
}
