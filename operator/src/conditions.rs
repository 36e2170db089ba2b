//! Conditions of a status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holds {
    /// It does.
    True,
    /// It does not.
    False,
    /// That is not known.
    Unknown,
}

impl Holds {
    /// The word of Kubernetes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is said by a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it holds.
    pub holds: Holds,
    /// One word for programs.
    pub reason: &'static str,
    /// What a person should know: what is wrong, and what mends it.
    pub message: String,
}

impl Verdict {
    /// That it holds.
    #[must_use]
    pub fn good(reason: &'static str, message: impl Into<String>) -> Self {
        Self { holds: Holds::True, reason, message: message.into() }
    }

    /// That it does not.
    #[must_use]
    pub fn bad(reason: &'static str, message: impl Into<String>) -> Self {
        Self { holds: Holds::False, reason, message: message.into() }
    }

    /// That it is not known.
    #[must_use]
    pub fn unknown(reason: &'static str, message: impl Into<String>) -> Self {
        Self { holds: Holds::Unknown, reason, message: message.into() }
    }
}

/// The condition of this type, if there is one.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of this type holds.
#[must_use]
pub fn holds(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// Sets the condition of this type, or removes it where there is no verdict. The time of its
/// transition changes with its status alone; conditions of other types stay as they are.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    verdict: Option<&Verdict>,
    generation: Option<i64>,
    now: Timestamp,
) {
    let Some(verdict) = verdict else {
        conditions.retain(|condition| condition.type_ != type_);
        return;
    };
    let mut condition = Condition {
        last_transition_time: Time(now),
        message: verdict.message.clone(),
        observed_generation: generation,
        reason: verdict.reason.to_owned(),
        status: verdict.holds.as_str().to_owned(),
        type_: type_.to_owned(),
    };
    match conditions.iter_mut().find(|old| old.type_ == type_) {
        Some(old) => {
            if old.status == condition.status {
                condition.last_transition_time = old.last_transition_time.clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}
