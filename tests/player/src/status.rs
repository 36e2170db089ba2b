//! What the API server is told of a pod.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

use crate::container::Exit;

/// Now, as Kubernetes writes times.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How a container is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: String },
    Terminated { since: String, until: String, exit: Exit },
}

impl State {
    /// Before anything was tried.
    pub(crate) fn creating(reason: &'static str) -> Self {
        Self::Waiting { reason, message: String::new() }
    }

    fn to_value(&self, container: &Container) -> Value {
        match self {
            Self::Waiting { reason, message } if message.is_empty() => {
                json!({ "waiting": { "reason": reason } })
            }
            Self::Waiting { reason, message } => {
                json!({ "waiting": { "reason": reason, "message": message } })
            }
            Self::Running { since } => json!({ "running": { "startedAt": since } }),
            Self::Terminated { since, until, exit } => {
                let policy = container.termination_message_policy.as_deref();
                let has_words = policy == Some("FallbackToLogsOnError") && exit.code != 0;
                json!({ "terminated": {
                    "exitCode": exit.code,
                    "reason": if exit.code == 0 { "Completed" } else { "Error" },
                    "message": has_words.then_some(&exit.message),
                    "startedAt": since,
                    "finishedAt": until,
                } })
            }
        }
    }
}

/// A container, as its status tells it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) state: State,
    pub(crate) last: Option<State>,
    pub(crate) restarts: u32,
    pub(crate) is_ready: bool,
}

impl Report {
    pub(crate) fn new(reason: &'static str) -> Self {
        Self { state: State::creating(reason), last: None, restarts: 0, is_ready: false }
    }

    pub(crate) fn to_value(&self, container: &Container) -> Value {
        let last = self.last.as_ref().map_or_else(|| json!({}), |it| it.to_value(container));
        json!({
            "name": container.name,
            "image": container.image,
            "imageID": format!("played/{}", container.image.as_deref().unwrap_or_default()),
            "ready": self.is_ready,
            "started": matches!(self.state, State::Running { .. }),
            "restartCount": self.restarts,
            "state": self.state.to_value(container),
            "lastState": last,
        })
    }
}

/// The conditions of a pod, each with the time since when it is as it is.
#[derive(Debug, Default)]
pub(crate) struct Conditions(BTreeMap<&'static str, Condition>);

#[derive(Debug)]
struct Condition {
    holds: bool,
    since: String,
    reason: Option<&'static str>,
    message: String,
}

impl Conditions {
    pub(crate) fn set(&mut self, type_: &'static str, holds: bool) {
        self.tell(type_, holds, None, String::new());
    }

    pub(crate) fn tell(
        &mut self,
        type_: &'static str,
        holds: bool,
        reason: Option<&'static str>,
        message: String,
    ) {
        let former = self.0.remove(type_).filter(|it| it.holds == holds);
        let since = former.map_or_else(now, |it| it.since);
        self.0.insert(type_, Condition { holds, since, reason, message });
    }

    pub(crate) fn to_value(&self) -> Value {
        let condition = |(type_, it): (&&'static str, &Condition)| {
            let mut value = json!({
                "type": type_,
                "status": if it.holds { "True" } else { "False" },
                "lastTransitionTime": it.since,
            });
            if let Some(reason) = it.reason {
                value["reason"] = json!(reason);
                value["message"] = json!(it.message);
            }
            value
        };
        self.0.iter().map(condition).collect()
    }
}
